package provision_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/tandem-sync/tandem/examples/lab/cable"
	"github.com/tandem-sync/tandem/plugins/directory"
	sink "github.com/tandem-sync/tandem/plugins/directory/provision"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

func TestAConnectionThatBrokeBetweenTwoWritesIsNoTrouble(t *testing.T) {
	everywhere(t, func(w *world) {
		wire := cable.New(w.T, w.connection.URLs[0])
		far := &sink.Sink{Directory: w.sink.Directory, Account: w.sink.Account, Random: w.sink.Random}
		defer far.Close()
		far.Directory.URLs = []string{wire.URL()}
		for n := range 3 {
			add := w.target(provision.Add, scoping.User)
			add.Controller = wire.URL()
			name := fmt.Sprintf("kept%d%s", n, w.suffix)
			w.wants(name, far.Carry(w.Context(), add, nil, permits(provision.Values{Set: set("sAMAccountName", name)})), provision.Done)
			wire.CutAfter(1, false) // the next request, over the connection that is kept, does not arrive
		}
	})
}

// Writes that are under way at once do not each try a password that is refused: that would lock the account.
func TestAPasswordThatIsRefusedIsTriedOnceByAllWritesTogether(t *testing.T) {
	onSamba(t, func(w *world) {
		w.change(w.base, "lockoutThreshold", "50") // without one the controller does not count
		defer w.change(w.base, "lockoutThreshold", "0")
		wrong := &sink.Sink{Directory: w.connection, Account: directory.Account{User: w.sink.Account.User, Password: secret.Take([]byte("Wrong-Passw0rd!"))}}
		add := w.target(provision.Add, scoping.User)
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() { w.wants("a wrong password", wrong.Carry(w.Context(), add, nil, nil), provision.NoRights) })
		}
		all.Wait()
		w.has(w.svcDN, "badPwdCount", "1")
	})
}

func TestWritesAtTheSameTimeAreEachDoneOnce(t *testing.T) {
	everywhere(t, func(w *world) {
		var all sync.WaitGroup
		for n := range 12 {
			add, name := w.target(provision.Add, scoping.User), fmt.Sprintf("many%d%s", n, w.suffix)
			all.Go(func() {
				w.wants(name, w.sink.Carry(w.Context(), add, nil, permits(provision.Values{Set: set("sAMAccountName", name)})), provision.Done)
			})
		}
		all.Wait()
		if found := w.find(provision.Term{Attribute: "sAMAccountName", Value: "many0" + w.suffix}); len(found) != 1 {
			w.Errorf("%+v", found)
		}
	})
}
