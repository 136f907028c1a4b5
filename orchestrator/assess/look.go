package assess

import (
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
)

// repeated counts values that only one object may have, over all directories.
type repeated struct{ anchors, signIns, addresses map[string]uint8 }

// countTo2 counts a key, up to 2: more than one is all that matters.
func countTo2(m map[string]uint8, key string) {
	if key != "" && m[key] < 2 {
		m[key]++
	}
}

func repeatedIn(s *Survey) repeated {
	r := repeated{map[string]uint8{}, map[string]uint8{}, map[string]uint8{}}
	for _, d := range s.Directories {
		for i := range d.objects {
			o := &d.objects[i]
			if o.Detail == nil || o.Has(Critical) {
				continue
			}
			countTo2(r.anchors, anchorKey(o))
			countTo2(r.signIns, strings.ToLower(o.Detail.SignIn))
			for _, a := range o.Detail.Addresses {
				countTo2(r.addresses, a)
			}
		}
	}
	return r
}

func anchorKey(o *Object) string {
	if o.Detail.Anchor == "" {
		return ""
	}
	return string(o.Kind) + o.Detail.Anchor
}

// binnedNames returns the sign-in names of deleted users, in lower case. The tenant puts the user's id, without hyphens, before each of them.
func binnedNames(c *cloud.Cache) map[string]bool {
	out := map[string]bool{}
	if c == nil {
		return out
	}
	for o := range c.All {
		if !o.Deleted || o.Kind != scoping.User {
			continue
		}
		name := strings.ToLower(o.Values.First(cloud.UPN))
		out[strings.TrimPrefix(name, strings.ToLower(strings.ReplaceAll(o.ID, "-", "")))] = true
	}
	delete(out, "")
	return out
}

// subject is the object that is being judged.
type subject struct {
	*Object
	id     scoping.ObjectID
	unit   *Unit
	name   func() string
	link   Link
	linked bool
}

// object adds the findings about one object.
func (a *assessor) object(p place, i int32, u *Unit) {
	o := &p.in.objects[i]
	s := subject{Object: o, id: scoping.ObjectID{Directory: p.in.Name, GUID: o.GUID}, unit: u, name: func() string { return p.in.DN(i) }}
	s.link, s.linked = a.x.linked(s.id)
	a.countAll(s)
	for _, m := range a.marked[s.id] {
		a.note(s, m.Code, m.Detail)
	}
	if u.None || o.Detail == nil {
		return
	}
	if s.link.Brought {
		a.note(s, Brought, "")
		return
	}
	if a.x.Chosen != nil && a.x.Chosen(s.id) {
		a.note(s, Chosen, "")
	}
	if o.Has(Service) {
		a.note(s, ServiceAccounts, "")
	}
	if !a.brings(o.Kind) {
		return
	}
	if why := o.Detail.Excluded; why != "" {
		a.leftOut(s, why)
		return
	}
	a.anchor(s)
	a.signIn(s)
	a.addresses(s)
	a.inTenant(s)
	if o.Kind == scoping.Group {
		a.size(s)
	}
}

// note adds a finding about an object's base feature.
func (a *assessor) note(s subject, code Code, detail string) {
	a.found[s.unit].add(findingKey{code, detail, scoping.Base(s.Kind)}, 1, s.name)
}

// brings reports whether the policy switches objects of a kind on.
func (a *assessor) brings(k scoping.Kind) bool {
	for _, f := range a.out.Policy.Features {
		if f == scoping.Base(k) {
			return true
		}
	}
	return false
}

// countAll counts an object for each feature that it uses.
func (a *assessor) countAll(s subject) {
	a.count(s.unit, s.id, s.Kind, scoping.Base(s.Kind))
	if s.Manager != (scoping.GUID{}) || len(s.Members) > 0 {
		a.count(s.unit, s.id, s.Kind, scoping.References)
	}
	for _, w := range uses {
		if (w.feature == scoping.ExchangeHybrid || w.feature == scoping.Extensions) && w.by(s.Object) {
			a.count(s.unit, s.id, s.Kind, w.feature)
		}
	}
	for _, f := range []scoping.Feature{scoping.PasswordHash, scoping.PasswordWriteback} {
		if s.Kind == scoping.User && a.x.Owner != nil && a.on(f) {
			a.count(s.unit, s.id, s.Kind, f)
		}
	}
}

