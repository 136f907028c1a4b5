package orchestrator_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// indexFiles are the files of a state folder that may be lost.
var indexFiles = []string{"census", "tenant", "ledger", "claims"}

// indexes gives the index files' contents; Tandem is closed.
func (w *world) indexes() map[string][]byte {
	w.t.Helper()
	out := map[string][]byte{}
	for _, n := range indexFiles {
		b, err := os.ReadFile(w.index(n))
		if err != nil {
			w.t.Fatal(err)
		}
		out[n] = b
	}
	return out
}

func (w *world) index(name string) string { return filepath.Join(w.dir, "state", "index", name+".idx") }

// runsOn lets both engines run twice, as a schedule does, and fails the test unless nothing is owed then.
func (w *world) runsOn(what string) {
	w.t.Helper()
	for _, e := range []string{"connect", "cloudsync", "connect", "cloudsync"} {
		r, err := w.tandem.Host().Sync(w.t.Context(), e, run.SyncOptions{})
		if err != nil || !r.Complete || r.Failed+r.Held+r.Refused+r.Unclaimed > 0 {
			w.t.Fatalf("%s: run of %s: %v, %+v", what, e, err, r)
		}
	}
	if d := w.tandem.Host().Debts(); len(d) > 0 {
		w.t.Errorf("%s: %d debts are left, the first: %+v", what, len(d), d[0])
	}
}

// Index files that are deleted, damaged, cut or older than the log cost a reading and no write: the tenant is as it was, and the next change arrives, once.
func TestIndexesThatAreLostDamagedOrOldChangeNothing(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 30)
		sales, marketing := "OU=Sales,"+s.base, "OU=Marketing,"+s.base
		annDN, ann := w.person("ann", sales)
		bobDN, bob := w.person("bob", marketing)
		crew := w.group("Crew", sales, annDN)
		text := withDefaults(fmt.Sprintf(policyText, s.base, s.base), "deleteThreshold: {objects: 500, percent: 100}") + assign("sales", sales, "cloudsync")
		if _, err := w.tandem.Host().Import(t.Context(), "policy.yaml", []byte(text), "test"); err != nil {
			t.Fatal(err)
		}
		w.sync("connect", engine.ProfileFull)
		w.sync("cloudsync", engine.ProfileFull)
		w.runsOn("at first")

		turn, writes := 0, int64(0) // of a process that has two changes to write
		// lives lets something of every kind happen, and gives the index files as they were before it.
		lives := func() (before map[string][]byte) {
			w.close()
			before = w.indexes()
			w.open()
			turn++
			w.modify(annDN, "title", fmt.Sprintf("Turn %d", turn))
			w.modify(bobDN, "department", fmt.Sprintf("Turn %d", turn))
			if turn%2 == 1 {
				w.join(crew, bobDN)
			} else {
				w.leave(crew, bobDN)
			}
			goesDN, _ := w.person(fmt.Sprintf("goes%d", turn), sales)
			w.runsOn("before")
			w.remove(goesDN)
			_, _ = w.person(fmt.Sprintf("comes%d", turn), marketing)
			w.runsOn("before")
			w.close()
			return before
		}
		// unharmed opens Tandem over spoilt index files and wants nothing to be written until something happens.
		unharmed := func(what string) {
			t.Helper()
			want := w.natural()
			w.graph.ResetCounters()
			w.open()
			w.runsOn(what)
			if got := w.natural(); got != want || w.writes() != 0 {
				t.Errorf("%s: %d writes, another end state: %s", what, w.writes(), differ(got, want))
			}
			w.modify(annDN, "title", "After "+what)
			w.modify(bobDN, "title", "After "+what)
			w.runsOn(what)
			if a, b := w.mustUser(ann).Properties["jobTitle"], w.mustUser(bob).Properties["jobTitle"]; a != "After "+what || b != a || writes != 0 && w.writes() != writes {
				t.Errorf("%s: the next changes are %v and %v after %d writes, want %d", what, a, b, w.writes(), writes)
			}
			writes = w.writes()
			w.close()
		}
		lives()
		unharmed("nothing was spoilt")
		each := [][]string{{"census"}, {"tenant"}, {"ledger"}, {"claims"}, indexFiles}
		for _, c := range []struct {
			how   string
			files [][]string
			spoil func(now, before []byte) []byte // nil: the file is deleted
		}{
			{"deleted", each, func(_, _ []byte) []byte { return nil }},
			{"older than the log", each, func(_, before []byte) []byte { return before }},
			{"overwritten in their first page", [][]string{indexFiles}, func(b, _ []byte) []byte { return overwritten(b, 0, 512) }},
			{"damaged in one bit of each value", [][]string{indexFiles}, func(b, _ []byte) []byte { return flipped(b) }},
			{"cut in half", [][]string{indexFiles}, func(b, _ []byte) []byte { return b[:len(b)/2] }},
		} {
			for _, files := range c.files {
				what := fmt.Sprintf("%v %s", files, c.how)
				before := lives()
				now := w.indexes()
				for _, f := range files {
					if b := c.spoil(now[f], before[f]); b != nil {
						w.must(os.WriteFile(w.index(f), b, 0o600))
					} else {
						w.must(os.Remove(w.index(f)))
					}
				}
				unharmed(what)
			}
		}
	})
}

// overwritten gives a copy of b in which n bytes from a place on are others.
func overwritten(b []byte, at, n int) []byte {
	out := bytes.Clone(b)
	copy(out[at:], bytes.Repeat([]byte{0xA5}, n))
	return out
}

// flipped gives a copy of an index file in which one bit is another, wherever a value names a directory object: the file's structure is as good as before.
func flipped(b []byte) []byte {
	out := bytes.Clone(b)
	for at := range out {
		if bytes.HasPrefix(out[at:], []byte("contoso")) {
			out[at] ^= 2
		}
	}
	return out
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// Who is interrupted keeps what it has: the next process need not read it anew.
func TestWhoIsInterruptedKeepsWhatItHas(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 10)
		if _, err := w.tandem.Host().Import(t.Context(), "policy.yaml", []byte(fmt.Sprintf(policyText, s.base, s.base)), "test"); err != nil {
			t.Fatal(err)
		}
		interrupted, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.tandem.Host().Save(interrupted); err != nil {
			t.Error(err)
		}
	})
}
