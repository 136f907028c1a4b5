package scoping

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// From says what of the tenant an assignment brings into its container: of user-provisioning the users that are members of one of the groups, directly or through others; of
// group-provisioning the groups themselves.
type From struct {
	Groups []TenantGroup `json:"groups,omitempty"`
}

// IsZero reports whether it names nothing.
func (f From) IsZero() bool { return len(f.Groups) == 0 }

// TenantGroup is a group of the tenant. Like a Pin it is known by its identity once it was looked up.
type TenantGroup struct {
	Name string `json:"name"` // as written: its display name, or its id
	ID   string `json:"id"`
	Pos  Pos    `json:"-"`
}

// The attributes by which a person of the tenant is looked for in the directory before an account is made, in the order in which they count.
const (
	MatchEmployee = "employeeID"
	MatchUPN      = "userPrincipalName"
	MatchAccount  = "sAMAccountName"
	MatchMail     = "mail"
)

// Matchable lists them.
func Matchable() []string { return []string{MatchEmployee, MatchUPN, MatchAccount, MatchMail} }

// DefaultLink is the attribute that shows of which object of the tenant something was made (schema of Windows Server 2016); OtherLink stands in where a schema lacks it.
const (
	DefaultLink = "msDS-ExternalDirectoryObjectId"
	OtherLink   = "adminDescription"
)

// ProvisioningOf returns the feature that brings objects of a kind from the tenant into a directory; "" for kinds that none does.
func ProvisioningOf(k Kind) Feature {
	switch k {
	case User:
		return UserProvisioning
	case Group:
		return GroupProvisioning
	}
	return ""
}

// Provisions reports whether the feature goes from the tenant into a directory.
func (f Feature) Provisions() bool { return f == UserProvisioning || f == GroupProvisioning }

// Provisions reports whether the assignment is about the way from the tenant into the directory: Under is the container that it brings objects to.
func (a *Assignment) Provisions() bool {
	return !a.From.IsZero() || slices.ContainsFunc(a.Features, Feature.Provisions)
}

// LinkOr returns the attribute that the policy names, else the usual one.
func (a *Assignment) LinkOr() string { return cmp.Or(a.Link, DefaultLink) }

// MatchOr returns the attributes by which a person is looked for, the usual one where the policy names none.
func (a *Assignment) MatchOr() []string {
	if len(a.Match) == 0 {
		return []string{MatchEmployee}
	}
	return a.Match
}

// LeavingOr returns what happens to an account whose person left the assignment.
func (a *Assignment) LeavingOr(d Defaults) Leaving { return cmp.Or(a.Leaving, d.Leaving) }

// Provisioning returns the assignments that bring objects of the tenant into directories, the higher priority first.
func (p *Partition) Provisioning() []Assignment { return slices.Clone(p.provisioning) }

// Target returns the assignment of a provisioning feature that owns a place; false: none does.
func (p *Partition) Target(place Place, f Feature) (Assignment, bool) {
	for i := range p.provisioning {
		a := &p.provisioning[i]
		if a.Directory == place.Directory && slices.Contains(a.Features, f) && slices.Contains(place.Ancestors, a.Under.GUID) {
			return *a, true
		}
	}
	return Assignment{}, false
}

// target is Owner for provisioning features.
func (p *Partition) target(place Place, f Feature) Owner {
	a, ok := p.Target(place, f)
	if !ok {
		return p.owners[outside]
	}
	return Owner{Engine: a.Engine, Assignment: a.Name, Leaving: a.LeavingOr(p.defaults), Managed: true}
}

// parted takes the assignments of the other direction out of a policy: they make no regions, and nothing is handed over by them.
func parted(all []Assignment) (regions, targets []Assignment) {
	for _, a := range all {
		if a.Provisions() {
			targets = append(targets, a)
		} else {
			regions = append(regions, a)
		}
	}
	slices.SortStableFunc(targets, func(x, y Assignment) int { return cmp.Compare(y.Priority, x.Priority) })
	return regions, targets
}

