package simulation_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/simulation"
)

// usual is how many seeds, from the first on, are listed one by one.
const usual = 300

const knownFile = "testdata/known.txt"

// readKnown reads which seeds of the usual run show which known kind.
func readKnown(t *testing.T) map[uint64]string {
	t.Helper()
	b, err := os.ReadFile(knownFile)
	if err != nil {
		t.Fatal(err)
	}
	out := map[uint64]string{}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		var seed uint64
		var row string
		if _, err := fmt.Sscan(line, &seed, &row); err != nil {
			t.Fatalf("%s: %q: %v", knownFile, line, err)
		}
		if !slices.ContainsFunc(simulation.Kinds(), func(k simulation.Kind) bool { return k.Row == row }) {
			t.Fatalf("%s: %q is no known kind", knownFile, row)
		}
		out[seed] = row
	}
	return out
}

func writeKnown(t *testing.T, known map[uint64]string) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "# Seeds of 1 to %d that show a failure that is known, with its row of the findings: go test ./orchestrator/simulation -run InvariantsHold -update\n# A seed is a function of the code: another change makes others fail.\n", usual)
	for _, s := range slices.Sorted(maps.Keys(known)) {
		fmt.Fprintf(&b, "%d %s\n", s, known[s])
	}
	if err := os.WriteFile(knownFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// judge compares failures with what is known: of the usual seeds each has to be listed, of others its kind has to be known.
func (s *survey) judge(t *testing.T) {
	known := readKnown(t)
	fails := map[uint64]string{}
	kinds := map[string][]uint64{}
	for _, v := range s.violations {
		row := v.Kind()
		fails[v.Seed] = row
		kinds[row] = append(kinds[row], v.Seed)
		switch {
		case row == "":
			t.Errorf("a failure of no known kind: %v", v)
		case v.Seed <= usual && known[v.Seed] != row && !*list:
			say := t.Logf
			if *only {
				say = t.Errorf
			}
			say("a failure of kind %s that %s does not list (-update does): %v", row, knownFile, v)
		}
	}
	for _, k := range simulation.Kinds() {
		if n := len(kinds[k.Row]); n > 0 {
			t.Logf("%-4s %d failures, seeds %v: %s", k.Row, n, kinds[k.Row], k.Says)
		}
	}
	looked := func(seed uint64) bool { return seed >= *from && seed < *from+uint64(*seeds) }
	for _, seed := range slices.SortedFunc(maps.Keys(known), cmp.Compare) {
		if fails[seed] == "" && looked(seed) {
			t.Logf("seed %d does not fail any more, and %s lists it as %s: take it out (-update)", seed, knownFile, known[seed])
		}
	}
	if *list && !t.Failed() {
		maps.DeleteFunc(known, func(seed uint64, _ string) bool { return looked(seed) })
		maps.DeleteFunc(fails, func(seed uint64, _ string) bool { return seed > usual })
		maps.Copy(known, fails)
		writeKnown(t, known)
	}
}
