package provisioning

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// seen is what one controller showed in one round, and which names this round gives away.
type seen struct {
	domain string // DNS name of the directory's domain
	found  map[provision.Term][]provision.Found
	given  map[provision.Term]scoping.ObjectID
}

// term is a value that is looked for, whatever its case.
func term(attribute, value string) provision.Term {
	return provision.Term{Attribute: strings.ToLower(attribute), Value: strings.ToLower(value)}
}

// names are the values that a name takes from others: itself, and the other way to sign in by it. Who has an account name signs in by that name at the domain, too, whatever the user
// principal name is (MS-ADTS 5.1.1.1.1), and controllers refuse either of two that are one.
func (x *seen) names(attribute, value string) []provision.Term {
	out := []provision.Term{{Attribute: attribute, Value: value}}
	switch prefix, suffix, _ := strings.Cut(value, "@"); {
	case strings.EqualFold(attribute, "sAMAccountName"):
		out = append(out, provision.Term{Attribute: "userPrincipalName", Value: value + "@" + x.domain})
	case strings.EqualFold(attribute, "userPrincipalName") && strings.EqualFold(suffix, x.domain):
		out = append(out, provision.Term{Attribute: "sAMAccountName", Value: prefix})
	}
	return out
}

// look asks the controller for everything that decides about subjects: who has their links, who they may be, who has their names.
func (r *run) look(ctx context.Context, a scoping.Assignment, f scoping.Feature, at controller, begin engine.MapBegin, subjects []*subject) (*seen, error) {
	x := &seen{domain: at.domain, found: map[provision.Term][]provision.Found{}, given: map[provision.Term]scoping.ObjectID{}}
	asked := map[provision.Term]bool{}
	var terms []provision.Term
	ask := func(attribute, value string) {
		if t := term(attribute, value); value != "" && !asked[t] {
			asked[t] = true
			terms = append(terms, provision.Term{Attribute: attribute, Value: value})
		}
	}
	for _, s := range subjects {
		ask(a.LinkOr(), LinkValue(kindOf(f), CloudID(s.id)))
		if s.row != nil {
			ask("objectGUID", s.row.Object.GUID.String())
			if s.mapping != nil && s.mapping.Desired[engine.CommonName].Unique { // it may have the name under which it was made
				for _, v := range s.mapping.Desired[engine.CommonName].Text {
					ask(engine.CommonName, v)
				}
			}
			continue
		}
		if s.mapping == nil {
			continue
		}
		for _, by := range a.MatchOr() {
			ask(by, first(s.mapping.Desired[by].Text))
		}
		for name, flow := range s.mapping.Desired {
			if flow.Unique {
				for _, v := range flow.Text {
					for _, t := range x.names(name, v) {
						ask(t.Attribute, t.Value)
					}
				}
			}
		}
	}
	attributes := []string{"cn", "userAccountControl", a.LinkOr()}
	for _, n := range begin.Writes {
		if n != engine.AccountDisabled && !slices.ContainsFunc(attributes, func(o string) bool { return strings.EqualFold(o, n) }) {
			attributes = append(attributes, n)
		}
	}
	for batch := range slices.Chunk(terms, provision.MaxTerms) {
		found, err := r.ask(ctx, r.engine, a.Directory, f, provision.Look{Controller: at.url, Invocation: at.invocation, Terms: batch, Attributes: attributes})
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			if o.Term >= 0 && o.Term < len(batch) {
				t := term(batch[o.Term].Attribute, batch[o.Term].Value)
				x.found[t] = append(x.found[t], o)
			}
		}
	}
	return x, nil
}

// ask lets an engine look at a controller.
func (d *Desk) ask(ctx context.Context, name, dir string, f scoping.Feature, l provision.Look) ([]provision.Found, error) {
	out, _, err := d.o.Engines.Deliver(ctx, name, engine.Delivery{ID: d.o.NewID(), Feature: f, Object: scoping.ObjectID{Directory: dir}, Op: engine.LookUp, Own: d.o.Own[dir], Look: &l}, nil)
	switch {
	case err != nil:
		return nil, fmt.Errorf("looking at controller %s of directory %s: %w", l.Controller, dir, err)
	case out.Code != engine.DeliveryOK || out.Provision == nil:
		return nil, fmt.Errorf("looking at controller %s of directory %s: %s: %s %s", l.Controller, dir, out.Code, out.Reason, out.Diagnostic)
	}
	return out.Provision.Found, nil
}

