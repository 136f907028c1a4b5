package orchestrator

import (
	"context"
	"errors"

	"github.com/tandem-sync/tandem/orchestrator/assess"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/directory"
)

// Survey reads every object of every configured directory, and writes nothing.
func (x *Orchestrator) Survey(ctx context.Context) (*assess.Survey, error) {
	return x.survey(ctx, assess.ForReferences)
}

func (x *Orchestrator) survey(ctx context.Context, depth assess.Depth) (*assess.Survey, error) {
	conns, err := x.connections()
	if err != nil {
		return nil, err
	}
	s := &assess.Survey{}
	for _, c := range x.config.Directories {
		d, err := x.surveyOne(ctx, conns[c.Name], depth)
		if err != nil {
			return nil, err
		}
		s.Directories = append(s.Directories, d)
	}
	return s, nil
}

func (x *Orchestrator) surveyOne(ctx context.Context, c directory.Connection, depth assess.Depth) (d *assess.Directory, err error) {
	if x.options.Progress != nil {
		x.options.Progress(run.Progress{Phase: "survey", Note: "reading all of directory " + c.Name})
	}
	r, err := directory.Dial(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return assess.Read(ctx, c.Name, r, depth)
}

// Suggest proposes a first policy and an order of waves, by what is in the directories. It needs no policy in force.
func (x *Orchestrator) Suggest(ctx context.Context) (assess.Suggestion, error) {
	engines, err := x.assessed(ctx)
	if err != nil {
		return assess.Suggestion{}, err
	}
	s, err := x.Survey(ctx)
	if err != nil {
		return assess.Suggestion{}, err
	}
	return assess.Suggest(s, engines)
}

// Assess returns what is in the way of a migration, what to know before it, and an order of waves. It writes to no directory and no tenant, and needs no policy in force. under is a
// DN; empty: everything. examples is the most objects that a finding names; 0: all.
func (x *Orchestrator) Assess(ctx context.Context, under string, examples int) (assess.Assessment, error) {
	scope := assess.Scope{Examples: examples}
	if under != "" {
		dir, guid, _, err := x.host.Resolve(ctx, under)
		if err != nil {
			return assess.Assessment{}, err
		}
		scope.Directory, scope.Under = dir, guid
	}
	engines, err := x.assessed(ctx)
	if err != nil {
		return assess.Assessment{}, err
	}
	situation, err := x.host.Situation(ctx, engines)
	if err != nil {
		return assess.Assessment{}, err
	}
	s, err := x.survey(ctx, assess.ForReadiness)
	if err != nil {
		return assess.Assessment{}, err
	}
	if err := x.lookForPower(ctx, s, &situation); err != nil {
		return assess.Assessment{}, err
	}
	a, err := assess.Assess(s, situation, scope)
	if errors.Is(err, assess.ErrNoContainer) {
		return a, problem.Refuse("%s: %w", under, err)
	}
	return a, err
}

// assessed returns the configured engines with their capabilities.
func (x *Orchestrator) assessed(ctx context.Context) (engines []assess.Engine, err error) {
	caps, err := x.host.Capabilities(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range x.config.Engines {
		engines = append(engines, assess.Engine{Name: e.Name, Kind: e.Kind, Caps: caps[e.Name]})
	}
	return engines, nil
}

// lookForPower asks the tenant which of the objects that would be joined hold directory roles. If the application may not ask, that becomes a finding.
func (x *Orchestrator) lookForPower(ctx context.Context, s *assess.Survey, situation *assess.Situation) error {
	ids := assess.Candidates(s, *situation)
	if len(ids) == 0 {
		return nil
	}
	power, err := x.tenant.Powerful(ctx, ids)
	if err != nil && ctx.Err() != nil {
		return err
	}
	if err != nil {
		situation.General = append(situation.General, assess.General{Code: assess.PowerUnread, Detail: err.Error()})
	}
	situation.Power = power
	return nil
}
