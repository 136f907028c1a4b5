package provisioning

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// arrive answers for a source that was never brought: by link, an object with Tandem's link, an account that may be the person's, or create (J1
// reversed).
func (c Case) arrive() Verdict {
	switch {
	case c.Why != Taken:
		return Verdict{Outcome: engine.Unchanged, Settles: true}
	case c.Mapping.Want == engine.Unknown:
		return refused(engine.Failed, CodeUnmapped, "its engine cannot say what it should be: %s", c.Mapping.Reason)
	case c.Mapping.Want == engine.Excluded:
		v := refused(engine.Unchanged, CodeExcluded, "%s", c.Mapping.Reason)
		v.Settles = true
		return v
	}
	if len(c.Unmatched) > 0 && c.Without.LooksForPersons() {
		by := strings.Join(c.Unmatched, " and ")
		return refused(engine.Failed, CodeUnmatched, "assignment %q looks for persons by %s, which the mapping of its engine does not write: map it, or name in match what is mapped", c.Assignment.Name, by)
	}
	if v, found := c.planted(); found {
		return v
	}
	if v, found := c.person(); found {
		return v
	}
	if c.Rival != "" && c.Without.LooksForPersons() {
		return refused(engine.Failed, CodeLinked, "%s of the tenant is the same person by %s, and gets an account now", c.Rival, strings.Join(c.Assignment.MatchOr(), " or "))
	}
	return c.beside(c.create())
}

// planted answers for an object that shows the link of a source that was never brought. It is joined only if a person says so, and not if the ledger
// links it with another source.
func (c Case) planted() (Verdict, bool) {
	living := slices.DeleteFunc(slices.Clone(c.ByLink), func(f provision.Found) bool { return f.Deleted })
	if len(living) == 0 || !c.Without.HoldsLinks() {
		return Verdict{}, false
	}
	f := living[0]
	switch {
	case len(living) > 1:
		return refused(engine.Held, CodeDoubled, "%s and %s show its link: take the value of %s away where it does not belong", f.DN, living[1].DN, c.Link.Attribute), true
	case c.Owned(f.Object) != "" && !c.Parted(f.Object):
		return refused(engine.Held, CodePlanted, "%s shows its link, and belongs to %s of the tenant: take the value of %s away there", f.DN, c.Owned(f.Object), c.Link.Attribute), true
	case never(f) != "": // an approval would have no effect
		return refused(engine.Held, CodePlanted, "%s shows its link, and is never written: %s: take the value of %s away there", f.DN, never(f), c.Link.Attribute), true
	case !c.Below(f.Object):
		return refused(engine.Held, CodePlanted, "%s shows its link, no write of this installation made it, and it lies outside the container: take the value of %s away, or move it there", f.DN, c.Link.Attribute), true
	}
	return c.ask(CodePlanted, f, "%s shows its link, and no write of this installation made it", f.DN), true
}

// never returns why an object that was found is never joined or written, or "".
func never(f provision.Found) string {
	if f.Protected == "" && f.Class == "computer" {
		return "it is a computer"
	}
	return f.Protected
}

// person answers for an account in the domain that may be this person's: it is joined only if a person says so, and never made twice. Accounts that
// live come first: what a person says about a deleted one has no effect beside one that lives.
func (c Case) person() (Verdict, bool) {
	if !c.Without.LooksForPersons() {
		return Verdict{}, false
	}
	for _, deleted := range []bool{false, true} {
		for _, by := range c.Assignment.MatchOr() {
			for _, p := range c.persons() {
				if p.By != by || p.Deleted != deleted {
					continue
				}
				if v, found := c.samePerson(p); found {
					return v, true
				}
			}
		}
	}
	return Verdict{}, false
}