func (a *assessor) on(f scoping.Feature) bool {
	for _, x := range a.x.Features {
		if x == f {
			return true
		}
	}
	return false
}

func (a *assessor) leftOut(s subject, why string) {
	switch why {
	case expression.DistributionGroup, expression.MailEnabledGroup:
		a.note(s, GroupKind, why)
	default:
		a.note(s, LeftOut, why)
	}
}

func (a *assessor) anchor(s subject) {
	switch d := s.Detail; {
	case d.Anchor == "":
		a.note(s, AnchorInvalid, "")
	case a.same.anchors[anchorKey(s.Object)] > 1:
		a.note(s, AnchorDuplicate, "")
	case s.linked && s.link.Anchor != "" && s.link.Anchor != d.Anchor:
		a.note(s, AnchorChanged, "")
	case !s.Has(Anchored): // that is true of nearly all objects, so no examples are kept
		a.general.add(findingKey{code: GuidAnchors}, 1, nil)
	}
}

func (a *assessor) signIn(s subject) {
	name := strings.ToLower(s.Detail.SignIn)
	if s.Kind != scoping.User || name == "" {
		return
	}
	if a.same.signIns[name] > 1 {
		a.note(s, SignInDuplicate, "")
	}
	if s.Detail.Made {
		a.note(s, SignInMade, "")
	}
	if _, domain, has := strings.Cut(name, "@"); has && len(a.x.Verified) > 0 && !a.x.Verified[domain] {
		a.note(s, SignInSuffix, domain)
	}
}

// signsInAs returns the sign-in name that a user gets in the tenant: under the initial domain if the tenant has not verified the directory's suffix.
func (a *assessor) signsInAs(s subject) string {
	name, domain, has := strings.Cut(s.Detail.SignIn, "@")
	if !has || len(a.x.Verified) == 0 || a.x.Verified[strings.ToLower(domain)] || a.x.InitialDomain == "" {
		return s.Detail.SignIn
	}
	return name + "@" + a.x.InitialDomain
}

func (a *assessor) addresses(s subject) {
	for _, x := range s.Detail.Addresses {
		if a.same.addresses[x] > 1 {
			a.note(s, AddressTwice, "")
			return
		}
	}
}

// size notes a group that has more members than the target synchronizes.
func (a *assessor) size(s subject) {
	if n := len(s.Members); n > a.mostMembers() {
		a.note(s, GroupTooLarge, a.out.To)
	}
}

// mostMembers returns the most members that the target synchronizes, or, without a target, the engine that has everything now.
func (a *assessor) mostMembers() int {
	kind := a.engines[a.out.To].Kind
	if a.out.To == "" {
		kind = a.engines[a.out.From].Kind
	}
	if kind == "cloudsync" {
		return expression.MostMembersCloudSync
	}
	return expression.MostMembersConnect
}

// inTenant compares an object with what the tenant has.
func (a *assessor) inTenant(s subject) {
	if a.x.Tenant == nil {
		return
	}
	if s.linked {
		if o, ok := a.x.Tenant.Get(s.link.CloudID); ok && o.Synced {
			a.note(s, Synced, "")
		} else if ok && o.Deleted {
			a.note(s, InDeletedItems, "")
		}
		return
	}
	if found := a.x.Tenant.ByAnchor(s.Kind, s.Detail.Anchor); len(found) > 0 {
		a.candidate(s, found[0])
		return
	}
	if len(a.x.Tenant.DeletedByAnchor(s.Kind, s.Detail.Anchor)) > 0 || s.Kind == scoping.User && a.binned[strings.ToLower(a.signsInAs(s))] {
		a.note(s, InDeletedItems, "")
	}
	a.alike(s)
}

