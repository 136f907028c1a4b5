package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// script is an engine that says the same in every run.
type script struct {
	engine.Unimplemented
	engine.GrantBook
	events []engine.RunEvent
}

func (*script) Describe(context.Context) (engine.Description, error) {
	return engine.Description{}, nil
}
func (*script) Configure(context.Context, engine.Config) error           { return nil }
func (*script) Health(ctx context.Context, _ chan<- engine.Health) error { return ctx.Err() }

func (s *script) Run(ctx context.Context, _ engine.RunRequest, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	for _, e := range s.events {
		select {
		case out <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for range in {
	}
	return ctx.Err()
}

func TestARunBeginsEachDirectoryOnceAndFirst(t *testing.T) {
	begin := func(name string) engine.RunEvent { return engine.RunEvent{Begin: &engine.RunBegin{Directory: name}} }
	propose := func(seq uint64, name string) engine.RunEvent {
		return engine.RunEvent{Proposals: []engine.Proposal{{Seq: seq, Object: scoping.ObjectID{Directory: name, GUID: guid(1)}}}}
	}
	for name, test := range map[string]struct {
		events []engine.RunEvent
		bad    bool
	}{
		"each before its own":     {events: []engine.RunEvent{begin("a"), propose(1, "a"), begin("b"), propose(2, "b"), propose(3, "a")}},
		"all before any":          {events: []engine.RunEvent{begin("a"), begin("b"), propose(1, "b"), propose(2, "a")}},
		"none, as engines before": {events: []engine.RunEvent{propose(1, "a"), propose(2, "b")}},
		"one twice":               {events: []engine.RunEvent{begin("a"), begin("a")}, bad: true},
		"after its proposals":     {events: []engine.RunEvent{begin("b"), propose(1, "b"), propose(2, "a"), begin("a")}, bad: true},
		"after others":            {events: []engine.RunEvent{propose(1, "a"), begin("b")}, bad: true},
		"not for all":             {events: []engine.RunEvent{begin("a"), propose(1, "b")}, bad: true},
	} {
		s := &script{events: append(test.events, engine.RunEvent{Report: &engine.RunReport{Complete: true}})}
		_, err := engine.Drive(t.Context(), s, engine.RunRequest{}, engine.Conversation{Decide: decideNothing})
		if bad := errors.Is(err, engine.ErrContract); bad != test.bad || (err != nil) != test.bad {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheHostMayRefuseWhatARunBeginsWith(t *testing.T) {
	refused := errors.New("too old")
	s := &script{events: []engine.RunEvent{{Begin: &engine.RunBegin{Directory: "a", USN: 7}},
		{Proposals: []engine.Proposal{{Seq: 1, Object: scoping.ObjectID{Directory: "a"}}}}, {Report: &engine.RunReport{}}}}
	var begun []uint64
	_, err := engine.Drive(t.Context(), s, engine.RunRequest{}, engine.Conversation{
		Begin: func(b engine.RunBegin) error { begun = append(begun, b.USN); return refused },
		Decide: func([]engine.Proposal) ([]engine.Decision, error) {
			t.Error("proposals of a refused run are decided")
			return nil, nil
		}})
	if !errors.Is(err, refused) || !slices.Equal(begun, []uint64{7}) {
		t.Errorf("%v %v", begun, err)
	}
}

func decideNothing([]engine.Proposal) ([]engine.Decision, error) { return nil, nil }

func TestFingerprintsTellRulesApart(t *testing.T) {
	all := map[engine.Fingerprint]bool{}
	for _, parts := range [][][]byte{{}, {nil}, {[]byte("ab")}, {[]byte("a"), []byte("b")}, {[]byte("b"), []byte("a")}} {
		f := engine.FingerprintOf(parts...)
		if f.IsZero() || f != engine.FingerprintOf(parts...) || all[f] {
			t.Errorf("%q has fingerprint %s", parts, f)
		}
		all[f] = true
	}
}
