package connect_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/plugins/connect"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

var errKilled = errors.New("killed at a failpoint")

// memory is a connector space in memory that can die at its n-th commit.
type memory struct {
	disk  *state.MemoryDisk
	armed atomic.Bool
	left  atomic.Int64 // failpoints until death
	died  atomic.Bool
}

func newMemory() *memory {
	m := &memory{}
	m.disk = state.Memory(state.Options{Reserve: -1, Hook: func(string) error {
		if m.armed.Load() && m.left.Add(-1) < 0 {
			m.died.Store(true)
			return errKilled
		}
		return nil
	}})
	return m
}

type memorySpaces struct {
	*state.Index
	home *state.Store
}

func (s *memorySpaces) Close() error { return errors.Join(s.Index.Close(), s.home.Close()) }

func (m *memory) open(context.Context, string) (connect.Store, error) {
	home, err := m.disk.Open()
	if err != nil {
		return nil, err
	}
	x, err := connect.OpenSpaces(home)
	return &memorySpaces{x, home}, err
}

// crash takes the engine down with its memory; what was committed stays.
func (m *memory) crash(w *world) {
	m.armed.Store(false)
	m.died.Store(false)
	m.disk.Crash(rand.New(rand.NewPCG(1, 2)))
	w.engine = nil
	e := connect.New(connect.Options{Open: m.open})
	w.engine = e
	w.ok(e.Configure(w.Context(), w.config()))
}

// scene makes the same objects each time, and changes of every sort between a full run and the next delta.
type scene struct {
	w       *world
	scopes  []scoping.Scope
	changes func()
	expect  []string
}

func newScene(w *world, n int) scene {
	top := w.addOU("Scene"+string(rune('A'+n%26))+w.suffix, w.ou)
	mine, other := w.addOU("Mine", top), w.addOU("Other", top)
	w.suffix += "x"
	ann, bob, cid := w.addUser("Ann", mine), w.addUser("Bob", mine), w.addUser("Cid", mine)
	crew := w.addGroup("Crew", mine, ann, bob)
	return scene{w: w, scopes: []scoping.Scope{w.scope(mine)},
		changes: func() {
			w.set(ann, "title", "Boss")
			w.remove(bob)
			w.move(cid, "CN=Cid", other)
			w.modify(crew, func(r *ldap.ModifyRequest) { r.Delete("member", []string{ann}) })
			w.addUser("Dan", mine)
		},
		expect: []string{"users present CN=Ann", "references present CN=Ann", "users gone CN=Bob", "users out CN=Cid",
			"groups present CN=Crew", "references present CN=Crew", "users present CN=Dan", "references present CN=Dan"}}
}

// covers checks that everything expected was decided before the crash or is proposed after it.
func (s scene) covers(point int, before, after []string) {
	s.w.Helper()
	for _, line := range s.expect {
		if !slices.Contains(before, line) && !slices.Contains(after, line) {
			s.w.Errorf("death at %d lost %q; decided before: %v; proposed after: %v", point, line, before, after)
		}
	}
}

func TestEngineThatDiesAtAnyCommitLosesNothing(t *testing.T) {
	onEveryLab(t, func(w *world) {
		for _, profile := range []string{engine.ProfileDelta, engine.ProfileFull} {
			for point := 0; ; point += w.lab.stride {
				m := newMemory()
				w.start(connect.Options{Open: m.open})
				s := newScene(w, point)
				w.run(engine.ProfileFull, s.scopes)
				s.changes()
				m.left.Store(int64(point))
				m.armed.Store(true)
				got := w.drive(host{}, profile, s.scopes)
				died := m.died.Load()
				m.crash(w)
				after := w.run(engine.ProfileDelta, s.scopes)
				if died {
					s.covers(point, got.decided(), after.lines())
					continue
				}
				w.ok(got.err)
				w.want(after)
				if point < 4 {
					w.Fatalf("only %d failpoints were reached", point)
				}
				break
			}
		}
	})
}

// decided are the proposals that the host answered.
func (r result) decided() []string {
	n := r.answered
	return result{proposals: r.proposals[:n]}.lines()
}

