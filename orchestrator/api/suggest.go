package api

import (
	"context"
	"fmt"

	"github.com/tandem-sync/tandem/orchestrator/assess"
	"github.com/tandem-sync/tandem/scoping/policy"
)

// SuggestedUnit is one part of a directory, and its content.
type SuggestedUnit = assess.Unit

// SuggestedWave is what moves together, and why.
type SuggestedWave = assess.Wave

// Suggested is a first policy from the directory as it is, and an order in which to move OUs afterwards.
type Suggested struct {
	From  string          `json:"from"` // the engine that owns everything first
	To    string          `json:"to"`   // the engine that OUs move to; empty: no other is configured
	Units []SuggestedUnit `json:"units"`
	Text  string          `json:"text"` // the policy as a file
	Waves []SuggestedWave `json:"waves"`
	Notes []string        `json:"notes"`
}

func policySuggest(ctx context.Context, c *call, _ None) (any, Outcome, error) {
	s, err := c.h.o.Suggest(ctx)
	if err != nil {
		return nil, Outcome{}, err
	}
	b, err := policy.FormatWith(s.Policy, suggestedHead(s), s.About)
	if err != nil {
		return nil, Outcome{}, err
	}
	return Suggested{From: s.From, To: s.To, Units: orEmpty(s.Units), Text: string(b), Waves: orEmpty(s.Waves), Notes: orEmpty(s.Notes)}, Outcome{}, nil
}

func suggestedHead(s assess.Suggestion) string {
	return fmt.Sprintf("A first policy, suggested from the directory as it is: engine %s owns everything, as long as nothing is moved.\n"+
		"Read it, then `tandem policy validate FILE` and `tandem import FILE`.", s.From)
}
