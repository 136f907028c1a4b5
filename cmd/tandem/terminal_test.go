package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/api"
)

// On a terminal long work tells how much of how much is done, how fast, and how long it still takes; without a total it promises no end, and elsewhere nothing is counted.
func TestProgressTellsPaceAndEndOnlyWhereTheyAreKnown(t *testing.T) {
	now := time.Unix(0, 0)
	line := func(redraw bool, total int) string {
		var b bytes.Buffer
		d := &display{w: &b, redraw: redraw, now: func() time.Time { return now }, steps: map[string]step{}}
		for range 3 {
			d.show(api.Progress{Engine: "connect", Phase: "propose", Done: 100 + int(now.Unix()%100)*50, Total: total})
			now = now.Add(4 * time.Second)
		}
		now = time.Unix(0, 0)
		all := strings.FieldsFunc(b.String(), func(r rune) bool { return r == '\r' || r == '\n' })
		return strings.TrimSpace(all[len(all)-1])
	}
	for want, got := range map[string]string{
		"connect propose 500/1000, 50/s, 10s left": line(true, 1000),
		"connect propose 500, 50/s":                line(true, 0),
		"connect propose":                          line(false, 1000),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