func TestProposalsWithoutADecisionComeAgain(t *testing.T) {
	onEveryLab(t, func(w *world) {
		s := newScene(w, 0)
		w.run(engine.ProfileFull, s.scopes)
		s.changes()
		if got := w.drive(host{until: 1}, engine.ProfileDelta, s.scopes); !errors.Is(got.err, context.Canceled) {
			t.Fatalf("a run that the host broke off: %v", got.err)
		}
		w.want(w.run(engine.ProfileDelta, s.scopes), s.expect...)
		w.want(w.run(engine.ProfileDelta, s.scopes))
		s = newScene(w, 1)
		w.run(engine.ProfileFull, s.scopes)
		s.changes()
		silent := func(p engine.Proposal) engine.Outcome {
			if strings.HasPrefix(p.Name, "CN=Ann") {
				return ""
			}
			return engine.Held
		}
		if got := w.drive(host{answer: silent}, engine.ProfileDelta, s.scopes); got.err == nil {
			t.Fatal("a run without all decisions ended well")
		}
		w.want(w.run(engine.ProfileDelta, s.scopes), "users present CN=Ann", "references present CN=Ann")
	})
}

// meddler changes what a session says.
type meddler struct {
	connect.Source
	controller func(directory.Controller) directory.Controller
	cookie     func([]byte) []byte
	fail       int // Sync fails after this many entries; zero: never
	fulls      *int
}

func (m meddler) Controller() directory.Controller {
	if m.controller == nil {
		return m.Source.Controller()
	}
	return m.controller(m.Source.Controller())
}

var errCut = errors.New("the line was cut")

func (m meddler) Sync(ctx context.Context, cookie []byte, q directory.SyncQuery, each func(directory.Entry) error) ([]byte, error) {
	if m.cookie != nil && len(cookie) > 0 {
		cookie = m.cookie(cookie)
	}
	if len(cookie) == 0 && m.fulls != nil {
		*m.fulls++
	}
	n := 0
	return m.Source.Sync(ctx, cookie, q, func(e directory.Entry) error {
		if n++; m.fail > 0 && n > m.fail {
			return errCut
		}
		return each(e)
	})
}

// meddle gives options whose sessions are changed by m.
func meddle(m *meddler) connect.Options {
	return connect.Options{Dial: func(ctx context.Context, c directory.Connection) (connect.Source, error) {
		s, err := directory.Dial(ctx, c)
		if err != nil {
			return nil, err
		}
		now := *m
		now.Source = s
		return now, nil
	}}
}

func TestUselessCookieLeadsToAFullImport(t *testing.T) {
	onEveryLab(t, func(w *world) {
		fulls := 0
		m := &meddler{fulls: &fulls}
		w.start(meddle(m))
		s := newScene(w, 0)
		w.run(engine.ProfileFull, s.scopes)
		s.changes()
		m.cookie = func([]byte) []byte { return []byte("garbage") }
		got := w.run(engine.ProfileDelta, s.scopes)
		if fulls != 2 {
			t.Errorf("%d full imports", fulls)
		}
		w.want(got, s.expect...)
		m.cookie = nil
		m.controller = func(c directory.Controller) directory.Controller {
			c.InvocationID[0] ^= 1
			return c
		}
		w.want(w.run(engine.ProfileDelta, s.scopes))
		w.want(w.run(engine.ProfileDelta, s.scopes))
		if fulls != 3 {
			t.Errorf("%d full imports after another controller answered", fulls)
		}
	})
}

func TestImportThatBreaksOffIsReportedAndProposesNothing(t *testing.T) {
	onEveryLab(t, func(w *world) {
		m := &meddler{fail: 20}
		w.start(meddle(m))
		s := newScene(w, 0)
		got := w.run(engine.ProfileFull, s.scopes)
		if r := got.reports[0]; r.Complete || len(r.Errors) != 1 || !strings.Contains(r.Errors[0].Message, errCut.Error()) || len(got.proposals) > 0 {
			t.Errorf("report %+v, proposals %v", r, got.lines())
		}
		m.fail = 0
		w.want(w.run(engine.ProfileDelta, s.scopes), "users present CN=Ann", "references present CN=Ann", "users present CN=Bob",
			"references present CN=Bob", "users present CN=Cid", "references present CN=Cid", "groups present CN=Crew",
			"references present CN=Crew")
		s.changes()
		m.fail = 2
		if got := w.run(engine.ProfileFull, s.scopes); got.reports[0].Complete {
			t.Error("a broken full import is complete")
		}
		m.fail = 0
		w.want(w.run(engine.ProfileDelta, s.scopes), s.expect...)
	})
}

