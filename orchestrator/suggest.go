package orchestrator

import (
	"context"
	"errors"

	"github.com/tandem-sync/tandem/orchestrator/assess"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/directory"
)

// Survey looks at every configured directory as a whole, and writes nothing.
func (x *Orchestrator) Survey(ctx context.Context) (*assess.Survey, error) {
	conns, err := x.connections()
	if err != nil {
		return nil, err
	}
	s := &assess.Survey{}
	for _, c := range x.config.Directories {
		d, err := x.surveyOne(ctx, conns[c.Name])
		if err != nil {
			return nil, err
		}
		s.Directories = append(s.Directories, d)
	}
	return s, nil
}

func (x *Orchestrator) surveyOne(ctx context.Context, c directory.Connection) (d *assess.Directory, err error) {
	if x.options.Progress != nil {
		x.options.Progress(run.Progress{Phase: "survey", Note: "reading all of directory " + c.Name})
	}
	r, err := directory.Dial(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return assess.Read(ctx, c.Name, r)
}

// Suggest proposes a first policy and an order of waves from the directories as they are. It needs no policy in force.
func (x *Orchestrator) Suggest(ctx context.Context) (assess.Suggestion, error) {
	caps, err := x.host.Capabilities(ctx)
	if err != nil {
		return assess.Suggestion{}, err
	}
	var engines []assess.Engine
	for _, e := range x.config.Engines {
		engines = append(engines, assess.Engine{Name: e.Name, Kind: e.Kind, Caps: caps[e.Name]})
	}
	s, err := x.Survey(ctx)
	if err != nil {
		return assess.Suggestion{}, err
	}
	return assess.Suggest(s, engines)
}
