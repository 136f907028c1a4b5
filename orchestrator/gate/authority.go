package gate

import (
	"slices"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Shadow lets an engine be judged over a scope that it does not own: the target of a wave before its cutover, the source after it.
type Shadow struct {
	Engine string        `json:"engine"`
	Wave   string        `json:"wave"`
	Scope  scoping.Scope `json:"scope"`
	Epoch  scoping.Epoch `json:"epoch"`
}

// Stop closes admission until a person ends it (ownership rules §11). Without Engine and Under it stops all writing.
type Stop struct {
	ID     string         `json:"id"`
	Engine string         `json:"engine,omitempty"`
	Under  *scoping.Scope `json:"under,omitempty"`
	DN     string         `json:"dn,omitempty"`
	Reason string         `json:"reason"`
	By     string         `json:"by"`
	At     int64          `json:"at"` // Unix ms
}

// StopID returns the id of the stop of an engine, of a subtree by its DN, of both, or of all.
func StopID(engineName, under string) string {
	switch {
	case engineName != "" && under != "":
		return "engine:" + engineName + " under:" + under
	case engineName != "":
		return "engine:" + engineName
	case under != "":
		return "under:" + under
	}
	return "all"
}

// covers reports whether the stop forbids an engine to write at a place.
func (s Stop) covers(engineName string, place scoping.Place) bool {
	if s.Engine != "" && s.Engine != engineName {
		return false
	}
	return s.Under == nil || s.Under.Covers(place)
}

// Authority is who may write what, as control last committed it. It is a value: a change makes a new one.
type Authority struct {
	Partition *scoping.Partition
	Shadows   []Shadow
	Stops     []Stop
	Epoch     scoping.Epoch // the newest
	// Adopting maps the engines whose first full run was not accepted yet (rule J5) to the epoch in which their adoption began.
	Adopting map[string]scoping.Epoch
	ReadOnly string // why nothing may be written at all (rules H1, H2), or ""
	// Installation is the id of the installation that owns the state: the tenant tells by it the passwords that one log numbers from those of
	// another.
	Installation string
}

// Grants returns an engine's grants, with ids that are stable within this authority: own scopes first. Grants cover whole subtrees; only the gate
// knows which objects in them choices assign to other engines.
func (a Authority) Grants(engineName string) []engine.Grant {
	var out []engine.Grant
	if a.Partition != nil {
		for _, r := range a.Partition.Reach(engineName) {
			out = append(out, engine.Grant{ID: uint32(len(out) + 1), Scope: r.Scope, Mode: a.Ceiling(), Epoch: r.Owner.Epoch})
		}
	}
	for _, s := range a.Shadows {
		if s.Engine == engineName {
			out = append(out, engine.Grant{ID: uint32(len(out) + 1), Scope: s.Scope.Whole(), Mode: engine.ModeShadow, Epoch: s.Epoch})
		}
	}
	return out
}

// Ceiling returns the strongest mode that any engine is granted: shadow where nothing may be written at all (rule H2).
func (a Authority) Ceiling() engine.Mode {
	if a.ReadOnly != "" {
		return engine.ModeShadow
	}
	return engine.ModeOwn
}

// Owner returns the owner of a feature of an object at a place.
func (a Authority) Owner(p scoping.Place, k scoping.Kind, f scoping.Feature) scoping.Owner {
	if a.Partition == nil {
		return scoping.Owner{Engine: scoping.None}
	}
	return a.Partition.Owner(p, k, f)
}

// Shadowed reports whether an engine may be judged here without owning it.
func (a Authority) Shadowed(engineName string, p scoping.Place, k scoping.Kind, f scoping.Feature) bool {
	return slices.ContainsFunc(a.Shadows, func(s Shadow) bool {
		return s.Engine == engineName && s.Scope.Writes(k, f) && s.Scope.Covers(p)
	})
}

// Near reports whether an engine owns, or may be judged over, what other choices take of the container that a place is in: it then reads and proposes
// this place too.
func (a Authority) Near(engineName string, p scoping.Place, k scoping.Kind, f scoping.Feature) bool {
	return a.Partition != nil && a.Partition.Reaches(engineName, p, k, f) || slices.ContainsFunc(a.Shadows, func(s Shadow) bool {
		return s.Engine == engineName && s.Scope.Writes(k, f) && s.Scope.Spans(p)
	})
}

// Stopped returns the reason why an engine may not write here, or "".
func (a Authority) Stopped(engineName string, p scoping.Place) string {
	if a.ReadOnly != "" {
		return a.ReadOnly
	}
	for _, s := range a.Stops {
		if s.covers(engineName, p) {
			return "stopped by " + s.By + ": " + s.Reason
		}
	}
	return ""
}
