package tenant

import (
	"sort"
	"strings"
)

// State is everything in the tenant in a canonical order, for comparing end states.
type State struct {
	Objects     []StateObject `json:"objects"`
	Assignments []StateRole   `json:"assignments,omitempty"`
}

// StateObject is one living or soft-deleted object.
type StateObject struct {
	Kind       Kind           `json:"kind"`
	ID         string         `json:"id"`
	Deleted    bool           `json:"deleted,omitempty"`
	Properties map[string]any `json:"properties"`
	Manager    string         `json:"manager,omitempty"`
	Members    []string       `json:"members,omitempty"` // sorted
}

// StateRole is one role assignment.
type StateRole struct {
	Principal string `json:"principal"`
	Role      string `json:"role"`
	Eligible  bool   `json:"eligible,omitempty"`
}

// volatile properties differ between two runs that did the same.
var volatile = []string{"id", "createdDateTime", "deletedDateTime", "lastPasswordChangeDateTime", "renewedDateTime", "securityIdentifier"}

// State lists everything as written, whatever the readers' lag. With natural set, ids become natural keys (a user's
// source anchor or userPrincipalName, a group's uniqueName or displayName), what changes from run to run is left out,
// and so are service principals: two tenants that went the same way then compare equal.
func (m *Model) State(natural bool) State {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := State{Objects: []StateObject{}}
	name := func(id string) string { return id }
	if natural {
		name = func(id string) string { return naturalKey(m.objects[id]) }
	}
	for _, kind := range []Kind{User, Group, Contact, ServicePrincipal} {
		if natural && kind == ServicePrincipal {
			continue
		}
		for _, o := range m.order[kind] {
			if o.latest().life != purged {
				out.Objects = append(out.Objects, m.stateOf(o, name, natural))
			}
		}
	}
	for _, eligible := range []bool{false, true} {
		for _, a := range m.assignments(eligible) {
			out.Assignments = append(out.Assignments, StateRole{name(a.PrincipalID), a.RoleID, eligible})
		}
	}
	sort.Slice(out.Objects, func(i, j int) bool { return out.Objects[i].less(out.Objects[j]) })
	sort.Slice(out.Assignments, func(i, j int) bool {
		a, b := out.Assignments[i], out.Assignments[j]
		return a.Principal+a.Role < b.Principal+b.Role
	})
	return out
}

func (a StateObject) less(b StateObject) bool {
	if a.Kind != b.Kind {
		return a.Kind < b.Kind
	}
	if a.ID != b.ID {
		return a.ID < b.ID
	}
	return !a.Deleted && b.Deleted
}

func (m *Model) stateOf(o *object, name func(string) string, natural bool) StateObject {
	v := o.latest()
	s := StateObject{Kind: o.kind, ID: name(o.id), Deleted: v.life == binned, Properties: map[string]any{}}
	for k, value := range v.props {
		s.Properties[k] = value
	}
	if v.anchor != "" {
		s.Properties[AnchorProperty] = v.anchor
	}
	if natural {
		for _, k := range volatile {
			delete(s.Properties, k)
		}
		if upn := v.text("userPrincipalName"); upn != "" {
			s.Properties["userPrincipalName"] = strings.TrimPrefix(upn, strings.ReplaceAll(o.id, "-", ""))
		}
	}
	if boss := m.livingManager(v, m.head()); boss != "" {
		s.Manager = name(boss)
	}
	for _, member := range m.membersOf(o, m.head()) {
		s.Members = append(s.Members, name(member.id))
	}
	sort.Strings(s.Members)
	return s
}

func naturalKey(o *object) string {
	v := o.latest()
	for _, property := range []string{"onPremisesImmutableId", "uniqueName", "userPrincipalName", "mail", "displayName"} {
		if s := v.text(property); s != "" {
			return strings.TrimPrefix(s, strings.ReplaceAll(o.id, "-", ""))
		}
	}
	return o.id
}