// persons returns the accounts that may be this person's, by the values up to the first that it can have: a candidate that is free is given, and who
// has a later one is another person. A candidate that is taken by name only, such as by an account that another source gets now, leads to the next
// candidate, whose holder may be this person.
func (c Case) persons() (out []Person) {
	for _, p := range c.ByPerson {
		all := candidates(c.Mapping.Desired[p.By])
		earlier := all[:max(0, slices.Index(all, p.Value))]
		if !slices.ContainsFunc(earlier, func(v string) bool { return c.Free(p.By, v) }) {
			out = append(out, p)
		}
	}
	return out
}

// samePerson answers for one account that may be this person's. A deleted one that nothing else speaks against is asked about by beside.
func (c Case) samePerson(p Person) (Verdict, bool) {
	owner := c.Owned(p.Object)
	switch {
	case never(p.Found) != "":
		return refused(engine.Failed, CodeProtected, "%s has the same %s, and is never written: %s", p.DN, p.By, never(p.Found)), true
	case owner != "" && !c.Parted(p.Object):
		return refused(engine.Failed, CodeLinked, "%s has the same %s, and belongs to %s of the tenant", p.DN, p.By, owner), true
	case p.Deleted:
		return Verdict{}, false
	case !c.Below(p.Object):
		return refused(engine.Held, CodeJoinOutside, "%s has the same %s, and lies outside the container: move it there, and it is asked whether it is joined; nothing is made beside it", p.DN, p.By), true
	case owner != "":
		return c.ask(CodeRelink, p.Found, "%s has the same %s, and is of somebody who left: %s of the tenant", p.DN, p.By, owner), true
	}
	return c.ask(CodeJoin, p.Found, "%s has the same %s", p.DN, p.By), true
}

// beside answers whether an account is made beside those that may be this person's and cannot be joined: a person is asked about all of them at once,
// and only if the account can be made. [An approval counts for a day. Where it was followed by another question, or by an obstacle that no person's
// word ends, it went by unused, and the same was asked every day.]
func (c Case) beside(made Verdict) Verdict {
	var open []ledger.HeldEntry
	var notes []string
	for _, q := range slices.Concat(c.deleted(), c.alike()) {
		switch said := c.Answered(q.Grave); {
		case said == ledger.HoldApproved, slices.ContainsFunc(open, func(o ledger.HeldEntry) bool { return o.Digest() == q.Digest() }):
		case made.Write == nil:
			made.Findings = append(made.Findings, Finding{gate.Code(q.Op), q.Note})
		case said == ledger.HoldRejected:
			return refused(engine.Refused, gate.CodeRejected, "a person rejected that an account is made: %s", q.Note)
		default:
			open, notes = append(open, q), append(notes, q.Note)
		}
	}
	if len(open) == 0 {
		return made
	}
	return c.held(gate.Code(open[0].Op), strings.Join(notes, "; and "), open...)
}

// deleted returns the questions about deleted accounts of this person, and about other deleted objects that show the link of this source. [A group was
// made and the answer was lost; an administrator deleted it before its controller was asked. Another one was made without a question, and there were
// two of them as soon as the first was restored.]
func (c Case) deleted() (out []ledger.HeldEntry) {
	asked := map[scoping.GUID]bool{}
	for _, p := range c.persons() {
		if p.Deleted && c.Without.LooksForPersons() {
			asked[p.Object] = true
			out = append(out, c.entry(c.question(CodeJoin, p.Found), "%s has the same %s, and is deleted: restore it, or approve that a new account is made", p.DN, p.By))
		}
	}
	for _, f := range c.ByLink {
		if f.Deleted && !asked[f.Object] && c.Owned(f.Object) == "" && c.Without.HoldsLinks() {
			out = append(out, c.entry(c.question(CodePlanted, f), "%s shows its link, and is deleted: restore it, or approve that a new one is made", f.DN))
		}
	}
	return out
}

