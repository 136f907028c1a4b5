package scoping

import "slices"

// Locate says where a pinned container is now; ok is false when the directory has it no more. The census answers it.
type Locate func(ObjectID) (now Pin, ok bool)

// The ways in which a pinned container drifts from what the policy says.
const (
	Renamed  = "renamed"  // another name in the same container
	Moved    = "moved"    // in another container
	Shifted  = "shifted"  // it stayed where it was, but a container above it was renamed
	Vanished = "vanished" // deleted, or out of sight

	// Recreated: gone, and another container has its name now. What lies in that one belongs to whoever owns what is above: the
	// policy means the old one until it is put in force anew.
	Recreated = "re-created"
)

// Drift is one pinned container that is no longer what the policy says. Its owners are unchanged all the same.
type Drift struct {
	Directory   string   `json:"directory"`
	GUID        GUID     `json:"guid"`
	What        string   `json:"what"`
	Was         string   `json:"was"`
	Now         string   `json:"now,omitempty"`
	Assignments []string `json:"assignments"` // that name it
}

// Drift compares the pins with the directory as it is.
func (p *Partition) Drift(locate Locate) []Drift {
	var out []Drift
	for _, d := range p.parts {
		for n := range d.tree.nodes {
			was := d.tree.pin(int32(n))
			if was.DN == "" {
				continue
			}
			now, ok := locate(ObjectID{Directory: d.name, GUID: was.GUID})
			what := drifted(was, now, ok)
			if what == "" || len(p.naming(d.name, was.GUID)) == 0 {
				continue
			}
			out = append(out, Drift{Directory: d.name, GUID: was.GUID, What: what, Was: was.DN, Now: now.DN,
				Assignments: p.naming(d.name, was.GUID)})
		}
		out = append(out, p.groupDrift(d.name, locate)...)
	}
	return out
}

// groupDrift compares the groups by which objects are chosen with the directory as it is.
func (p *Partition) groupDrift(directory string, locate Locate) (out []Drift) {
	seen := map[GUID]bool{}
	for _, c := range p.Choices(directory) {
		was := c.MemberOf
		if was.GUID.IsZero() || seen[was.GUID] {
			continue
		}
		seen[was.GUID] = true
		now, ok := locate(ObjectID{Directory: directory, GUID: was.GUID})
		if what := drifted(was, now, ok); what != "" {
			out = append(out, Drift{Directory: directory, GUID: was.GUID, What: what, Was: was.DN, Now: now.DN, Assignments: p.naming(directory, was.GUID)})
		}
	}
	return out
}

func drifted(was, now Pin, ok bool) string {
	if !ok {
		return Vanished
	}
	if len(was.Ancestors) > 0 && (len(now.Ancestors) == 0 || was.Ancestors[0] != now.Ancestors[0]) {
		return Moved
	}
	a, err1 := ParseDN(was.DN)
	b, err2 := ParseDN(now.DN)
	switch {
	case err1 != nil || err2 != nil || a.Equal(b):
		return ""
	case a.Depth() > 0 && b.Depth() > 0 && a.rdns[0].Equal(b.rdns[0]):
		return Shifted
	}
	return Renamed
}

// naming gives the names of the assignments whose subtree or exception a container is.
func (p *Partition) naming(directory string, g GUID) []string {
	out := []string{}
	for _, a := range p.assignments {
		is := func(p Pin) bool { return p.GUID == g }
		if a.Directory == directory && (is(a.Under) || slices.ContainsFunc(a.Except, is) || is(a.Selector.MemberOf)) {
			out = append(out, a.Name)
		}
	}
	return out
}

// Follow gives the same partition on the tree as it is now: every pinned container keeps its owners, and scopes, hand-overs
// and assignments are stated against where the containers lie now. Containers that vanished stay where they were. The names
// remain those that were pinned, so that [Partition.Drift] still reports them. The revision is unchanged; it gives p itself
// when nothing moved.
func (p *Partition) Follow(locate Locate) *Partition {
	out := p.shallow()
	changed := false
	for i, d := range p.parts {
		t, moved := d.tree.follow(d.name, locate)
		if moved {
			out.parts[i] = d.onTree(d.name, t)
			changed = true
		}
	}
	if !changed {
		return p
	}
	out.assignments = out.derive()
	return out
}

// follow rebuilds a tree from where its pins lie now.
func (t *tree) follow(directory string, locate Locate) (*tree, bool) {
	out := newTree()
	var gone []Pin
	moved := false
	for n := range t.nodes {
		was := t.pin(int32(n))
		if was.DN == "" {
			continue
		}
		now, ok := locate(ObjectID{Directory: directory, GUID: was.GUID})
		if !ok {
			gone = append(gone, was)
			continue
		}
		moved = moved || !slices.Equal(was.Ancestors, now.Ancestors)
		now.GUID, now.DN = was.GUID, was.DN
		out.addKnown(now)
	}
	for _, p := range gone {
		out.addKnown(p)
	}
	return out, moved
}
