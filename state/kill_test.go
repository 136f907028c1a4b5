package state_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/state"
)

// childDir tells the re-executed test binary where to write.
const childDir = "STATE_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

// child appends, commits and owes without end, and says on its output what was acknowledged.
func child(dir string) int {
	s, err := state.Open(dir, state.Options{Reserve: -1, SegmentSize: 20_000, Command: "child"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for i := 0; ; i++ {
		last, err := s.Log.Append(bg, [][]byte{[]byte("a"), []byte("b" + strings.Repeat("x", i%500))})
		if err != nil {
			break
		}
		fmt.Println("log", last)
		err = s.Control.Update(bg, func(tx state.Tx) error {
			n, _ := strconv.Atoi(string(tx.Get("b", "n")))
			return errors.Join(tx.Put("b", "n", []byte(strconv.Itoa(n+1))), state.AppendLater(tx, []byte("debt "+strconv.Itoa(n+1))))
		})
		if err != nil {
			break
		}
		fmt.Println("control", i)
		if _, err = s.AppendPending(bg); err != nil {
			break
		}
	}
	return 1
}

// TestKilledProcessLosesNothingAcknowledged kills a writing process at many points of its work and compares.
func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	commits := 0 // acknowledged, over all children
	for round := range 25 {
		lines := 20 + round*7
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		var last uint64
		read := func(line string) {
			if n, ok := strings.CutPrefix(line, "log "); ok {
				last, err = strconv.ParseUint(n, 10, 64)
				must(t, err)
			} else {
				commits++
			}
		}
		b := bufio.NewReader(out)
		for range lines {
			line, err := b.ReadString('\n')
			must(t, err)
			read(strings.TrimSpace(line))
		}
		if round == 0 {
			_, err := state.Open(dir, state.Options{})
			var held *state.HeldError
			if !errors.As(err, &held) || held.PID != cmd.Process.Pid || held.Command != "child" {
				t.Errorf("open beside the child: %v", err)
			}
		}
		must(t, cmd.Process.Kill())
		rest, err := io.ReadAll(b) // acknowledged before the kill and not read yet
		must(t, err)
		for line := range strings.Lines(string(rest)) {
			if strings.HasSuffix(line, "\n") {
				read(strings.TrimSpace(line))
			}
		}
		_ = cmd.Wait() // it was killed
		commits = compareWithKilled(t, dir, last, commits)
	}
}

// compareWithKilled opens what a killed child left and returns the commits found there.
func compareWithKilled(t *testing.T, dir string, last uint64, commits int) int {
	t.Helper()
	s, err := state.Open(dir, state.Options{Reserve: -1})
	must(t, err)
	if seq, _ := s.Log.Head(); seq < last {
		t.Fatalf("the log ends at %d, acknowledged was %d", seq, last)
	}
	must(t, s.Log.Verify(bg))
	found := 0
	must(t, s.Control.View(bg, func(tx state.Tx) error {
		found, _ = strconv.Atoi(string(tx.Get("b", "n")))
		return nil
	}))
	if found < commits {
		t.Fatalf("control has %d commits, acknowledged were %d", found, commits)
	}
	debts := 0
	must(t, s.Log.Read(bg, 1, func(_ uint64, r []byte) error {
		if n, ok := strings.CutPrefix(string(r), "debt "); ok {
			if debts++; n != strconv.Itoa(debts) {
				return fmt.Errorf("debt %s stands where %d is due", n, debts)
			}
		}
		return nil
	}))
	if debts != found {
		t.Fatalf("%d debts in the log, %d commits owed one", debts, found)
	}
	must(t, s.Close())
	return found
}