// alike returns the questions about unlinked accounts with the name and display name that this person would get, and without a value of the attribute
// by which persons are told apart: such an account may be this person's, made by hand. A person answers that it is another one's; it is joined once
// the account has the value.
func (c Case) alike() (out []ledger.HeldEntry) {
	called, by := first(c.Mapping.Desired["displayName"].Text), c.Assignment.MatchOr()[0]
	for _, f := range c.ByName {
		if f.Deleted || called == "" || !c.Without.LooksForPersons() || c.Owned(f.Object) != "" || !strings.EqualFold(first(value(f, "displayName")), called) {
			continue
		}
		if first(value(f, by)) != "" {
			continue // the account has the value, and was searched for by it
		}
		out = append(out, c.entry(c.question(CodeLookAlike, f), "%s has the name that it would get, is called alike and has no %s: write the %s there if it is this person, or approve that another account is made", f.DN, by, by))
	}
	return out
}

// question is the grave part of a question about an object that was found.
func (c Case) question(code gate.Code, f provision.Found) ledger.Grave {
	g := ledger.Grave{Op: string(code), Target: c.CloudID, Detail: f.Object.String()}
	if f.Deleted { // who approves that another one is made does not approve that this one, restored meanwhile, is joined
		g.Detail += " deleted"
	}
	return g
}

// ask holds a question about an object that was found. Once approved, the object is joined: it gets the link, and then the tenant's values.
func (c Case) ask(code gate.Code, f provision.Found, format string, args ...any) Verdict {
	g := c.question(code, f)
	switch c.Answered(g) {
	case ledger.HoldApproved:
		w := c.write(provision.Join)
		w.Object, w.WasLink, w.Origin, w.Class, w.Grave, w.Approved = f.Object, first(value(f, c.Link.Attribute)), ledger.Joined, ledger.Adoptions, g.Digest(), true
		return Verdict{Outcome: engine.Applied, Write: w}
	case ledger.HoldRejected:
		return refused(engine.Refused, gate.CodeRejected, "a person rejected it")
	}
	q := c.entry(g, format, args...)
	return c.held(code, q.Note, q)
}

// entry is a question of a held set.
func (c Case) entry(g ledger.Grave, format string, args ...any) ledger.HeldEntry {
	return ledger.HeldEntry{Object: c.Object, Kind: c.Kind, Feature: scoping.ProvisioningOf(c.Kind), Name: c.name(), Note: fmt.Sprintf(format, args...), Grave: g}
}

// held returns a verdict that waits for a person's answers.
func (c Case) held(code gate.Code, reason string, questions ...ledger.HeldEntry) Verdict {
	v := refused(engine.Held, code, "%s", reason)
	v.Holds = questions
	v.Class, v.Always = ledger.Adoptions, "somebody in the directory may be who is brought from the tenant: tenant → directory"
	return v
}

func (c Case) name() string {
	if c.Row != nil && c.Row.Name != "" {
		return c.Row.Name
	}
	if c.Mapping != nil && len(c.Mapping.Desired[engine.CommonName].Text) > 0 {
		return c.Mapping.Desired[engine.CommonName].Text[0]
	}
	return c.Object.String()
}

// create makes the object, disabled and under its link's name; later writes complete it.
func (c Case) create() Verdict {
	if c.Container.IsZero() {
		return refused(engine.Failed, CodeNoContainer, "container %s is not there", c.Mapping.Container)
	}
	w := c.write(provision.Add)
	w.Container, w.Origin = c.Container, ledger.Created
	for _, name := range slices.Sorted(maps.Keys(c.Mapping.Desired)) {
		f := c.Mapping.Desired[name]
		if name == engine.CommonName || name == engine.AccountDisabled || len(f.Text) == 0 {
			continue
		}
		text := f.Text
		if f.Unique {
			i := slices.IndexFunc(f.Text, func(v string) bool { return c.Free(name, v) })
			if i < 0 {
				return refused(engine.Failed, CodeNamesTaken, "every candidate for %s is somebody else's: %s", name, strings.Join(f.Text, ", "))
			}
			text = f.Text[i : i+1]
			w.Unique = append(w.Unique, name)
		}
		w.Set = append(w.Set, provision.Set{Attribute: name, To: text})
	}
	return Verdict{Outcome: engine.Applied, Write: w}
}
