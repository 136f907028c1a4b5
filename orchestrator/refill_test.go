package orchestrator_test

import (
	"fmt"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// Row T5 of the findings: the group of a selector is emptied, which moves nobody, and refilled with some who were in it, some who were not, and more than the
// threshold at once. From then on owners are what the directory says, and nobody's tenant object is another one.
func TestASelectorsGroupThatIsEmptiedAndRefilled(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 40)
		w.importPolicy()
		eng := "OU=Engineering," + s.base
		dn, upn := map[string]string{}, map[string]string{}
		for _, n := range []string{"ann", "bob", "cleo"} {
			dn[n], upn[n] = w.person(n, eng)
		}
		var many []string
		for i := range 8 {
			n := fmt.Sprintf("many%d", i)
			dn[n], upn[n] = w.person(n, eng)
			many = append(many, dn[n])
		}
		pilots := w.group("Pilots", "OU=Groups,"+s.base, dn["ann"], dn["bob"])
		w.sync("connect", engine.ProfileFull)
		ids := w.ids()
		text := w.policyOf(assign("service accounts", "OU=Service,"+s.base, "none"), assign("pilot", eng, "cloudsync", fmt.Sprintf("memberOf: %q", pilots)))
		_, ws := w.apply(withDefaults(text, "deleteThreshold: {objects: 5, percent: 10}")) // few, however many there are
		w.decide(ws[0].ID, wave.CompleteNow, wave.Completed)
		owned := func(byCloudsync ...string) {
			t.Helper()
			want := map[string]string{}
			for n := range upn {
				want[upn[n]] = "connect"
			}
			for _, n := range byCloudsync {
				want[upn[n]] = "cloudsync"
			}
			w.owners(want)
		}
		owned("ann", "bob")

		t.Run("emptied it moves nobody", func(t *testing.T) {
			w.leave(pilots, dn["ann"], dn["bob"])
			for range 2 {
				w.deltas()
				owned("ann", "bob")
			}
			w.writer(dn["ann"], upn["ann"], "cloudsync", "connect")
			w.writer(dn["cleo"], upn["cleo"], "connect", "cloudsync")
			w.close()
			w.open() // another process knows it too
			w.deltas()
			owned("ann", "bob")
		})
		t.Run("refilled with others, owners are what the directory says", func(t *testing.T) {
			w.join(pilots, dn["ann"], dn["cleo"])
			w.deltas()
			owned("ann", "cleo")
			w.writer(dn["ann"], upn["ann"], "cloudsync", "connect")
			w.writer(dn["cleo"], upn["cleo"], "cloudsync", "connect")
			w.writer(dn["bob"], upn["bob"], "connect", "cloudsync")
		})
		t.Run("emptied and refilled between two runs, owners are what the directory says", func(t *testing.T) {
			w.leave(pilots, dn["ann"], dn["cleo"])
			w.join(pilots, dn["bob"], dn["cleo"])
			w.deltas()
			owned("bob", "cleo")
		})
		t.Run("refilled with more than the threshold, they wait for an answer, and go over with it", func(t *testing.T) {
			w.leave(pilots, dn["bob"], dn["cleo"])
			w.deltas()
			owned("bob", "cleo")
			w.join(pilots, append([]string{dn["bob"]}, many...)...)
			set := w.heldChange(9) // and cleo, who is not in it any more
			owned("bob", "cleo")
			w.answer(set.ID, "approve")
			w.deltas()
			owned("bob", "many0", "many1", "many2", "many3", "many4", "many5", "many6", "many7")
			w.writer(dn["many5"], upn["many5"], "cloudsync", "connect")
			w.writer(dn["cleo"], upn["cleo"], "connect", "cloudsync")
		})
		t.Run("those are taken out and put in again, all of them", func(t *testing.T) {
			w.leave(pilots, append([]string{dn["bob"]}, many...)...)
			w.eachRuns("connect", "cloudsync")
			owned("bob", "many0", "many1", "many2", "many3", "many4", "many5", "many6", "many7")
			w.join(pilots, many...)
			w.deltas()
			owned("many0", "many1", "many2", "many3", "many4", "many5", "many6", "many7")
			w.writer(dn["many5"], upn["many5"], "cloudsync", "connect")
		})
		w.same(ids, "emptying and refilling")
	})
}
