package cloudsync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	lab "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// world is an embedded directory, an engine over it, and the host that runs it.
type world struct {
	t      *testing.T
	model  *lab.Model
	server *lab.Server
	engine *cloudsync.Engine
	config engine.Config
	via    engine.Engine // how the host reaches the engine; nil: directly
	runs   uint64
}

const password = "Lab-Passw0rd!"

// newWorld seeds a directory: OU Sales and OU Engineering with n users each, and a group of all in each.
func newWorld(t *testing.T, n int, o cloudsync.Options, settings string) *world {
	t.Helper()
	m := lab.New(lab.Options{AdminPassword: password})
	w := &world{t: t, model: m, config: engine.Config{Engine: "cloudsync", DataDir: t.TempDir(), Settings: []byte(settings)}}
	s, err := lab.Serve(context.Background(), m, lab.ServerOptions{MaxDirSync: max(7, n/5)}) // always several rounds
	check(t, err)
	t.Cleanup(func() { s.Close() })
	w.server = s
	for _, ou := range []string{"Sales", "Engineering"} {
		w.add("OU="+ou, "organizationalUnit", nil)
		var members []string
		for i := range n {
			dn := w.addUser(ou, fmt.Sprintf("%s%d", strings.ToLower(ou), i))
			members = append(members, dn)
		}
		w.add("CN="+ou+" all,OU="+ou, "group", lab.Attributes{"sAMAccountName": {ou + "-all"}, "member": members, "groupType": {"-2147483646"}})
	}
	w.config.Directories = []engine.Directory{{Name: "contoso", URLs: []string{s.URL()}, Base: m.Base(), User: m.AdminUser(), Password: password, CA: s.CAPEM()}}
	w.start(o)
	return w
}