// caseOf puts together what decides about a subject.
func (r *run) caseOf(ctx context.Context, a scoping.Assignment, f scoping.Feature, s *subject, x *seen) Case {
	kind := kindOf(f)
	c := Case{Without: r.o.Without, Object: s.id, CloudID: CloudID(s.id), Kind: kind, Assignment: a, Leaving: a.LeavingOr(r.partition.Defaults()), Why: s.why, Link: linkOf(&a, kind, CloudID(s.id)),
		Row: s.row, Mapping: s.mapping, Ends: s.ends, ByLink: x.found[term(a.LinkOr(), LinkValue(kind, CloudID(s.id)))]}
	if s.why == Purged && !r.purged(ctx, kind, CloudID(s.id)) {
		c.Why = Left
	}
	if s.row != nil {
		for _, o := range x.found[term("objectGUID", s.row.Object.GUID.String())] {
			if o.Object == s.row.Object.GUID {
				c.Found = &o
			}
		}
	}
	if s.mapping != nil {
		c.Container = r.container(ctx, a, s.mapping.Container)
		for _, by := range a.MatchOr() {
			if v := first(s.mapping.Desired[by].Text); v != "" && s.row == nil {
				for _, o := range x.found[term(by, v)] {
					c.ByPerson = append(c.ByPerson, Person{o, by})
				}
			}
		}
	}
	for _, o := range assignments(r.partition, r.engine) {
		if o.Directory == a.Directory && o.Under.GUID != a.Under.GUID {
			c.Roots = append(c.Roots, o.Under.GUID)
		}
	}
	r.o.Gate.Read(func(led *ledger.State) { r.remember(led, a, f, s, x, &c) })
	return c
}

// remember adds what the ledger knows. What it is given by reference it looks up now: the functions of a case are called under no lock.
func (r *run) remember(led *ledger.State, a scoping.Assignment, f scoping.Feature, s *subject, x *seen, c *Case) {
	owned, parted, known, taken := map[scoping.GUID]string{}, map[scoping.GUID]bool{}, map[scoping.GUID]bool{}, map[provision.Term]bool{}
	for _, p := range c.ByPerson {
		if row := led.Rows.Get(scoping.ObjectID{Directory: a.Directory, GUID: p.Object}); row != nil {
			owned[p.Object], parted[p.Object] = row.CloudID, row.Cloud != 0 && row.State == ledger.ParkedRow
		}
	}
	if c.Found != nil && c.Kind == scoping.Group {
		for _, t := range value(*c.Found, "member") {
			if g, err := scoping.ParseGUID(t); err == nil {
				known[g] = led.Rows.Get(scoping.ObjectID{Directory: a.Directory, GUID: g}) != nil
			}
		}
	}
	if s.mapping != nil {
		for name, flow := range s.mapping.Desired {
			for _, v := range flow.Text {
				for _, t := range x.names(name, v) {
					if by := led.Reserved(a.Directory, t.Attribute, t.Value); flow.Unique && r.o.Without.ReservesNames() && by != "" && by != c.CloudID {
						taken[term(name, v)] = true
					}
				}
			}
		}
	}
	c.Owned = func(g scoping.GUID) string { return owned[g] }
	c.Parted = func(g scoping.GUID) bool { return parted[g] }
	c.Known = func(g scoping.GUID) bool { return known[g] }
	c.Free = func(attribute, v string) bool {
		for _, n := range x.names(attribute, v) {
			t := term(n.Attribute, n.Value)
			if by, given := x.given[t]; given && by != s.id || slices.ContainsFunc(x.found[t], func(o provision.Found) bool { return !o.Deleted }) {
				return false
			}
		}
		return !taken[term(attribute, v)]
	}
	answers := map[string]ledger.HoldState{}
	now := r.o.Clock.Now().UnixMilli()
	c.FirstLeft = !led.Disabling[a.Name]
	for _, h := range led.Holds { // what a person answered about this source, whatever it was
		for _, e := range h.Entries {
			if e.Object == s.id && e.Feature == f {
				answers[e.Digest()], _ = led.Answered(ledger.Question{Engine: r.engine, Object: s.id, Feature: f, Grave: e.Grave}, now)
			}
		}
	}
	c.Answered = func(g ledger.Grave) ledger.HoldState { return answers[g.Digest()] }
}

// container finds where a mapping wants an object: the assignment's container, or one below it.
func (r *run) container(ctx context.Context, a scoping.Assignment, dn string) scoping.GUID {
	key := a.Directory + "\x00" + strings.ToLower(dn)
	if p, known := r.names[key]; known {
		return p.guid
	}
	guid, _, chain, err := r.o.Census.Resolve(ctx, a.Directory, dn)
	if err != nil || guid != a.Under.GUID && !slices.Contains(chain, a.Under.GUID) {
		guid = scoping.GUID{}
	}
	if r.names == nil {
		r.names = map[string]placed{}
	}
	r.names[key] = placed{guid, err}
	return guid
}

// nameNow is the DN of an assignment's container: it is the one with its objectGUID, and may have been renamed or moved since it was named. Of one that is not there it is the old one.
func (r *run) nameNow(ctx context.Context, a scoping.Assignment) string {
	if _, dn, _, err := r.o.Census.Resolve(ctx, a.Directory, "<GUID="+a.Under.GUID.String()+">"); err == nil {
		return dn
	}
	return a.Under.DN
}

// purged asks the tenant itself whether it has an object no more, among the living and the deleted ones.
func (r *run) purged(ctx context.Context, kind scoping.Kind, id string) bool {
	for _, deleted := range []bool{false, true} {
		if found, err := r.o.Tenant.Find(ctx, cloud.Key{Kind: kind, ID: id, Deleted: deleted}); err != nil || len(found) > 0 {
			return false
		}
	}
	return true
}
