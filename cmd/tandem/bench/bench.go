// Package bench measures Tandem: each bench makes what it works on, in memory or in processes of its own, runs one piece of work, and reports figures beside
// their aims. Nothing here asserts a time: machines differ, and a figure is worth something only with the command and the machine that made it.
//
// [Run] is called once for each measurement; it leaves nothing behind.
package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// ErrUnknown means that there is no bench of that name.
var ErrUnknown = errors.New("no such bench")

// Options say what to measure with.
type Options struct {
	Objects  int              // 0: the bench's own number
	Self     string           // this program's executable: what runs in processes of its own is started from it
	Dir      string           // where state and labs are made
	Progress func(did string) // nil: nobody
}

func (o Options) say(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}

// Figure is one thing that was measured.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Aim   string  `json:"aim,omitempty"` // "" where none is set for it
	Met   *bool   `json:"met,omitempty"` // whether the aim is reached here; null without one
}

// Report is what one bench found.
type Report struct {
	ID       string   `json:"id"`
	Work     string   `json:"work"`
	Objects  int      `json:"objects"`
	Beside   string   `json:"beside"`   // what it is compared with in the same run
	Modelled []string `json:"modelled"` // what stands for directory, tenant and others, and in which process
	Machine  Machine  `json:"machine"`
	Figures  []Figure `json:"figures"`
}

// Machine is the shape of the machine that made the figures.
type Machine struct {
	OS     string  `json:"os"`
	CPU    string  `json:"cpu"`
	Cores  int     `json:"cores"`
	Memory int64   `json:"memoryMiB"`
	Load   float64 `json:"load"` // runnable processes in the minute before, others' too: above 0 the figures are worse than the machine
	Go     string  `json:"go"`
}

// Bench is one measurement.
type Bench struct {
	ID      string `json:"id"`
	Work    string `json:"work"`
	Objects int    `json:"objects"` // without --objects
	run     func(context.Context, Options, *Report) error
}

// All lists the benches in order of their ids.
func All() []Bench {
	return []Bench{
		{"B1", "owner of (object, feature) for random objects, DNs 6 deep, N assignments: the compiled partition, and through the answer kept per OU", 100_000, owners},
		{"B2", "compile a policy of N assignments, with all overlap checks", 100_000, compile},
		{"B4", "full synchronization by connect of N people and their groups: import, sync, durable save, proposals settled; then once more with nothing to do", 20_000, full},
		{"B5", "delta of 100 changes, and one with nothing to do, with N and with a tenth of the people known, processes running", 20_000, delta},
		{"B8", "gate: N proposals from an engine's process to settled, log synced to disk", 100_000, settle},
		{"B11", "start to end of --help, explain, status, object and a delta with nothing to do, with N people known and no daemon; then a scrape of /metrics under serve --listen", 20_000, glance},
		{"B13", "passwords of N people in Samba: who has which, with the credentials that the tenant keeps, and what changed since", 2_000, hashes},
		{"B14", "N people whom the tenant refuses: the run, its report, and errors list as text and as JSON", 10_000, refusals},
	}
}

// Run makes one measurement.
func Run(ctx context.Context, id string, o Options) (Report, error) {
	for _, b := range All() {
		if !strings.EqualFold(b.ID, id) {
			continue
		}
		if o.Objects <= 0 {
			o.Objects = b.Objects
		}
		dir, err := os.MkdirTemp(o.Dir, "tandem-bench-")
		if err != nil {
			return Report{}, fmt.Errorf("making the bench's folder: %w", err)
		}
		o.Dir = dir
		r := Report{ID: b.ID, Work: b.Work, Objects: o.Objects, Machine: machine(), Modelled: []string{}, Figures: []Figure{}}
		if err := errors.Join(b.run(ctx, o, &r), os.RemoveAll(dir)); err != nil {
			return r, fmt.Errorf("bench %s: %w", b.ID, err)
		}
		return r, nil
	}
	return Report{}, fmt.Errorf("%w: %q", ErrUnknown, id)
}

// note adds a figure without an aim.
func (r *Report) note(name string, value float64, unit string) {
	r.Figures = append(r.Figures, Figure{Name: name, Value: value, Unit: unit})
}

// most adds a figure that is to be at most so much.
func (r *Report) most(name string, value float64, unit string, aim float64) {
	met := value <= aim
	r.Figures = append(r.Figures, Figure{Name: name, Value: value, Unit: unit, Aim: fmt.Sprintf("≤ %g %s", aim, unit), Met: &met})
}

// least adds a figure that is to be at least so much.
func (r *Report) least(name string, value float64, unit string, aim float64) {
	met := value >= aim
	r.Figures = append(r.Figures, Figure{Name: name, Value: value, Unit: unit, Aim: fmt.Sprintf("≥ %g %s", aim, unit), Met: &met})
}

func machine() Machine {
	m := Machine{OS: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()}
	for line := range lines("/proc/cpuinfo") {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	for line := range lines("/proc/meminfo") {
		var kib int64
		if n, _ := fmt.Sscanf(line, "MemTotal: %d kB", &kib); n == 1 {
			m.Memory = kib / 1024
			break
		}
	}
	for line := range lines("/proc/loadavg") {
		_, _ = fmt.Sscanf(line, "%f", &m.Load)
	}
	return m
}

// lines yields the lines of a file of the system, none where there is no such file.
func lines(path string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		b, err := os.ReadFile(path)
		if err != nil {
			return
		}
		for line := range strings.Lines(string(b)) {
			if !yield(strings.TrimRight(line, "\n")) {
				return
			}
		}
	}
}
