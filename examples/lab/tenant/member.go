package tenant

import (
	"strings"

	"github.com/google/uuid"
)

// BindLimit is the most members that one request can add.
// See https://learn.microsoft.com/graph/api/group-post-members.
const BindLimit = 20

// refID takes the object's id out of an @odata.id link such as https://graph.microsoft.com/v1.0/directoryObjects/{id}.
func refID(link string) (string, error) {
	id := strings.TrimRight(link, "/")
	id = id[strings.LastIndexByte(id, '/')+1:]
	if open := strings.IndexByte(id, '('); open >= 0 {
		id = strings.Trim(id[open:], "()'")
	}
	if _, err := uuid.Parse(id); err != nil {
		return "", badRequest("Invalid URL format specified in @odata.id or payload: '%s'.", link)
	}
	return strings.ToLower(id), nil
}

// AddMember adds one member to a group, given as an @odata.id link or a bare id.
// See https://learn.microsoft.com/graph/api/group-post-members.
func (m *Model) AddMember(group, link string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.find(Group, group, m.head())
	if err != nil {
		return err
	}
	members, err := m.checkMembers(o, []any{link})
	if err != nil {
		return err
	}
	m.joinAll(o, members, m.stamp(o))
	return nil
}

// boundMembers reads members@odata.bind and checks every link before any is added; o is nil for a group to be created.
func (m *Model) boundMembers(o *object, body map[string]any) ([]string, error) {
	bind, ok := body["members@odata.bind"]
	if !ok {
		return nil, nil
	}
	links, ok := bind.([]any)
	if !ok {
		return nil, badRequest("The value of 'members@odata.bind' must be an array of links.")
	}
	return m.checkMembers(o, links)
}

func (m *Model) checkMembers(o *object, links []any) ([]string, error) {
	if len(links) > BindLimit {
		return nil, badRequest("The number of references in 'members@odata.bind' exceeds the limit of %d.", BindLimit)
	}
	if o != nil && o.latest().is("onPremisesSyncEnabled") {
		return nil, badRequest(syncedMessage)
	}
	var out []string
	seen := map[string]bool{}
	for _, l := range links {
		id, err := refID(asText(l))
		if err != nil {
			return nil, err
		}
		member, err := m.find("", id, m.head())
		if err != nil {
			return nil, err
		}
		if seen[id] || o != nil && o.members.has(id, m.head()) {
			return nil, badRequest("One or more added object references already exist for the following modified properties: 'members'.")
		}
		if o != nil && (member == o || member.kind == Group && o.latest().is("isAssignableToRole")) {
			return nil, badRequest("Invalid object reference for the following modified properties: 'members'.")
		}
		seen[id] = true
		out = append(out, id)
	}
	return out, nil
}

func (m *Model) joinAll(o *object, members []string, seq uint64) {
	for _, id := range members {
		m.join(o, id, memberEvent{seq: seq, present: true})
	}
}

func (m *Model) join(o *object, id string, e memberEvent) {
	if o.members.events[id] == nil {
		m.memberOf[id] = append(m.memberOf[id], o.id)
	}
	o.members.set(id, e)
}

// RemoveMember takes a member from a group; one that is not there is answered not found.
// See https://learn.microsoft.com/graph/api/group-delete-members.
func (m *Model) RemoveMember(group, member string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.find(Group, group, m.head())
	if err != nil {
		return err
	}
	if o.latest().is("onPremisesSyncEnabled") {
		return badRequest(syncedMessage)
	}
	id := strings.ToLower(member)
	if !o.members.has(id, m.head()) {
		return notFound(member)
	}
	o.members.set(id, memberEvent{seq: m.stamp(o)})
	return nil
}

// groupsOf lists the groups that an object is a direct member of at change number at, by creation.
func (m *Model) groupsOf(id string, at uint64) []*object {
	var out []*object
	for _, g := range m.memberOf[id] {
		o := m.objects[g]
		if v := o.at(at); v != nil && v.life == live && o.members.has(id, at) {
			out = append(out, o)
		}
	}
	return out
}

// closure follows a relation from one object to everything reachable, each once, in the order of discovery.
func closure(start []*object, follow func(*object) []*object) []*object {
	seen := map[string]bool{}
	var out []*object
	for queue := start; len(queue) > 0; queue = queue[1:] {
		o := queue[0]
		if seen[o.id] {
			continue
		}
		seen[o.id] = true
		out = append(out, o)
		queue = append(queue, follow(o)...)
	}
	return out
}

// membersOf lists a group's members that live at change number at.
func (m *Model) membersOf(o *object, at uint64) []*object {
	if o.members == nil {
		return nil
	}
	var out []*object
	for _, id := range o.members.at(at) {
		member := m.objects[id]
		if v := member.at(at); v != nil && v.life == live {
			out = append(out, member)
		}
	}
	return out
}