func TestDirectoryThatCannotBeReadIsReportedByKind(t *testing.T) {
	onEveryLab(t, func(w *world) {
		scopes := []scoping.Scope{w.scope(w.ou)}
		cases := map[string]func(*engine.Directory){
			"credentials": func(d *engine.Directory) { d.Password = "wrong" },
			"tls":         func(d *engine.Directory) { d.CA = nil },
			"unreachable": func(d *engine.Directory) { d.URLs = []string{"ldaps://127.0.0.1:1"} },
		}
		for code, spoil := range cases {
			c := w.config()
			spoil(&c.Directories[0])
			w.ok(w.engine.Configure(w.Context(), c))
			got := w.run(engine.ProfileDelta, scopes)
			if r := got.reports[0]; r.Complete || len(r.Errors) != 1 || r.Errors[0].Code != code {
				t.Errorf("%s: %+v", code, r)
			}
			for _, e := range got.reports[0].Errors {
				if strings.Contains(e.Message, "wrong\"") || strings.Contains(e.Message, w.lab.pass) {
					t.Errorf("a password stands in %q", e.Message)
				}
			}
		}
		// The controller that the host names is the one that is read (rule V1).
		w.ok(w.engine.Configure(w.Context(), func() engine.Config {
			c := w.config()
			c.Directories[0].URLs = []string{"ldaps://127.0.0.1:1"}
			return c
		}()))
		if got := w.driveAt(w.lab.url, engine.ProfileDelta, scopes); !got.reports[0].Complete {
			t.Errorf("%+v", got.reports)
		}
	})
}

func TestDamagedConnectorSpaceIsReadAnew(t *testing.T) {
	onEveryLab(t, func(w *world) {
		m := newMemory()
		w.start(connect.Options{Open: m.open})
		s := newScene(w, 0)
		w.run(engine.ProfileFull, s.scopes)
		s.changes()
		w.stop()
		home, err := m.disk.Open()
		w.ok(err)
		x, err := connect.OpenSpaces(home)
		w.ok(err)
		w.ok(x.Update(w.Context(), func(tx state.Tx) error {
			return tx.Each("o/contoso", "", func(key string, value []byte) error {
				return tx.Put("o/contoso", key, value[:len(value)-1])
			})
		}))
		w.ok(errors.Join(x.Close(), home.Close()))
		w.start(connect.Options{Open: m.open})
		got := w.run(engine.ProfileDelta, s.scopes).lines()
		for _, line := range s.expect {
			// Where Cid was is forgotten: the host learns from its census that he left.
			if !slices.Contains(got, line) && line != "users out CN=Cid" && line != "users gone CN=Bob" {
				t.Errorf("%q is missing from %v", line, got)
			}
		}
	})
}

func TestRunThatIsCancelledEndsAndTheNextOneWorks(t *testing.T) {
	onEveryLab(t, func(w *world) {
		s := newScene(w, 0)
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		if got := w.drive(host{ctx: ctx}, engine.ProfileFull, s.scopes); !errors.Is(got.err, context.Canceled) {
			t.Errorf("%v", got.err)
		}
		if got := w.run(engine.ProfileFull, s.scopes); len(got.proposals) != 8 {
			t.Errorf("%v", got.lines())
		}
	})
}

func TestConfigurationIsRefusedWithEveryMistake(t *testing.T) {
	e := connect.New(connect.Options{})
	err := e.Configure(t.Context(), engine.Config{Settings: []byte(`{"colour":1,"size":2}`), Features: []scoping.Feature{scoping.Devices},
		Directories: []engine.Directory{{Name: "a", Base: "nonsense", URLs: []string{"ldaps://x"}}, {Name: "a", Base: "DC=x"}}})
	var refused *engine.ConfigError
	if !errors.As(err, &refused) {
		t.Fatalf("%v", err)
	}
	want := []string{"no data folder was given", `directory "a": base "nonsense" is not a DN`, `directory "a" is named twice`,
		`directory "a" has no url`,
		"settings.colour: unknown; this engine has no settings", "settings.size: unknown; this engine has no settings"}
	if d := cmp.Diff(want, refused.Problems); d != "" {
		t.Error(d)
	}
	if err := e.Run(t.Context(), engine.RunRequest{Profile: engine.ProfileFull}, nil, nil); err == nil {
		t.Error("an engine without a configuration runs")
	}
}