// candidate notes what a first run would do with the tenant object that has the object's anchor (rules J1, J2).
func (a *assessor) candidate(s subject, o cloud.Object) {
	power := a.x.Power[o.ID]
	switch {
	case o.Synced:
		a.note(s, Synced, "")
	case a.x.belongs(o.ID):
		a.note(s, CannotJoin, "it belongs to another object of the directory")
	case o.Guest:
		a.note(s, CannotJoin, "it is a guest")
	case o.Mailed:
		a.note(s, CannotJoin, "it is mail-enabled, and Graph cannot write it")
	case o.Role:
		a.note(s, CannotJoin, "it is a role-assignable group")
	case power != "":
		a.note(s, CannotJoin, power)
	default:
		a.note(s, Existing, "")
	}
}

// alike notes an object of the tenant that has a name or address which this object would get.
func (a *assessor) alike(s subject) {
	if s.Kind == scoping.User {
		if o, ok := a.x.Tenant.ByUPN(a.signsInAs(s)); ok {
			switch {
			case a.x.belongs(o.ID), o.Guest, o.Kind != s.Kind:
				a.note(s, SignInTaken, "")
			case o.Synced:
				a.note(s, Synced, "")
			case o.Anchor() != "":
				a.note(s, AnchorElsewhere, "")
			default:
				a.note(s, LookAlike, "")
			}
			return
		}
	}
	if a.addressTaken(s) {
		a.note(s, AddressTaken, "")
		return
	}
	named := a.x.Tenant.ByDisplayName(s.Detail.Display, a.x.belongs)
	for _, o := range named {
		if o.Kind == s.Kind {
			a.note(s, LookAlike, "")
			return
		}
	}
}

func (a *assessor) addressTaken(s subject) bool {
	return s.Detail.Mail != "" && len(a.x.Tenant.ByMail(s.Detail.Mail)) > 0
}

// checkReferences adds the findings about the references of a directory: nested groups, ends that never come into the tenant, and ends in another unit.
func (a *assessor) checkReferences(p place) {
	for i := range p.in.objects {
		o, u := &p.in.objects[i], p.units[p.of[i]]
		if u.outside || u.None || !o.counts() || o.Has(Critical) || !a.brings(o.Kind) {
			continue
		}
		name := func() string { return p.in.DN(int32(i)) }
		unreachable, nested := 0, false
		for _, g := range a.ends(o) {
			to := p.in.find(g)
			if to < 0 || !a.brings(p.in.objects[to].Kind) {
				unreachable++
				continue
			}
			nested = nested || o.Kind == scoping.Group && p.in.objects[to].Kind == scoping.Group
		}
		if unreachable > 0 {
			a.found[u].add(findingKey{code: Unreachable}, 1, name)
		}
		if nested {
			a.found[u].add(findingKey{code: GroupNested}, 1, name)
		}
	}
	for r := range p.in.references {
		from, to := p.of[r.from], p.of[r.to]
		if from == to || p.in.objects[r.from].Has(Critical) || p.in.objects[r.to].Has(Critical) {
			continue
		}
		for _, end := range [][2]int32{{from, r.from}, {to, r.to}} {
			if u := p.units[end[0]]; !u.outside && !u.None {
				a.found[u].add(findingKey{code: CrossesParts}, 1, func() string { return referenceText(p.in, r) })
			}
		}
	}
}

// ends returns the objects that o refers to.
func (a *assessor) ends(o *Object) []scoping.GUID {
	if o.Manager == (scoping.GUID{}) {
		return o.Members
	}
	return append([]scoping.GUID{o.Manager}, o.Members...)
}

func referenceText(d *Directory, r reference) string {
	if r.manager {
		return d.DN(r.from) + " has the manager " + d.DN(r.to)
	}
	return d.DN(r.to) + " is a member of " + d.DN(r.from)
}
