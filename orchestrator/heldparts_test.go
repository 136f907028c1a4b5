package orchestrator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// A person answers what was shown of a held set: a removal that did not wait then, because its group was deleted, is not approved with the others.
// Otherwise it would go out as approved once the group is back.
func TestAnAnswerIsAboutWhatWasShown(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 10)
		w.importPolicy()
		ou := "OU=Engineering," + s.base
		var team []string
		for i := range 12 {
			dn, _ := w.person(fmt.Sprintf("left%d", i), ou)
			team = append(team, dn)
		}
		stays, _ := w.person("stays", ou)
		many := w.group("Many", ou, append(team, stays)...)
		few := w.group("Few", ou, team[0], stays)
		w.sync("connect", engine.ProfileFull)
		w.leave(many, team...)
		w.leave(few, team[0])
		r, err := w.tandem.Host().Sync(t.Context(), "connect", run.SyncOptions{})
		if err != nil {
			t.Fatal(err)
		}
		said := r.HeldSets
		about := func(h ledger.Hold, name string) (n int) {
			for _, e := range h.Entries {
				if strings.HasPrefix(e.Name, "CN="+name+",") {
					n++
				}
			}
			return n
		}
		sets := w.tandem.Host().Held()
		if len(sets) != 1 || len(said) != 1 || sets[0].ID != said[0] || about(sets[0], "Few") != 1 || about(sets[0], "Many") != 12 {
			t.Fatalf("held: %v, %+v", said, sets)
		}
		w.remove(few)
		w.sync("cloudsync", engine.ProfileDelta) // reads the directory
		sets = w.tandem.Host().Held()
		if len(sets) != 1 || about(sets[0], "Few") != 0 || about(sets[0], "Many") != 12 {
			t.Fatalf("shown: %+v", sets)
		}
		if _, err := w.tandem.Host().Answer(t.Context(), said[0], "approve", "ann", "an older list"); err == nil || !strings.Contains(err.Error(), sets[0].ID) {
			t.Errorf("by its older name: %v", err)
		}
		w.answer(sets[0].ID, "approve")
		for _, h := range w.tandem.Host().Held() {
			if h.State == ledger.HoldApproved && about(h, "Few") > 0 || h.State == ledger.HoldDone && about(h, "Many") != 12 {
				t.Errorf("%s: %+v", h.State, h)
			}
		}
	})
}
