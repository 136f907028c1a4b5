package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"testing"

	labdirectory "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/conformance"
	"github.com/tandem-sync/tandem/plugins/engine/enginetest"
	"github.com/tandem-sync/tandem/plugins/engine/plugin"
	"github.com/tandem-sync/tandem/scoping"
)

// TestMain makes the test binary the engine's executable, too: a host starts it with the contract's cookie.
func TestMain(m *testing.M) {
	if os.Getenv("TANDEM_ENGINE") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// world is a lab directory with an OU to grant, one excepted below it, and one that is somebody else's.
type world struct {
	model  *labdirectory.Model
	server *labdirectory.Server
	scope  scoping.Scope
	expect []conformance.Expected
	others []scoping.ObjectID // not covered by scope
}

func newWorld(t *testing.T) *world {
	t.Helper()
	model := labdirectory.New(labdirectory.Options{})
	server, err := labdirectory.Serve(context.Background(), model, labdirectory.ServerOptions{MaxPageSize: 7})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{model: model, server: server}
	sales := w.ou(t, "Sales", model.Base())
	contractors := w.ou(t, "Contractors", "OU=Sales,"+model.Base())
	w.ou(t, "Engineering", model.Base())
	w.scope = scoping.Scope{Directory: "contoso", Under: sales, Except: []scoping.GUID{contractors}, Features: []scoping.Feature{scoping.Users}}
	for i := range 12 {
		w.expect = append(w.expect, conformance.Expected{Object: w.user(t, fmt.Sprintf("sale%d", i), "OU=Sales,", true), Feature: scoping.Users, Want: engine.Present})
		w.others = append(w.others, w.user(t, fmt.Sprintf("eng%d", i), "OU=Engineering,", true))
	}
	w.expect = append(w.expect, conformance.Expected{Object: w.user(t, "nameless", "OU=Sales,", false), Feature: scoping.Users, Want: engine.Excluded})
	w.others = append(w.others, w.user(t, "hired", "OU=Contractors,OU=Sales,", true))
	return w
}

func (w *world) ou(t *testing.T, name, parent string) scoping.GUID {
	t.Helper()
	g, err := w.model.Add("OU="+name+","+parent, labdirectory.Attributes{"objectClass": {"organizationalUnit"}})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (w *world) user(t *testing.T, name, under string, upn bool) scoping.ObjectID {
	t.Helper()
	a := labdirectory.Attributes{"objectClass": {"user"}, "sAMAccountName": {name}, "userAccountControl": {"512"}, "displayName": {"User " + name}}
	if upn {
		a["userPrincipalName"] = []string{name + "@contoso.test"}
	}
	g, err := w.model.Add("CN="+name+","+under+w.model.Base(), a)
	if err != nil {
		t.Fatal(err)
	}
	return scoping.ObjectID{Directory: "contoso", GUID: g}
}

func (w *world) config(settings string) engine.Config {
	return engine.Config{Engine: "minimal", Settings: []byte(settings), Features: []scoping.Feature{scoping.Users, scoping.Groups}, Directories: []engine.Directory{{
		Name: "contoso", URLs: []string{w.server.URL()}, Base: w.model.Base(), User: w.model.ReadOnlyUser(), Password: w.model.AdminPassword(), CA: w.server.CAPEM()}}}
}

func (w *world) options(start func(testing.TB) engine.Engine) conformance.Options {
	return conformance.Options{Start: start, Config: w.config(""), Scopes: []scoping.Scope{w.scope}, Expect: w.expect, Mistakes: 2,
		Mistaken: engine.Config{Settings: []byte("nonsense")},
		Change: func(t testing.TB) []scoping.ObjectID {
			if err := w.model.Modify("CN=sale1,OU=Sales,"+w.model.Base(), labdirectory.Change{Kind: labdirectory.Replace, Attribute: "displayName", Values: []string{"New"}}); err != nil {
				t.Fatal(err)
			}
			return []scoping.ObjectID{w.expect[1].Object}
		}}
}

func TestItKeepsTheContract(t *testing.T) {
	conformance.Run(t, newWorld(t).options(func(t testing.TB) engine.Engine { return enginetest.Wire(t, &minimal{}) }))
}

// It has no feature for which an account beside the reading one is there, so that a host that would let it have all gives it none.
func TestItGetsNoAccounts(t *testing.T) {
	d, err := (&minimal{}).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := newWorld(t).config("")
	c.Directories[0].Accounts = map[scoping.Purpose]engine.Account{scoping.Replicate: {User: "a"}, scoping.Reset: {User: "b"}, scoping.Provision: {User: "c"}}
	if got := c.For(d, scoping.Purposes()); got.Directories[0].Accounts != nil {
		t.Errorf("it gets %v", got.Directories[0].Accounts)
	}
}

func TestItKeepsTheContractAsAProcess(t *testing.T) {
	conformance.Run(t, newWorld(t).options(process))
}

// process starts the engine as a host does.
func process(t testing.TB) engine.Engine {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := plugin.Start(context.Background(), plugin.Command{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p.Engine()
}

// propose makes one run and gives its proposals by object.
func (w *world) propose(t *testing.T, settings string, r engine.RunRequest) (map[scoping.ObjectID]engine.Proposal, engine.RunReport) {
	t.Helper()
	e := &minimal{}
	if err := e.Configure(t.Context(), w.config(settings)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	in, acks, ended := make(chan []engine.Grant), make(chan engine.Ack), make(chan struct{})
	go func() {
		defer close(ended)
		if err := e.Grants(ctx, in, acks); err == nil {
			log.Print("the stream of grants ended by itself")
		}
	}()
	in <- []engine.Grant{{ID: 4, Scope: w.scope, Mode: engine.ModeOwn, Epoch: scoping.Epoch{Incarnation: 1, N: 7}}}
	<-acks
	cancel()
	<-ended
	r.Scopes = []scoping.Scope{w.scope}
	proposals := make(map[scoping.ObjectID]engine.Proposal)
	reports, err := engine.Drive(t.Context(), e, r, engine.Conversation{Decide: func(batch []engine.Proposal) ([]engine.Decision, error) {
		for _, p := range batch {
			proposals[p.Object] = p
		}
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return proposals, reports[0]
}

func TestItCanBeMadeToProposeWhatItDoesNotOwn(t *testing.T) {
	w := newWorld(t)
	seen, _ := w.propose(t, `{"proposeEverything": true, "displayNamePrefix": "HIJACKED "}`, engine.RunRequest{Profile: engine.ProfileFull})
	disguised, _ := w.propose(t, `{"proposeEverything": true, "impersonate": true, "delete": true}`, engine.RunRequest{Profile: engine.ProfileFull})
	for _, o := range w.others {
		p := seen[o]
		if p.Grant != 0 || p.Want != engine.Present || !strings.HasPrefix(p.Desired["displayName"].Text[0], "HIJACKED ") {
			t.Errorf("%+v", p)
		}
		if p := disguised[o]; p.Grant != 4 || p.Epoch.N != 7 || p.Want != engine.Gone {
			t.Errorf("%+v", p)
		}
	}
	if own := seen[w.expect[0].Object]; own.Grant != 4 {
		t.Errorf("its own user carries grant %d", own.Grant)
	}
}

func TestAskedObjectsElsewhereGoneOrUnknownAreAnswered(t *testing.T) {
	w := newWorld(t)
	if err := w.model.Delete("CN=sale0,OU=Sales," + w.model.Base()); err != nil {
		t.Fatal(err)
	}
	unknown := scoping.ObjectID{Directory: "contoso", GUID: scoping.GUID{1, 2, 3}}
	asked := []scoping.ObjectID{w.expect[0].Object, w.expect[1].Object, w.others[0], unknown}
	got, report := w.propose(t, "", engine.RunRequest{Profile: engine.ProfileObjects, Objects: asked})
	var wants []engine.Want
	for _, o := range asked {
		wants = append(wants, got[o].Want)
	}
	if !slices.Equal(wants, []engine.Want{engine.Gone, engine.Present, engine.OutOfScope, engine.Unknown}) || got[unknown].Reason != engine.NotFound {
		t.Errorf("wants are %v, %+v", wants, got[unknown])
	}
	if !report.Complete || len(report.Errors) != 0 {
		t.Errorf("%+v", report)
	}
}
