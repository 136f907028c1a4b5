package provisioning

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// seen is what one controller showed in one round, and the names that this round uses.
type seen struct {
	domain string // DNS name of the directory's domain
	found  map[provision.Term][]provision.Found
	given  map[provision.Term]scoping.ObjectID
	// arriving are the values by which persons are told apart, of the sources that get an account in this round.
	arriving map[provision.Term]scoping.ObjectID
	// unmatched are the attributes by which persons are looked for that the engine does not write.
	unmatched []string
}

// term returns a value to be searched for, ignoring case.
func term(attribute, value string) provision.Term {
	return provision.Term{Attribute: strings.ToLower(attribute), Value: strings.ToLower(value)}
}

// names returns the values that a name takes from others: itself, and the other name to sign in with. An account name is also a sign-in name at the
// domain, whatever the user principal name is (MS-ADTS 5.1.1.1.1), and controllers refuse either of two equal ones.
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

// persons returns the terms by which accounts of a person are found. An account without a user principal name signs in with its account name at the
// domain.
func (x *seen) persons(by, v string) []provision.Term {
	if by == scoping.MatchUPN {
		return x.names(by, v)
	}
	return []provision.Term{{Attribute: by, Value: v}}
}

// holders returns the accounts of persons that have a value by which persons are told apart. A group or a contact with it only takes a name.
func (x *seen) holders(by, v string) (out []provision.Found) {
	for _, t := range x.persons(by, v) {
		for _, o := range x.found[term(t.Attribute, t.Value)] {
			if o.Class != "group" && o.Class != "contact" && (t.Attribute == by || first(value(o, by)) == "") {
				out = append(out, o)
			}
		}
	}
	return out
}

// candidates returns the values that an attribute may get.
func candidates(f engine.Flow) []string {
	if f.Unique {
		return f.Text
	}
	return f.Text[:min(1, len(f.Text))]
}

