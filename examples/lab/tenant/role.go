package tenant

import (
	"slices"
	"sort"
	"strings"
)

// Role is a well-known directory role, named by its template id, which is also its definition id.
// See https://learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference.
type Role struct{ TemplateID, Name string }

// Roles lists the directory roles that the tenant knows.
var Roles = []Role{
	{"62e90394-69f5-4237-9190-012177145e10", "Global Administrator"},
	{"e8611ab8-c189-46e8-94e1-60213ab1f814", "Privileged Role Administrator"},
	{userAdministrator, "User Administrator"},
	{"fdd7a751-b60b-444a-984c-02652fe8fa1c", "Groups Administrator"},
	{"729827e3-9c14-49f7-bb1b-9608f156bbb8", "Helpdesk Administrator"},
	{authenticationAdministrator, "Authentication Administrator"},
	{privilegedAuthenticationAdministrator, "Privileged Authentication Administrator"},
	{hybridIdentityAdministrator, "Hybrid Identity Administrator"},
	{"88d8e3e3-8f55-4a1e-953a-9b9898b8876b", "Directory Readers"},
	{reportsReader, "Reports Reader"},
}

// Template ids of roles that give rights to people's tokens.
const (
	GlobalAdministrator                   = "62e90394-69f5-4237-9190-012177145e10" // everything
	authenticationAdministrator           = "c4e39bd9-1100-46d3-8c65-fb160da0071f"
	privilegedAuthenticationAdministrator = "7be44c8a-adaf-4e2a-84d6-ab2649e08a13"
	userAdministrator                     = "fe930be7-5e62-47db-91af-98c3a49a38b1"
	hybridIdentityAdministrator           = "8ac3fc64-6eca-42ea-9e69-59f4c7b60eb2"
	reportsReader                         = "4a5d8f65-41da-4de4-8968-e035b65339cf"
)

// Assignment is one role held, or when Eligible one that may be activated, by a user, group or service principal.
type Assignment struct {
	ID, PrincipalID, RoleID string
	Eligible                bool
}

type assignment = Assignment

// AssignRole gives a role to an object, or makes it eligible; it is the lab's own door, not Graph's.
// A group must be assignable to roles.
func (m *Model) AssignRole(principal, roleTemplateID string, eligible bool) (Assignment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.find("", principal, m.head())
	if err != nil {
		return Assignment{}, err
	}
	if !slices.ContainsFunc(Roles, func(r Role) bool { return strings.EqualFold(r.TemplateID, roleTemplateID) }) {
		return Assignment{}, notFound(roleTemplateID)
	}
	if o.kind == Group && !o.latest().is("isAssignableToRole") {
		return Assignment{}, badRequest("The principal '%s' is a group that is not assignable to roles.", principal)
	}
	a := &Assignment{ID: m.newID(), PrincipalID: o.id, RoleID: strings.ToLower(roleTemplateID), Eligible: eligible}
	m.roles[a.ID] = a
	return *a, nil
}

// RevokeRole takes an assignment away by its id.
func (m *Model) RevokeRole(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.roles[id] == nil {
		return notFound(id)
	}
	delete(m.roles, id)
	return nil
}

// Assignments lists role assignments of living principals, by principal, role and id; those held or those eligible.
func (m *Model) Assignments(eligible bool) []Assignment {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.assignments(eligible)
}

func (m *Model) assignments(eligible bool) []Assignment {
	out := []Assignment{}
	for _, a := range m.roles {
		if a.Eligible == eligible && m.objects[a.PrincipalID].latest().life == live {
			out = append(out, *a)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		return a.PrincipalID+a.RoleID+a.ID < b.PrincipalID+b.RoleID+b.ID
	})
	return out
}

// RoleMembers lists the living direct holders of a role.
func (m *Model) RoleMembers(roleTemplateID string) []Object {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := []Object{}
	for _, a := range m.assignments(false) {
		if strings.EqualFold(a.RoleID, roleTemplateID) {
			out = append(out, m.object(m.objects[a.PrincipalID]))
		}
	}
	return out
}

// rolesOf lists the roles that any of the objects holds.
func (m *Model) rolesOf(ids map[string]bool) []Role {
	held := map[string]bool{}
	for _, a := range m.assignments(false) {
		if ids[a.PrincipalID] {
			held[a.RoleID] = true
		}
	}
	var out []Role
	for _, r := range Roles {
		if held[r.TemplateID] {
			out = append(out, r)
		}
	}
	return out
}
