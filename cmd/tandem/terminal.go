package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/api"
)

// interruptNote is what the first Ctrl-C says.
var interruptNote atomic.Pointer[string]

func noteInterrupt(s string) { interruptNote.Store(&s) }

// complain tells a person what is wrong, and on lines of their own what to do.
func complain(message, hint string) {
	for l := range strings.SplitSeq(strings.TrimRight(visible(message, true), "\n"), "\n") {
		fmt.Fprintln(os.Stderr, "tandem: "+l)
	}
	if hint != "" {
		fmt.Fprintln(os.Stderr, "tandem: → "+visible(hint, false))
	}
}

// display shows progress on standard error: one line redrawn on a terminal, plain lines elsewhere.
type display struct {
	mu     sync.Mutex
	w      io.Writer
	redraw bool
	width  int // of the line that stands there
	last   string
	now    func() time.Time
	steps  map[string]step // what is counted, by what it is called
}

// step is when counting began, and with how much done.
type step struct {
	began time.Time
	done  int
}

func newDisplay() *display {
	return &display{w: os.Stderr, redraw: terminal(os.Stderr), now: time.Now, steps: map[string]step{}}
}

func (d *display) show(p api.Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := progressLine(p, d.redraw)
	if d.redraw {
		s += d.pace(p)
	}
	s = visible(s, false)
	if s == d.last {
		return
	}
	d.last = s
	if !d.redraw {
		fmt.Fprintln(d.w, s)
		return
	}
	fmt.Fprintf(d.w, "\r%s%s", s, strings.Repeat(" ", max(0, d.width-len(s))))
	d.width = len(s)
}

// leastSpan is how long something is counted before its pace is told: before that it is chance.
const leastSpan = 3 * time.Second

// pace says how fast it goes, and how long it takes at that pace where the total is known. The lock is held.
func (d *display) pace(p api.Progress) string {
	if p.Done == 0 {
		return ""
	}
	name := p.Wave + " " + p.Engine + " " + p.Phase
	began, counts := d.steps[name]
	if !counts || p.Done < began.done { // it began anew
		d.steps[name] = step{d.now(), p.Done}
		return ""
	}
	took, did := d.now().Sub(began.began), p.Done-began.done
	if took < leastSpan || did == 0 {
		return ""
	}
	out := fmt.Sprintf(", %.0f/s", float64(did)/took.Seconds())
	if p.Total > p.Done {
		out += ", " + span(time.Duration(float64(took)*float64(p.Total-p.Done)/float64(did))) + " left"
	}
	return out
}

// clear ends the redrawn line, so that what follows stands alone.
func (d *display) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.redraw && d.width > 0 {
		fmt.Fprintf(d.w, "\r%s\r", strings.Repeat(" ", d.width))
	}
	d.width, d.last = 0, ""
}

// progressLine says what goes on. Counts are for terminals: elsewhere each would be a line.
func progressLine(p api.Progress, counts bool) string {
	var parts []string
	for _, s := range []string{p.Wave, p.Engine, p.Phase} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	s := strings.Join(parts, " ")
	if counts && p.Total > 0 {
		s += fmt.Sprintf(" %d/%d", p.Done, p.Total)
	} else if counts && p.Done > 0 {
		s += fmt.Sprintf(" %d", p.Done)
	}
	if p.Note != "" {
		s += ": " + p.Note
	}
	return s
}

// bold marks what matters, alert what is broken and warn what will be, where that is wanted: on a terminal, without NO_COLOR (https://no-color.org).
func bold(s string) string  { return painted("1", s) }
func alert(s string) string { return painted("1;31", s) }
func warn(s string) string  { return painted("33", s) }

func painted(code, s string) string {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || !terminal(os.Stdout) {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