func (w *world) start(o cloudsync.Options) {
	w.t.Helper()
	if o.Logger == nil && testing.Verbose() {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	w.engine = cloudsync.New(o)
	e := w.engine
	w.t.Cleanup(func() { e.Close() })
	check(w.t, w.engine.Configure(w.t.Context(), w.config))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) dn(rdns string) string { return rdns + "," + w.model.Base() }

func (w *world) add(rdns, class string, attrs lab.Attributes) scoping.GUID {
	w.t.Helper()
	all := lab.Attributes{"objectClass": {class}}
	for k, v := range attrs {
		all[k] = v
	}
	g, err := w.model.Add(w.dn(rdns), all)
	check(w.t, err)
	return g
}

func (w *world) addUser(ou, name string) string {
	w.t.Helper()
	w.add("CN="+name+",OU="+ou, "user", lab.Attributes{"sAMAccountName": {name}, "userPrincipalName": {name + "@contoso.test"},
		"displayName": {"User " + name}, "givenName": {"User"}, "sn": {name}, "department": {ou}, "userAccountControl": {"512"}})
	return w.dn("CN=" + name + ",OU=" + ou)
}

func (w *world) set(rdns, attribute string, values ...string) {
	w.t.Helper()
	check(w.t, w.model.Modify(w.dn(rdns), lab.Change{Kind: lab.Replace, Attribute: attribute, Values: values}))
}

func (w *world) guid(rdns string) scoping.GUID {
	w.t.Helper()
	dn := rdns
	if !strings.Contains(rdns, "DC=") {
		dn = w.dn(rdns)
	}
	e, err := w.model.Lookup(dn)
	check(w.t, err)
	return e.GUID
}

func (w *world) id(rdns string) scoping.ObjectID {
	return scoping.ObjectID{Directory: "contoso", GUID: w.guid(rdns)}
}

func (w *world) scope(rdns string) scoping.Scope {
	w.t.Helper()
	return scoping.Scope{Directory: "contoso", Under: w.guid(rdns), Features: []scoping.Feature{scoping.Users, scoping.Groups, scoping.Contacts, scoping.References}}
}

func (w *world) everything() scoping.Scope { return w.scope(w.model.Base()) }

// outcome is what the host saw of a run.
type outcome struct {
	proposals []engine.Proposal
	reports   []engine.RunReport
	err       error
}

func (o outcome) report() engine.RunReport {
	if len(o.reports) == 0 {
		return engine.RunReport{}
	}
	return o.reports[len(o.reports)-1]
}

func (o outcome) base() []engine.Proposal {
	return slices.DeleteFunc(slices.Clone(o.proposals), func(p engine.Proposal) bool { return p.Feature == scoping.References })
}

func (o outcome) of(id scoping.ObjectID, f scoping.Feature) *engine.Proposal {
	for i := range o.proposals {
		if o.proposals[i].Object == id && o.proposals[i].Feature == f {
			return &o.proposals[i]
		}
	}
	return nil
}

// host decides the proposals of a run. Zero: everything is applied at once.
type host struct {
	decide func(engine.Proposal) engine.Outcome // "" : no decision
	seen   func(engine.RunEvent)
}

func (w *world) run(r engine.RunRequest) outcome { return w.runAs(w.t.Context(), r, host{}) }

func (w *world) runAs(ctx context.Context, r engine.RunRequest, h host) outcome {
	w.runs++
	r.Run = w.runs
	if r.Ceiling == 0 {
		r.Ceiling = engine.ModeOwn
	}
	if h.decide == nil {
		h.decide = func(engine.Proposal) engine.Outcome { return engine.Applied }
	}
	in, out := make(chan []engine.Decision, 1), make(chan engine.RunEvent)
	var o outcome
	var host sync.WaitGroup
	host.Go(func() {
		for e := range out {
			if h.seen != nil {
				h.seen(e)
			}
			var decisions []engine.Decision
			for _, p := range e.Proposals {
				o.proposals = append(o.proposals, p)
				if d := h.decide(p); d != "" {
					decisions = append(decisions, engine.Decision{Seq: p.Seq, Outcome: d})
				}
			}
			if len(decisions) > 0 {
				select {
				case in <- decisions:
				case <-ctx.Done():
				}
			}
			if e.Report != nil {
				o.reports = append(o.reports, *e.Report)
			}
		}
	})
	var e engine.Engine = w.engine
	if w.via != nil {
		e = w.via
	}
	o.err = e.Run(ctx, r, in, out)
	close(out)
	host.Wait()
	return o
}

// grant gives the engine these scopes and waits until it has taken them.
func (w *world) grant(scopes ...scoping.Scope) {
	w.t.Helper()
	var set []engine.Grant
	for i, s := range scopes {
		set = append(set, engine.Grant{ID: uint32(i + 1), Scope: s, Mode: engine.ModeOwn, Epoch: scoping.Epoch{Incarnation: 1, N: uint64(10 + i)}})
	}
	in, out := make(chan []engine.Grant, 1), make(chan engine.Ack, len(set))
	in <- set
	close(in)
	check(w.t, w.engine.Grants(w.t.Context(), in, out))
	if len(out) != len(set) {
		w.t.Fatalf("%d grants, %d acknowledged", len(set), len(out))
	}
}

func (w *world) full(scopes ...scoping.Scope) engine.RunRequest {
	return engine.RunRequest{Profile: engine.ProfileFull, Scopes: scopes}
}

func (w *world) delta(scopes ...scoping.Scope) engine.RunRequest {
	return engine.RunRequest{Profile: engine.ProfileDelta, Scopes: scopes}
}

// call calls a verb and gives what it answered.
func (w *world) call(verb string, args any) ([][]byte, error) {
	b, err := json.Marshal(args)
	check(w.t, err)
	if args == nil {
		b = nil
	}
	out := make(chan []byte, 100)
	err = w.engine.Call(w.t.Context(), verb, b, out)
	close(out)
	var answers [][]byte
	for a := range out {
		answers = append(answers, a)
	}
	return answers, err
}

func answer[T any](w *world, verb string, args any) T {
	w.t.Helper()
	var v T
	out, err := w.call(verb, args)
	check(w.t, err)
	check(w.t, json.Unmarshal(out[0], &v))
	return v
}

// waitHealth gives the first health that suits.
func (w *world) waitHealth(suits func(engine.Health) bool) engine.Health {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	out := make(chan engine.Health)
	done := make(chan error, 1)
	go func() { done <- w.engine.Health(ctx, out) }()
	var last engine.Health
	for {
		select {
		case last = <-out:
			if suits(last) {
				cancel()
				<-done
				return last
			}
		case err := <-done:
			w.t.Fatalf("health never suited: %v, last %+v", err, last)
		}
	}
}

func mustComplete(t *testing.T, o outcome) {
	t.Helper()
	if o.err != nil || !o.report().Complete {
		t.Fatalf("run: %v, reports %+v", o.err, o.reports)
	}
}

func wants(ps []engine.Proposal) map[string]engine.Want {
	out := map[string]engine.Want{}
	for _, p := range ps {
		out[strings.SplitN(p.Name, ",", 2)[0]] = p.Want
	}
	return out
}

var errPulled = errors.New("the plug was pulled")

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	check(t, err)
	return b
}

// spoil overwrites the middle of the index files of a state folder.
func spoil(t *testing.T, dir string) {
	t.Helper()
	n := 0
	check(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "directories.") && !strings.Contains(filepath.Base(path), "directories") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || len(b) < 4096 {
			return err
		}
		n++
		for i := 64; i < len(b); i += 97 {
			b[i] ^= 0x5a
		}
		return os.WriteFile(path, b, 0o600)
	}))
	if n == 0 {
		t.Fatalf("no index file in %s", dir)
	}
}
