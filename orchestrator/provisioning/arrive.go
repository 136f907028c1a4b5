package provisioning

import (
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
	if v, found := c.planted(); found {
		return v
	}
	if v, found := c.person(); found {
		return v
	}
	if c.Rival != "" && c.Without.LooksForPersons() {
		return refused(engine.Failed, CodeLinked, "%s of the tenant is the same person by %s, and gets an account now", c.Rival, strings.Join(c.Assignment.MatchOr(), " or "))
	}
	if v, found := c.alike(); found {
		return v
	}
	if c.Container.IsZero() {
		return refused(engine.Failed, CodeNoContainer, "container %s is not there", c.Mapping.Container)
	}
	return c.create()
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
	case !c.Below(f.Object):
		return refused(engine.Held, CodePlanted, "%s shows its link, no write of this installation made it, and it lies outside the container: take the value of %s away, or move it there", f.DN, c.Link.Attribute), true
	}
	return c.ask(CodePlanted, f, "%s shows its link, and no write of this installation made it", f.DN), true
}

// alike answers for an unlinked account with the name and display name that this person would get, and without a value of the attribute by which
// persons are told apart: it may be this person's, made by hand. A person answers that it is another one's; it is joined once the account has the
// value.
func (c Case) alike() (Verdict, bool) {
	called := first(c.Mapping.Desired["displayName"].Text)
	for _, f := range c.ByName {
		if f.Deleted || called == "" || !c.Without.LooksForPersons() || c.Owned(f.Object) != "" || !strings.EqualFold(first(value(f, "displayName")), called) {
			continue
		}
		by := c.Assignment.MatchOr()[0]
		if first(value(f, by)) != "" {
			continue // the account has the value, and was searched for by it
		}
		g := c.question(CodeLookAlike, f)
		if c.Answered(g) == ledger.HoldApproved {
			continue
		}
		v := c.held(CodeLookAlike, g, "%s has the name that it would get, is called alike and has no %s: write the %s there if it is this person, or approve that another account is made", f.DN, by, by)
		if c.Answered(g) == ledger.HoldRejected {
			return refused(engine.Refused, gate.CodeRejected, "a person rejected that an account is made beside %s", f.DN), true
		}
		return v, true
	}
	return Verdict{}, false
}

// person answers for an account in the domain that may be this person's: it is joined only if a person says so, and never made twice.
func (c Case) person() (Verdict, bool) {
	if !c.Without.LooksForPersons() {
		return Verdict{}, false
	}
	isDeleted := func(p Person) bool { return p.Deleted }
	living := slices.DeleteFunc(slices.Clone(c.ByPerson), isDeleted) // first: what a person says about one that is deleted comes to nothing beside one that lives
	found := append(living, slices.DeleteFunc(slices.Clone(c.ByPerson), func(p Person) bool { return !p.Deleted })...)
	for _, by := range c.Assignment.MatchOr() {
		for _, p := range found {
			if p.By != by {
				continue
			}
			switch {
			case p.Protected != "" || p.Class == "computer":
				return refused(engine.Failed, CodeProtected, "%s has the same %s, and is never written: %s", p.DN, by, p.Protected), true
			case !p.Deleted && !c.Below(p.Object) && (c.Owned(p.Object) == "" || c.Parted(p.Object)):
				return refused(engine.Held, CodeJoinOutside, "%s has the same %s, and lies outside the container: move it there, and it is asked whether it is joined; nothing is made beside it", p.DN, by), true
			case c.Owned(p.Object) != "" && !c.Parted(p.Object):
				return refused(engine.Failed, CodeLinked, "%s has the same %s, and belongs to %s of the tenant", p.DN, by, c.Owned(p.Object)), true
			case p.Deleted && c.Answered(c.question(CodeJoin, p.Found)) == ledger.HoldApproved:
				continue // a person said that a new one is to be made
			case p.Deleted:
				return c.ask(CodeJoin, p.Found, "%s has the same %s, and is deleted: restore it, or approve that a new account is made", p.DN, by), true
			case c.Owned(p.Object) != "":
				return c.ask(CodeRelink, p.Found, "%s has the same %s, and is of somebody who left: %s of the tenant", p.DN, by, c.Owned(p.Object)), true
			}
			return c.ask(CodeJoin, p.Found, "%s has the same %s", p.DN, by), true
		}
	}
	return Verdict{}, false
}

// question is the grave part of a question about an object that was found.
func (c Case) question(code gate.Code, f provision.Found) ledger.Grave {
	return ledger.Grave{Op: string(code), Target: c.CloudID, Detail: f.Object.String()}
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
	return c.held(code, g, format, args...)
}

// held returns a verdict that waits for a person.
func (c Case) held(code gate.Code, g ledger.Grave, format string, args ...any) Verdict {
	v := refused(engine.Held, code, format, args...)
	v.Hold = &ledger.HeldEntry{Object: c.Object, Kind: c.Kind, Feature: scoping.ProvisioningOf(c.Kind), Name: c.name(), Note: v.Reason, Grave: g}
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
