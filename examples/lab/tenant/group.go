package tenant

import (
	"slices"
	"strings"
)

const mailEnabledMessage = "The service does not currently support writes of mail-enabled groups. Please ensure that the mail-enablement property is unset and the security-enablement property is set."

// CreateGroup makes a security or a Microsoft 365 group from a Graph body, with members@odata.bind of at most 20 members.
// See https://learn.microsoft.com/graph/api/group-post-groups.
func (m *Model) CreateGroup(body map[string]any) (Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.createGroup(body)
}

func (m *Model) createGroup(body map[string]any) (Object, error) {
	if err := missing(Group, body, "displayName", "mailEnabled", "mailNickname", "securityEnabled"); err != nil {
		return Object{}, err
	}
	changes, err := patch(Group, body)
	if err != nil {
		return Object{}, err
	}
	if err := checkGroupType(changes); err != nil {
		return Object{}, err
	}
	v := &version{props: map[string]any{"renewedDateTime": stampTime(m.now())}}
	if err := m.applyGroup(nil, v, changes); err != nil {
		return Object{}, err
	}
	members, err := m.boundMembers(nil, body)
	if err != nil {
		return Object{}, err
	}
	o := m.add(Group, v)
	m.joinAll(o, members, v.seq)
	return m.object(o), nil
}

// checkGroupType accepts what Graph can make: security groups and Microsoft 365 groups.
func checkGroupType(p map[string]any) error {
	kinds, _ := p["groupTypes"].([]string)
	unified := slices.Contains(kinds, "Unified")
	for _, k := range kinds {
		if k != "Unified" {
			return badRequest("The group type '%s' is not supported by this tenant: it has security and Microsoft 365 groups with assigned members.", k)
		}
	}
	mail, _ := p["mailEnabled"].(bool)
	security, _ := p["securityEnabled"].(bool)
	if unified && !mail {
		return invalidValue(Group, "mailEnabled")
	}
	if !unified && (mail || !security) {
		return badRequest(mailEnabledMessage)
	}
	if assignable, _ := p["isAssignableToRole"].(bool); assignable && !security {
		return invalidValue(Group, "isAssignableToRole")
	}
	return nil
}

// UpdateGroup changes a group by id; a null clears, members@odata.bind adds at most 20 members, all or none.
// See https://learn.microsoft.com/graph/api/group-update.
func (m *Model) UpdateGroup(ref string, body map[string]any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.find(Group, ref, m.head())
	if err != nil {
		return err
	}
	return m.updateGroup(o, body)
}

func (m *Model) updateGroup(o *object, body map[string]any) error {
	changes, err := patch(Group, body)
	if err != nil {
		return err
	}
	if err := refuseSynced(o, changes); err != nil {
		return err
	}
	v := o.latest().next()
	if err := m.applyGroup(o, v, changes); err != nil {
		return err
	}
	members, err := m.boundMembers(o, body)
	if err != nil {
		return err
	}
	m.writeIfChanged(o, v)
	if len(members) > 0 {
		m.joinAll(o, members, m.stamp(o))
	}
	return nil
}

// applyGroup merges changes into v under the rules for groups; o is nil for a create.
func (m *Model) applyGroup(o *object, v *version, changes map[string]any) error {
	if o != nil {
		if err := refuseFixed(o, changes); err != nil {
			return err
		}
	}
	if name, ok := changes["uniqueName"].(string); ok {
		if err := m.unique(o, Group, "uniqueName", name); err != nil {
			return err
		}
	}
	nick, ok := changes["mailNickname"].(string)
	if ok && !validNickname(nick) {
		return invalidValue(Group, "mailNickname")
	}
	merge(v.props, changes)
	if ok && slices.Contains(texts(v.props["groupTypes"]), "Unified") {
		return m.applyGroupMail(o, v, nick)
	}
	return nil
}

// refuseFixed refuses changes of what a group keeps from its creation; uniqueName can be set while it is null.
func refuseFixed(o *object, changes map[string]any) error {
	old := o.latest()
	for _, name := range []string{"uniqueName", "isAssignableToRole", "groupTypes", "mailEnabled", "securityEnabled"} {
		v, ok := changes[name]
		if !ok || sameValue(v, old.props[name]) || name == "uniqueName" && old.props[name] == nil {
			continue
		}
		if name == "isAssignableToRole" && v == false && old.props[name] == nil {
			continue
		}
		if name == "mailEnabled" || name == "securityEnabled" {
			return badRequest(mailEnabledMessage)
		}
		e := badRequest("Property '%s' cannot be changed once it is set.", name)
		e.Details = []Detail{{"PropertyImmutable", e.Message, name}}
		return e
	}
	return nil
}

// applyGroupMail gives a Microsoft 365 group its address; mailNickname is unique among them.
func (m *Model) applyGroupMail(o *object, v *version, nick string) error {
	for _, other := range m.lookup(Group, "mailNickname", nick, m.head()) {
		if other != o && other.latest().is("mailEnabled") {
			return conflict("mailNickname")
		}
	}
	address := nick + "@" + m.verified[0]
	if err := m.freeAddress(o, "SMTP:"+address); err != nil {
		return err
	}
	if v.props["mail"] == nil {
		v.props["mail"] = address
		v.props["proxyAddresses"] = []string{"SMTP:" + address}
	}
	return nil
}

// UpsertGroup updates the group with this uniqueName, or creates it when create is set (Prefer: create-if-missing).
// See https://learn.microsoft.com/graph/api/group-upsert.
func (m *Model) UpsertGroup(uniqueName string, body map[string]any, create bool) (o Object, created bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if given, ok := body["uniqueName"]; ok && !strings.EqualFold(asText(given), uniqueName) {
		return Object{}, false, badRequest("The uniqueName in the body does not match the key in the address.")
	}
	if found := m.lookup(Group, "uniqueName", uniqueName, m.head()); len(found) > 0 {
		return m.object(found[0]), false, m.updateGroup(found[0], without(body, "uniqueName"))
	}
	if !create {
		return Object{}, false, notFound(uniqueName)
	}
	full := without(body, "uniqueName")
	full["uniqueName"] = uniqueName
	o, err = m.createGroup(full)
	return o, err == nil, err
}

func asText(v any) string {
	s, _ := v.(string)
	return s
}

func without(body map[string]any, key string) map[string]any {
	out := make(map[string]any, len(body)+1)
	for k, v := range body {
		if k != key {
			out[k] = v
		}
	}
	return out
}
