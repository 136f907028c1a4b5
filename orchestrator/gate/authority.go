package gate

import (
	"slices"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Shadow lets an engine be judged over a scope it does not own: the target of a wave before its cutover, the source after it.
type Shadow struct {
	Engine string        `json:"engine"`
	Wave   string        `json:"wave"`
	Scope  scoping.Scope `json:"scope"`
	Epoch  scoping.Epoch `json:"epoch"`
}

// Stop closes admission until it is ended (ownership rules §11). Empty Engine and nil Under: all writing.
type Stop struct {
	ID     string         `json:"id"`
	Engine string         `json:"engine,omitempty"`
	Under  *scoping.Scope `json:"under,omitempty"`
	DN     string         `json:"dn,omitempty"`
	Reason string         `json:"reason"`
	By     string         `json:"by"`
	At     int64          `json:"at"` // Unix ms
}

// covers says whether the stop forbids this engine to write here.
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
	// Adopting are the engines whose first full run was not accepted yet (rule J5), and when their adoption began.
	Adopting map[string]scoping.Epoch
	ReadOnly string // why nothing may be written at all (rules H1, H2), or ""
	// Installation is whose state this is: by it the tenant tells the passwords that one log numbers from those of another.
	Installation string
}

// Grants gives what an engine is granted, with ids that are stable within this authority: own scopes first. They are whole
// subtrees: which objects in them choices give to others, the gate alone knows.
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

// Ceiling is the most that any engine is granted: shadow where nothing may be written at all (rule H2).
func (a Authority) Ceiling() engine.Mode {
	if a.ReadOnly != "" {
		return engine.ModeShadow
	}
	return engine.ModeOwn
}

// Owner says who may write a feature of an object at a place.
func (a Authority) Owner(p scoping.Place, k scoping.Kind, f scoping.Feature) scoping.Owner {
	if a.Partition == nil {
		return scoping.Owner{Engine: scoping.None}
	}
	return a.Partition.Owner(p, k, f)
}

// Shadowed says whether an engine may be judged here.
func (a Authority) Shadowed(engineName string, p scoping.Place, k scoping.Kind, f scoping.Feature) bool {
	return slices.ContainsFunc(a.Shadows, func(s Shadow) bool {
		return s.Engine == engineName && s.Scope.Writes(k, f) && s.Scope.Covers(p)
	})
}

// Near says whether an engine owns what other choices take of the container in which a place is, or may have that judged.
func (a Authority) Near(engineName string, p scoping.Place, k scoping.Kind, f scoping.Feature) bool {
	return a.Partition != nil && a.Partition.Reaches(engineName, p, k, f) || slices.ContainsFunc(a.Shadows, func(s Shadow) bool {
		return s.Engine == engineName && s.Scope.Writes(k, f) && s.Scope.Spans(p)
	})
}

// Stopped gives the reason why an engine may not write here, or "".
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
