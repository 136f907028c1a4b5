package plan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/assess"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

// crossings looks at the directory as a whole and adds to each wave of a plan the memberships and managers whose two ends will have different
// engines, and to the first wave a better order, if there is one. Such references stay right: the gate resolves them across engines.
func (r *Planner) crossings(ctx context.Context, from *scoping.Partition, p *Plan) error {
	if r.o.Survey == nil || len(p.Waves) == 0 {
		return nil
	}
	s, err := r.o.Survey(ctx)
	if err != nil {
		return fmt.Errorf("counting the references that would cross engines: %w", err)
	}
	c := s.Crossings(len(p.Waves), r.hands(from, p))
	for i, x := range c.Waves {
		w := &p.Waves[i]
		w.Findings = slices.DeleteFunc(w.Findings, func(f wave.Finding) bool { return f.Code == codeCrossing }) // replaced by the finding below
		w.Crossing = &c.Waves[i]
		if x.New > 0 {
			w.Findings = append(w.Findings, wave.Finding{Severity: wave.Warning, Code: codeCrossAfter, Message: crossingMessage(c, i), Objects: x.After,
				Examples: x.Examples[:min(mostReferences, len(x.Examples))]})
		}
	}
	if len(c.Best) > 0 {
		p.Waves[0].Findings = append(p.Waves[0].Findings, orderFinding(c))
	}
	return nil
}

// hands returns the engines of an object before and after a plan, and the wave that hands it over.
func (r *Planner) hands(from *scoping.Partition, p *Plan) assess.Hands {
	return func(id scoping.ObjectID, kind scoping.Kind) (base, references assess.Hand) {
		place := r.o.Census.Sight(id).Place(id.Directory)
		hand := func(f scoping.Feature) assess.Hand {
			out := assess.Hand{Before: from.Owner(place, kind, f).Engine, After: p.Target.Owner(place, kind, f).Engine, Wave: assess.Never}
			if out.Before != out.After {
				out.Wave = slices.IndexFunc(p.Waves, func(w PlannedWave) bool {
					return slices.ContainsFunc(w.HandOvers, func(x scoping.HandOver) bool { return x.Scope.Writes(kind, f) && x.Scope.Covers(place) })
				})
			}
			return out
		}
		return hand(scoping.Base(kind)), hand(scoping.References)
	}
}

// mostReferences is the most references that a finding names.
const mostReferences = 3

func crossingMessage(c assess.Crossings, i int) string {
	before := c.Before
	if i > 0 {
		before = c.Waves[i-1].After
	}
	return fmt.Sprintf("%d memberships and managers will have their two ends with different engines (%d before this wave); they stay right", c.Waves[i].After, before)
}

func orderFinding(c assess.Crossings) wave.Finding {
	var given, order, after []string
	for i, n := range c.Best {
		given = append(given, fmt.Sprint(c.Waves[i].After))
		order = append(order, fmt.Sprint(n+1))
		after = append(after, fmt.Sprint(c.BestAfter[i]))
	}
	return wave.Finding{Severity: wave.Info, Code: codeWaveOrder, Examples: []string{},
		Message: fmt.Sprintf("references that cross engines after each wave of this plan: %s; in the order %s it would be %s: plan and apply one wave after the other to have that",
			strings.Join(given, ", "), strings.Join(order, ", "), strings.Join(after, ", "))}
}
