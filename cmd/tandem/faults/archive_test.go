//go:build linux

package faults_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pruned is what audit prune says.
type pruned struct {
	Segments, Records, First int
	HeldBy                   string
}

// verified is what audit verify says.
type verified struct {
	OK             bool
	First, Records int
	Archive        struct{ Records int }
	Problem        string
}

// prunes archives and prunes until something went: the last moments of a journal stay.
func (w *world) prunes() (p pruned) {
	w.Helper()
	w.done("audit", "archive", "archive")
	w.until("something is pruned", time.Minute, func() bool {
		w.answers(0, nil, &p, "audit", "prune", "--before", "0s", "--archive", "archive")
		return p.Segments > 0
	})
	return p
}

// whole wants journal and archive to be one whole chain.
func (w *world) whole() (v verified) {
	w.Helper()
	w.answers(0, nil, &v, "audit", "verify", "--archive", "archive")
	if !v.OK || v.Archive.Records < v.First-1 {
		w.Errorf("the chain has a gap: %+v", v)
	}
	return v
}

// Archiving and pruning beside a daemon that works, and after it: nothing is written anew, whatever is read from what stays.
func TestAJournalIsPrunedWhileItIsServed(t *testing.T) {
	t.Parallel()
	w := synced(t, 30)
	w.edit("tandem.yaml", `schedule: \d+m`, "schedule: 2s")
	w.serves(t)
	p := w.prunes()
	if p.First < 2 || p.Records != p.First-1 {
		t.Errorf("pruned: %+v", p)
	}
	if v := w.whole(); v.First != p.First {
		t.Errorf("pruned to %d, and the journal begins with %d", p.First, v.First)
	}
	head := w.read("archive/head.json")
	w.done("audit", "archive", "archive")
	w.titled("Sales", "After the pruning")
	w.until("the change arrives", time.Minute, func() bool { return w.run("diff", "--under", base).code == 0 })
	w.prunes()
	if w.whole(); w.read("archive/head.json") == head {
		t.Error("what came later is not in the archive")
	}
	w.settled()
	w.done("state", "check")
	w.done("state", "backup", "new.tar")
	sent := w.lab.Writes()

	other := over(t, w.lab)
	other.write("new.tar", w.read("new.tar"))
	other.done("state", "restore", "new.tar")
	other.done("sync", "connect", "--profile", "full")
	other.done("audit", "verify")
	var left struct{ Errors []any }
	if other.answers(0, nil, &left, "errors", "list"); len(left.Errors) > 0 || w.lab.Writes() != sent {
		t.Errorf("a restored state whose journal was pruned knows less: %v", left.Errors)
	}
}

// Without its indexes a host knows by the pruned journal alone whose everything is: it writes nothing, and goes on.
func TestAPrunedJournalIsAllThatAHostNeeds(t *testing.T) {
	t.Parallel()
	w := synced(t, 30)
	w.prunes()
	sent := w.lab.Writes()
	w.done("state", "rebuild-index")
	w.done("sync", "connect", "--profile", "full")
	w.settled()
	if n := w.lab.Writes() - sent; n > 0 {
		t.Errorf("%d writes although nothing changed", n)
	}
	w.titled("Sales", "After the pruning")
	w.done("sync", "connect")
	w.settled()
	w.done("audit", "verify", "--archive", "archive")

	// what a wave that can be rolled back needs stays
	w.done("audit", "archive", "archive")
	w.done("migrate", "--under", "OU=Sales,"+base, "--to", "cloudsync", "--auto-approve", "--soak", "24h")
	w.done("audit", "archive", "archive")
	var p pruned
	w.until("the wave holds it back", time.Minute, func() bool {
		w.answers(0, nil, &p, "audit", "prune", "--before", "0s", "--archive", "archive")
		return strings.Contains(p.HeldBy, "is not over")
	})
	var waves struct{ Waves []struct{ ID string } }
	w.answers(0, nil, &waves, "wave", "list")
	w.done("wave", "rollback", waves.Waves[0].ID, "--reason", "because")
	w.settled()
	w.whole()
}

// Nothing is pruned whose archive is damaged, missing, somebody else's, or newer than this state.
func TestNothingIsPrunedThatNoArchiveHolds(t *testing.T) {
	t.Parallel()
	w := synced(t, 12)
	prune := func(dir string) []string { return []string{"audit", "prune", "--before", "0s", "--archive", dir} }
	w.fails(2, []string{"this installation never made one"}, prune("archive")...)
	w.done("state", "backup", "old.tar")
	w.done("audit", "archive", "archive")
	w.fails(2, []string{"there is no archive in", "nothing was pruned"}, prune("elsewhere")...)
	w.fails(2, []string{"--archive DIR"}, "audit", "prune", "--before", "0s")
	w.fails(2, []string{`--before "yesterday"`, "90d"}, "audit", "prune", "--before", "yesterday", "--archive", "archive")
	segment := filepath.Join("archive", "00000000000000000001.log")
	good := w.read(segment)
	w.write(segment, good[:len(good)/2]+"x"+good[len(good)/2+1:])
	w.fails(2, []string{"the archive is damaged", segment}, prune("archive")...)
	var v verified
	if w.answers(4, []string{"the archive is damaged"}, &v, "audit", "verify", "--archive", "archive"); v.OK || v.Problem == "" {
		t.Errorf("%+v", v)
	}
	w.check(os.Remove(w.path(segment)))
	w.fails(2, []string{"the archive is damaged", "is missing"}, prune("archive")...)
	w.write(segment, good)
	w.write("archive/head.json", strings.Replace(w.read("archive/head.json"), `"seq": `, `"seq": 1`, 1))
	w.fails(2, []string{"the archive is damaged", "signature"}, prune("archive")...)
	w.check(os.RemoveAll(w.path("archive")))
	w.prunes()

	// an older backup over the pruned state: whole in itself, and behind its archive
	w.write("old.tar", w.read("old.tar"))
	w.done("state", "restore", "old.tar", "--force")
	w.done("audit", "verify")
	w.fails(2, []string{"this installation never made one"}, prune("archive")...)
	w.done("sync", "connect", "--profile", "full")
	w.fails(2, []string{"name another folder"}, "audit", "archive", "archive")
	w.done("audit", "archive", "again")
	w.done("audit", "verify", "--archive", "again")
	w.settled()
}

// An archive on a full disk fails with the reason and stays as it was, and a full disk under the state is no reason not to make room there.
func TestAFullDiskEndsNoArchive(t *testing.T) {
	t.Parallel()
	w := alone(t, 12)
	w.small(t, "200m")
	w.done("import", "policy.yaml")
	w.done("sync", "connect", "--profile", "full")
	w.check(os.Mkdir(w.path("state/archive"), 0o700))
	empty := w.fill(w.path("state"))
	w.fails(1, []string{"no space left"}, "audit", "archive", "state/archive")
	left, err := os.ReadDir(w.path("state/archive"))
	w.check(err)
	if len(left) > 0 {
		t.Errorf("it left %v", left)
	}
	empty()
	w.done("audit", "archive", "archive")
	full := w.fill(w.path("state"))
	var p pruned
	w.until("it is pruned", time.Minute, func() bool {
		w.answers(0, nil, &p, "audit", "prune", "--before", "0s", "--archive", "archive")
		return p.Segments > 0
	})
	full()
	w.done("sync", "connect")
	w.whole()
	w.settled()
}
