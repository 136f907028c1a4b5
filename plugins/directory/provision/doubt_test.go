package provision_test

import (
	"context"
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/examples/lab/cable"
	sink "github.com/tandem-sync/tandem/plugins/directory/provision"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// Each operation is carried out over a line that is cut with the request that writes, or with its answer. What the sink says has to be what a look at that controller finds later.
func TestALostAnswerIsInDoubtAndALookTellsWhatCameOfIt(t *testing.T) {
	everywhere(t, func(w *world) {
		for _, arrives := range []bool{true, false} {
			name := map[bool]string{true: "a", false: "b"}[arrives]
			wire := cable.New(w.T, w.connection.URLs[0])
			far := &sink.Sink{Directory: w.sink.Directory, Account: w.sink.Account, Random: w.sink.Random}
			far.Directory.URLs = []string{wire.URL()}
			cut := func(tt provision.Target, v provision.Values) {
				w.Helper()
				tt.Controller = wire.URL()
				end := sink.Between(func() { wire.CutAfter(1, arrives) })
				o := far.Carry(w.Context(), tt, nil, permits(v))
				end()
				w.wants(string(tt.Op)+" "+name, o, provision.InDoubt)
			}
			add := w.target(provision.Add, scoping.User)
			cut(add, provision.Values{Set: set("sAMAccountName", "lost"+name+w.suffix)})
			found := w.find(provision.Term{Attribute: w.link, Value: add.Link.Value})
			if arrives != (len(found) == 1) {
				w.Fatalf("the add arrived (%v), and is found as %+v", arrives, found)
			}
			o := w.carry(add, provision.Values{Set: set("sAMAccountName", "lost"+name+w.suffix)})
			if arrives {
				w.wants("the add again", o, provision.Exists)
			} else {
				w.wants("the add again", o, provision.Done)
			}
			g := o.Result.Object
			cut(w.of(add, g, provision.Modify), provision.Values{Set: set("title", "Chief"), Disabled: &provision.Switch{Was: true, To: false}})
			if f := w.see(g, "title", "userAccountControl"); arrives != slices.Equal(f.Values["title"], []string{"Chief"}) || arrives != slices.Equal(f.Values["userAccountControl"], []string{"512"}) {
				w.Errorf("the modification arrived (%v): %+v", arrives, f)
			}
			cut(w.of(add, g, provision.Rename), provision.Values{WasName: add.Link.Value, Name: "Lost " + name})
			if f := w.see(g, "name"); arrives != slices.Equal(f.Values["name"], []string{"Lost " + name}) {
				w.Errorf("the rename arrived (%v): %+v", arrives, f)
			}
			move := w.of(add, g, provision.Move)
			move.Container = w.guid(w.below)
			cut(move, provision.Values{From: w.guid(w.ou)})
			if f := w.see(g); arrives != (f.Parent == move.Container) {
				w.Errorf("the move arrived (%v): %+v", arrives, f)
			}
			cut(w.of(add, g, provision.Delete), provision.Values{})
			if f := w.see(g); arrives != f.Deleted {
				w.Errorf("the delete arrived (%v): %+v", arrives, f)
			}
		}
	})
}

func TestALineThatBreaksBeforeTheWriteLeavesNoDoubt(t *testing.T) {
	everywhere(t, func(w *world) {
		wire := cable.New(w.T, w.connection.URLs[0])
		far := &sink.Sink{Directory: w.sink.Directory, Account: w.sink.Account, Random: w.sink.Random}
		far.Directory.URLs = []string{wire.URL()}
		add := w.target(provision.Add, scoping.User)
		add.Controller = wire.URL()
		for n := range 6 {
			o := far.Carry(w.Context(), add, nil, func(ctx context.Context) (sink.Permit, error) {
				wire.CutAfter(n+1, false)
				return permits(provision.Values{Set: set("sAMAccountName", "never"+w.suffix)})(ctx)
			})
			if o.Code == provision.InDoubt && n >= 3 { // it got to the write
				return
			}
			w.wants("cut after the permit", o, provision.Unreachable)
			if found := w.find(provision.Term{Attribute: w.link, Value: add.Link.Value}); len(found) != 0 {
				w.Errorf("request %d: %+v", n, found)
			}
		}
		w.Error("the write was never reached")
	})
}