// look asks the controller for everything that decides about subjects: objects with their links, accounts that may be the persons', objects with
// their names.
func (r *run) look(ctx context.Context, a scoping.Assignment, f scoping.Feature, at controller, begin engine.MapBegin, subjects []*subject) (*seen, error) {
	x := &seen{domain: at.domain, found: map[provision.Term][]provision.Found{}, given: map[provision.Term]scoping.ObjectID{}, arriving: map[provision.Term]scoping.ObjectID{}}
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
			if s.mapping != nil && s.mapping.Desired[engine.CommonName].Unique { // it may have the name that it was made under
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
			for _, v := range candidates(s.mapping.Desired[by]) {
				for _, t := range x.persons(by, v) {
					ask(t.Attribute, t.Value)
				}
			}
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
	for _, by := range a.MatchOr() {
		if f == scoping.UserProvisioning && !slices.ContainsFunc(begin.Writes, func(n string) bool { return strings.EqualFold(n, by) }) {
			x.unmatched = append(x.unmatched, by)
		}
	}
	attributes := []string{"cn", "userAccountControl", a.LinkOr()}
	for _, n := range slices.Concat(begin.Writes, a.MatchOr(), []string{"displayName"}) {
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

// caseOf collects what decides about a subject.
func (r *run) caseOf(ctx context.Context, a scoping.Assignment, f scoping.Feature, s *subject, x *seen) Case {
	kind := kindOf(f)
	c := Case{Unmatched: x.unmatched, Without: r.o.Without, Object: s.id, CloudID: CloudID(s.id), Kind: kind, Assignment: a, Leaving: a.LeavingOr(r.partition.Defaults()), Why: s.why, Link: linkOf(&a, kind, CloudID(s.id)),
		Row: s.row, Mapping: s.mapping, Ends: s.ends, ByLink: x.found[term(a.LinkOr(), LinkValue(kind, CloudID(s.id)))]}
	for _, o := range assignments(r.partition, r.engine) {
		if o.Directory == a.Directory && o.Under.GUID != a.Under.GUID && slices.Contains(o.Features, f) { // a container for groups is none for users
			c.Roots = append(c.Roots, o.Under.GUID)
		}
	}
	if s.why == Purged {
		c.Why, c.Purge = r.purge(ctx, f, s)
	}
	if s.row != nil {
		for _, o := range x.found[term("objectGUID", s.row.Object.GUID.String())] {
			if o.Object == s.row.Object.GUID {
				c.Found = &o
			}
		}
		sight := r.sight(s.row, f)
		c.Outside, c.Reading, c.Lives = r.strays(a, s.row.Object.GUID, c.Roots...), sight.Reading, sight.Known && !sight.Deleted
		c.Fresh = r.o.Steady() < s.row.Wrote+replication.Milliseconds()
	}
	if s.mapping != nil {
		c.Container = r.container(ctx, a, s.mapping.Container)
		for _, by := range a.MatchOr() {
			for _, v := range candidates(s.mapping.Desired[by]) {
				if v == "" || s.row != nil || kind != scoping.User {
					continue
				}
				for _, o := range x.holders(by, v) {
					c.ByPerson = append(c.ByPerson, Person{o, by, v})
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(s.mapping.Desired)) {
			if flow := s.mapping.Desired[name]; s.row == nil && flow.Unique && name != engine.CommonName {
				c.ByName = append(c.ByName, x.found[term(name, first(flow.Text))]...)
			}
		}
	}
	r.o.Gate.Read(func(led *ledger.State) { r.remember(led, a, f, s, x, &c) })
	return c
}

// remember adds what the ledger knows. Values behind the functions of a case are looked up now, as the functions are called without the lock.
func (r *run) remember(led *ledger.State, a scoping.Assignment, f scoping.Feature, s *subject, x *seen, c *Case) {
	owned, parted, known, taken, below := map[scoping.GUID]string{}, map[scoping.GUID]bool{}, map[scoping.GUID]bool{}, map[provision.Term]bool{}, map[scoping.GUID]bool{}
	others := slices.Concat(c.ByLink, c.ByName)
	for _, p := range c.ByPerson {
		others = append(others, p.Found)
	}
	for _, o := range others {
		below[o.Object] = !r.strays(a, o.Object)
		if row := led.Rows.Get(scoping.ObjectID{Directory: a.Directory, GUID: o.Object}); row != nil {
			owned[o.Object], parted[o.Object] = row.CloudID, row.Cloud != 0 && row.State == ledger.ParkedRow && !r.takes(row.CloudID)
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
	c.Below = func(g scoping.GUID) bool { return below[g] }
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
	if s.row == nil && s.mapping != nil {
		c.Rival = r.rival(led, a, s, x, c.Free)
	}
	answers := map[string]ledger.HoldState{}
	now := r.o.Clock.Now().UnixMilli()
	c.FirstLeft = !led.Disabling[a.Name]
	for _, h := range led.Holds { // a person's answers about this source, to any question
		for _, e := range h.Entries {
			if e.Object == s.id && e.Feature == f {
				answers[e.Digest()], _ = led.Answered(ledger.Question{Engine: r.engine, Object: s.id, Feature: f, Grave: e.Grave}, now)
			}
		}
	}
	c.Answered = func(g ledger.Grave) ledger.HoldState { return answers[g.Digest()] }
}

// takes reports whether an assignment selects an object of the tenant now: the account of a person who came back and is not settled yet is not free.
func (r *run) takes(cloudID string) bool {
	id, err := scoping.Cloud(cloudID)
	return err == nil && r.by[id] != nil
}

// rival returns another object of the tenant that is the same person by an attribute of the assignment, and gets an account in this round or by a
// write without an end: controllers do not show that account yet.
func (r *run) rival(led *ledger.State, a scoping.Assignment, s *subject, x *seen, free func(attribute, v string) bool) string {
	for _, by := range a.MatchOr() {
		for _, v := range candidates(s.mapping.Desired[by]) {
			if v == "" {
				continue
			}
			if other, given := x.arriving[term(by, v)]; given && other != s.id {
				return CloudID(other)
			}
			if other := led.Reserved(a.Directory, by, v); other != "" && other != CloudID(s.id) {
				return other
			}
			if free(by, v) {
				break
			}
		}
	}
	return ""
}

// strays reports whether an object is outside an assignment's container, by the census. An object that the census does not see yet counts as outside:
// everything that depends on it is asked again. With roots, being below one of these suffices.
func (r *run) strays(a scoping.Assignment, g scoping.GUID, roots ...scoping.GUID) bool {
	chain := r.o.Census.Brief(scoping.ObjectID{Directory: a.Directory, GUID: g}).Chain
	return !slices.ContainsFunc(append(roots, a.Under.GUID), func(root scoping.GUID) bool { return slices.Contains(chain, root) })
}

// container returns where a mapping wants an object: the assignment's container, or one below it.
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

// nameNow returns the present DN of an assignment's container, which may have been renamed or moved since it was named; if it does not exist, the
// former one.
func (r *run) nameNow(ctx context.Context, a scoping.Assignment) string {
	if _, dn, _, err := r.o.Census.Resolve(ctx, a.Directory, "<GUID="+a.Under.GUID.String()+">"); err == nil {
		return dn
	}
	return a.Under.DN
}

// betweenLooks is the time between two looks at the tenant that find no object, if the tenant did not report that it was deleted for good.
const betweenLooks = 24 * time.Hour

// purge asks the tenant whether an object does not exist any more, neither live nor deleted. That proves something only if it was missing before: for
// the tenant's delay if its delta reported that the object was deleted for good, otherwise for a day. If the tenant does not allow the read, that is
// no evidence.
func (r *run) purge(ctx context.Context, f scoping.Feature, s *subject) (Why, Purge) {
	for _, deleted := range []bool{false, true} {
		if found, err := r.o.Tenant.Find(ctx, cloud.Key{Kind: kindOf(f), ID: CloudID(s.id), Deleted: deleted}); err != nil || len(found) > 0 {
			return Left, Purge{}
		}
	}
	var last ledger.Unsettled
	asked := false
	r.o.Gate.Read(func(led *ledger.State) { last, asked = led.Unsettled[s.id][f], led.DeleteAsked(s.id) })
	if asked { // the evidence was there when a person was asked
		return Purged, Purge{}
	}
	code := gate.Code(last.Reason)
	if code != CodePurging && r.o.Cache.Purged(CloudID(s.id)) {
		code, last.Since = CodePurging, r.o.Clock.Now().UnixMilli()
	} else if code != CodePurging && code != CodeNoPurge {
		code, last.Since = CodeNoPurge, r.o.Clock.Now().UnixMilli()
	}
	wait, why := betweenLooks, "the tenant does not show it any more, and did not say that it was deleted for good"
	if code == CodePurging {
		wait, why = r.o.Cache.Delay(), "the tenant says that it was deleted for good"
	}
	if at := time.UnixMilli(last.Since).Add(wait); r.o.Clock.Now().Before(at) {
		return Purged, Purge{code, fmt.Sprintf("%s: it is looked for once more after %s, before its account is deleted", why, at.UTC().Format(time.RFC3339))}
	}
	return Purged, Purge{}
}
