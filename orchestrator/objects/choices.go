package objects

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/scoping"
)

// Choose passes the census the choices of the partition in force, of hand-overs of waves that are not over, and of the present plan. The census may
// read members of groups for it.
func (v *View) Choose(ctx context.Context) error {
	c, err := v.control.View(ctx)
	if err != nil {
		return err
	}
	if c.Partition != nil {
		var links []string
		for _, a := range c.Partition.Provisioning() {
			links = append(links, a.LinkOr())
		}
		v.census.Links(links)
	}
	by := map[scoping.GUID]scoping.Choice{}
	for _, x := range c.Choices(v.census.Names()) {
		by[x.ID] = x
	}
	v.mu.Lock()
	for _, x := range v.planned { // they stay until another plan, since apply follows
		by[x.ID] = x
	}
	v.mu.Unlock()
	return v.census.Choose(ctx, slices.SortedFunc(maps.Values(by), func(x, y scoping.Choice) int { return x.ID.Compare(y.ID) }))
}

// ChoosePlanned adds the choices of a partition that is not in force, so that places tell which of them take an object.
func (v *View) ChoosePlanned(ctx context.Context, p *scoping.Partition) error {
	v.mu.Lock()
	told := v.told == p && p != nil
	v.mu.Unlock()
	if told {
		return nil
	}
	var all []scoping.Choice
	for _, n := range v.census.Names() {
		all = append(all, p.Choices(n)...)
	}
	mine := v.plan(all)
	if err := v.Choose(ctx); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.plans == mine {
		v.told = p
	}
	return nil
}

// plan replaces the planned choices, and returns how often that was done.
func (v *View) plan(choices []scoping.Choice) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.planned, v.told = choices, nil
	v.plans++
	return v.plans
}

// ChooseAlso adds choices that are not in force, in place of those of the last call.
func (v *View) ChooseAlso(ctx context.Context, choices []scoping.Choice) error {
	v.plan(choices)
	return v.Choose(ctx)
}

// PinnedGroup is a group that the policy selects members of and that was deleted or emptied: its membership is pinned, so that no object changes
// owner by it (rule T3).
type PinnedGroup struct {
	Group       scoping.ObjectID
	Name        string // its DN when last seen
	Why         string // census.Vanished or census.Emptied
	Assignments []string
	Choices     []scoping.Choice // those in force
}

// Chooses reports whether a scope is about objects that are chosen by the group.
func (f PinnedGroup) Chooses(s scoping.Scope) bool {
	return slices.ContainsFunc(f.Choices, func(c scoping.Choice) bool { return slices.Contains(s.With, c.ID) })
}

// Left reports whether a partition does not depend on the group any more.
func (f PinnedGroup) Left(p *scoping.Partition) bool {
	return !slices.ContainsFunc(p.Choices(f.Group.Directory), func(x scoping.Choice) bool {
		return slices.ContainsFunc(f.Choices, func(c scoping.Choice) bool { return c.ID == x.ID })
	})
}

// String describes what is wrong and how it is fixed.
func (f PinnedGroup) String() string {
	chooses := "by whose members the policy chooses"
	if len(f.Assignments) > 0 {
		chooses = "by whose members assignment " + strings.Join(f.Assignments, ", ") + " chooses"
	}
	if f.Why == census.Vanished {
		return fmt.Sprintf("group %s, %s, is gone from the directory: nobody's engine changes because of that. Restore it, or plan a policy that names another group or drops the assignment", f.Name, chooses)
	}
	return fmt.Sprintf("group %s, %s, has no members any more: nobody's engine changes because of that. Give it members again, or plan a policy without the assignment if everybody is to leave it", f.Name, chooses)
}

// Pinned returns the groups with pinned membership, in order.
func (v *View) Pinned() []PinnedGroup {
	p := v.gate.Authority().Partition
	if p == nil {
		return nil
	}
	var out []PinnedGroup
	for _, f := range v.census.Pinned() {
		g := PinnedGroup{Group: f.Group, Name: f.Name, Why: f.Why, Assignments: []string{}}
		for _, c := range p.Choices(f.Group.Directory) {
			if slices.Contains(f.Choices, c.ID) {
				g.Choices = append(g.Choices, c)
			}
		}
		for _, a := range p.Policy().Assignments {
			if slices.ContainsFunc(g.Choices, func(c scoping.Choice) bool { return c.Of(a) }) {
				g.Assignments = append(g.Assignments, a.Name)
			}
		}
		if len(g.Choices) > 0 { // no owner depends on other choices
			out = append(out, g)
		}
	}
	return out
}
