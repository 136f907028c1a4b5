package scoping

import (
	"fmt"
	"slices"
	"strings"
)

// Change is one thing that a policy says otherwise than the one in force, and that hands nothing over. It is in words, for people.
type Change struct {
	What string `json:"what"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Restate puts in force what a new policy says beside who owns what: defaults, the file of matches, and, wherever its engine is the one
// that owns already, the names of assignments and containers and what happens to leavers. Everything else stays as it is, for hand-overs
// to change: p's engines and epochs. Where nothing is to be handed over the result is the new policy as it stands. Its revision is one higher; the
// changes are those in words, and without any the result is p itself.
func (p *Partition) Restate(new *Partition) (*Partition, []Change) {
	r := restating{old: p, new: new}
	out := p.shallow()
	out.revision++
	out.defaults, out.matches, out.provisioning = new.defaults, new.matches, new.provisioning
	out.overlay(p, new, p.on, directoriesOf(p, new), r.merge)
	out.assignments = out.derive()
	changes := slices.Concat(defaultsChanges(p.defaults, new.defaults), matchesChange(p.matches, new.matches), targetChanges(p.provisioning, new.provisioning), p.renames(new), r.changes)
	if len(Diff(p, new)) == 0 {
		out = new.Succeed(p, Epoch{})
		changes = append(changes, featureChanges(p.features, new.features)...)
	}
	if len(changes) == 0 {
		return p, nil
	}
	return out, changes
}

// Again gives the same partition as the next revision: something that belongs to it is put in force anew.
func (p *Partition) Again() *Partition {
	out := p.shallow()
	out.revision++
	return out
}

// restating gathers what a new policy says otherwise of objects whose engine stays.
type restating struct {
	old, new *Partition
	changes  []Change
}

func (r *restating) merge(is, was Owner) Owner {
	if is.Engine != was.Engine {
		return was
	}
	if !is.Managed {
		return is
	}
	is.Epoch = was.Epoch
	r.note(was, is)
	return is
}

// note puts an owner's change in words, once.
func (r *restating) note(was, is Owner) {
	name := fmt.Sprintf("assignment %q", is.Assignment)
	add := func(c Change) {
		if c.From != c.To && !slices.Contains(r.changes, c) {
			r.changes = append(r.changes, c)
		}
	}
	if was.Managed && was.Assignment != "" {
		add(Change{name + ", what it was called", was.Assignment, is.Assignment})
	}
	inherited := was.Leaving == r.old.defaults.Leaving && is.Leaving == r.new.defaults.Leaving // the change of the default says it
	if is.Engine == None && was.Managed && !inherited {
		add(Change{name + ", leaving", string(was.Leaving), string(is.Leaving)})
	}
	if is.Engine == None && !was.Managed {
		add(Change{name, "outside of every assignment", "engine none, leaving " + string(is.Leaving)})
	}
}

func defaultsChanges(was, is Defaults) (out []Change) {
	for _, c := range []Change{
		{"defaults: softMatch", fmt.Sprint(was.SoftMatch), fmt.Sprint(is.SoftMatch)},
		{"defaults: conflicts", was.ConflictsRule(), is.ConflictsRule()},
		{"defaults: members", was.MembersRule(), is.MembersRule()},
		{"defaults: deleteThreshold objects", fmt.Sprint(was.DeleteThreshold.Objects), fmt.Sprint(is.DeleteThreshold.Objects)},
		{"defaults: deleteThreshold percent", fmt.Sprint(was.DeleteThreshold.Percent), fmt.Sprint(is.DeleteThreshold.Percent)},
		{"defaults: upn unverifiedSuffix", was.UPN.UnverifiedSuffix, is.UPN.UnverifiedSuffix},
		{"defaults: upn changes", was.UPN.Changes, is.UPN.Changes},
		{"defaults: temporaryPasswords", fmt.Sprint(was.TemporaryPasswords), fmt.Sprint(is.TemporaryPasswords)},
		{"defaults: leaving", string(was.Leaving), string(is.Leaving)},
		{"defaults: extensions", strings.Join(slices.Sorted(slices.Values(was.Extensions)), ", "), strings.Join(slices.Sorted(slices.Values(is.Extensions)), ", ")},
		{"defaults: attributes leaveOut", strings.Join(slices.Sorted(slices.Values(was.Attributes.LeaveOut)), ", "), strings.Join(slices.Sorted(slices.Values(is.Attributes.LeaveOut)), ", ")},
	} {
		if c.From != c.To {
			out = append(out, c)
		}
	}
	return out
}

func matchesChange(was, is string) []Change {
	if was == is {
		return nil
	}
	return []Change{{"matches", was, is}}
}

// targetChanges tells of assignments from the tenant into directories: they hand nothing over.
func targetChanges(was, is []Assignment) (out []Change) {
	words := func(all []Assignment, name string) string {
		for _, a := range all {
			if a.Name == name {
				return a.inWords()
			}
		}
		return ""
	}
	for _, a := range slices.Concat(is, was) {
		c := Change{fmt.Sprintf("assignment %q, tenant to directory", a.Name), words(was, a.Name), words(is, a.Name)}
		if c.From != c.To && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

// inWords says what an assignment from the tenant into a directory says.
func (a *Assignment) inWords() string {
	var groups []string
	for _, g := range a.From.Groups {
		groups = append(groups, fmt.Sprintf("%s (%s)", g.Name, g.ID))
	}
	return fmt.Sprintf("%s by %s from groups %s to %s, link %s, match %s, leaving %s, priority %d", quoted(a.Features), a.Engine, strings.Join(groups, ", "), a.Under.DN, a.LinkOr(),
		strings.Join(a.MatchOr(), ", "), a.Leaving, a.Priority)
}

func featureChanges(was, is []Feature) []Change {
	if slices.Equal(was, is) {
		return nil
	}
	return []Change{{"features", quoted(was), quoted(is)}}
}

// renames gives the containers and groups that both policies name and that the new one calls otherwise: their identity is the same.
func (p *Partition) renames(new *Partition) (out []Change) {
	for _, name := range directoriesOf(p, new) {
		was := p.named(name)
		for _, is := range new.named(name) {
			i := slices.IndexFunc(was, func(x Pin) bool { return x.GUID == is.GUID })
			if i < 0 || sameDN(was[i].DN, is.DN) {
				continue
			}
			out = append(out, Change{"name in the directory", was[i].DN, is.DN})
		}
	}
	return out
}

// named gives the containers and groups that the assignments of a directory name, each once.
func (p *Partition) named(directory string) (out []Pin) {
	for _, a := range slices.Concat(p.assignments, p.provisioning) {
		if a.Directory != directory {
			continue
		}
		for _, x := range slices.Concat([]Pin{a.Under}, a.Except, []Pin{a.Selector.MemberOf}) {
			if !x.GUID.IsZero() && !slices.ContainsFunc(out, func(y Pin) bool { return y.GUID == x.GUID }) {
				out = append(out, x)
			}
		}
	}
	return out
}

// sameDN compares names as the directory does; one that cannot be read is another.
func sameDN(a, b string) bool {
	x, err1 := ParseDN(a)
	y, err2 := ParseDN(b)
	return a == b || err1 == nil && err2 == nil && x.Equal(y)
}