// checkTarget judges one assignment of the other direction.
func (c *compiler) checkTarget(a *Assignment) {
	wrong := func(pos Pos, what, hint string) {
		c.mistakes.Add(cmp.Or(pos, a.Pos), fmt.Sprintf("assignment %q %s", a.Name, what), hint)
	}
	for i, f := range a.Features {
		if !f.Provisions() && !a.From.IsZero() {
			wrong(posAt(a.FeaturePos, i, a.Pos), fmt.Sprintf("says \"from\" and names feature %q, which goes from the directory to the tenant", f), "give it in an assignment of its own, without \"from\"")
		} else if f.Provisions() && a.From.IsZero() {
			wrong(posAt(a.FeaturePos, i, a.Pos), fmt.Sprintf("names feature %q and does not say what of the tenant it brings", f),
				"add \"from: {groups: [NAME]}\"; \"under\" is the container to which it is brought, and no other feature stands in the same assignment")
		}
	}
	if a.narrowed() || len(a.Except) > 0 || len(a.Kinds) > 0 {
		wrong(a.Pos, "narrows a container to which objects of the tenant are brought", "remove \"except\", \"memberOf\", \"filter\", \"sample\" and \"kinds\": \"from\" says whom it is about")
	}
	if a.Engine == None {
		wrong(a.EnginePos, "brings objects of the tenant with no engine", "name one, or remove the assignment")
	}
	if a.Leaving != "" && !validLeaving(a.Leaving) {
		wrong(a.Pos, fmt.Sprintf("says leaving: %q, which is not a way of leaving", a.Leaving), "write disable, remove or keep")
	}
	for i, m := range a.Match {
		if !slices.Contains(Matchable(), m) || slices.Contains(a.Match[:i], m) {
			wrong(a.Pos, fmt.Sprintf("looks for persons by %q", m), "write each of "+strings.Join(Matchable(), ", ")+" at most once, the most trustworthy first")
		}
	}
	if a.Link != "" && !linkable(a.Link) {
		wrong(a.Pos, fmt.Sprintf("links by attribute %q", a.Link), "name a text attribute that nothing else uses, such as "+DefaultLink+" or "+OtherLink)
	}
	for i, g := range a.From.Groups {
		if g.Name == "" || slices.ContainsFunc(a.From.Groups[:i], func(o TenantGroup) bool { return o.Name == g.Name || o.ID != "" && o.ID == g.ID }) {
			wrong(g.Pos, fmt.Sprintf("names group %q of the tenant twice, or not at all", g.Name), "remove one")
		}
	}
}

// linkable reports whether an attribute may be named for links: no name by which people and machines are known.
func linkable(name string) bool {
	switch strings.ToLower(name) {
	case "cn", "name", "samaccountname", "userprincipalname", "mail", "employeeid", "displayname", "objectguid", "objectsid", "distinguishedname", "description", "manager", "member", "mailnickname":
		return false
	}
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r != '-' && (r < '0' || r > '9')) {
			return false
		}
	}
	return name != ""
}

// checkTargets finds containers that two assignments of the other direction share, and objects of the tenant that two may take.
func (c *compiler) checkTargets() {
	all := slices.DeleteFunc(slices.Clone(c.policy.Assignments), func(a Assignment) bool { return !a.Provisions() })
	for i := range all {
		for j := range i {
			x, y := &all[i], &all[j]
			both := slices.ContainsFunc(x.Features, func(f Feature) bool { return slices.Contains(y.Features, f) })
			if both && x.Priority == y.Priority {
				c.mistakes.Add(x.Pos, fmt.Sprintf("assignments %q%s and %q may take the same object of the tenant, and have the same priority", y.Name, at(y.Pos), x.Name),
					"give each a \"priority\" of its own: the higher one takes it")
			}
			if x.Directory == y.Directory && !x.Under.GUID.IsZero() && (x.Under.GUID == y.Under.GUID || slices.Contains(x.Under.Ancestors, y.Under.GUID) || slices.Contains(y.Under.Ancestors, x.Under.GUID)) && both {
				c.mistakes.Add(cmp.Or(x.Under.Pos, x.Pos), fmt.Sprintf("assignments %q%s and %q bring objects to containers of which one holds the other: %s and %s", y.Name, at(y.Pos), x.Name, y.Under.DN, x.Under.DN),
					"a container belongs to one assignment; give the other one a container of its own")
			}
		}
	}
}

// explain says that an assignment brings objects of the tenant to where an object lies.
func (a *Assignment) explain(f Feature) Explanation {
	return Explanation{Feature: f, Engine: a.Engine, Assignment: a.Name, Because: fmt.Sprintf("tenant → directory: it lies under %s, to which the assignment brings objects of the tenant, from %s", a.Under.DN, a.From), Lost: []Lost{}}
}

// String names the groups, for people.
func (f From) String() string {
	var names []string
	for _, g := range f.Groups {
		names = append(names, strconv.Quote(g.Name))
	}
	return "group " + strings.Join(names, ", ")
}
