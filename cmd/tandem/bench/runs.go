package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// dial connects to the lab's directory.
func dial(url, caFile string) (*ldap.Conn, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("reading the lab's CA: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	conn, err := ldap.DialURL(url, ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool}))
	if err != nil {
		return nil, fmt.Errorf("connecting to the lab's directory: %w", err)
	}
	return conn, nil
}

// full is B4.
func full(ctx context.Context, o Options, r *Report) (err error) {
	r.Modelled, r.Beside = modelled(o.Objects), "the same run once more, when nothing differs"
	w, err := begin(ctx, o, o.Objects)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.end()) }()
	o.say("the first full run")
	first, d, err := w.sync(ctx, "full")
	if err != nil {
		return err
	}
	seconds := float64(first.Millis) / 1000
	r.Objects = first.Applied
	r.least("first full run", float64(first.Applied)/seconds, "objects/s", 10_000)
	r.note("first full run: time", seconds, "s")
	r.note("first full run: peak anonymous memory of the host", float64(d.memory.own), "MiB")
	r.note("first full run: peak anonymous memory of the engine", float64(d.memory.children), "MiB")
	r.most("first full run: host, an object", float64(d.memory.own)*1.048576*1000/float64(first.Applied), "kB", 6)
	o.say("once more with nothing to do")
	again, d, err := w.sync(ctx, "full")
	if err != nil {
		return err
	}
	if again.Applied > 0 {
		return fmt.Errorf("the second run wrote %d objects", again.Applied)
	}
	seconds = float64(again.Millis) / 1000
	r.least("nothing to do", float64(first.Applied)/seconds, "objects/s", 10_000)
	r.note("nothing to do: time", seconds, "s")
	r.note("nothing to do: peak anonymous memory of the host", float64(d.memory.own), "MiB")
	r.note("nothing to do: peak anonymous memory of the engine", float64(d.memory.children), "MiB")
	return nil
}

// few is the size that delta compares with: a tenth, and enough to change.
func few(people int) int { return min(max(people/10, 2*changes), 2000) }

// changes is how many people change for one delta run.
const changes = 100

// delta is B5.
func delta(ctx context.Context, o Options, r *Report) error {
	r.Modelled, r.Beside = modelled(o.Objects), fmt.Sprintf("the same with %d people", few(o.Objects))
	var changed, idle [2]float64
	for i, people := range []int{few(o.Objects), o.Objects} {
		var err error
		if changed[i], idle[i], err = deltas(ctx, o, r, people); err != nil {
			return err
		}
	}
	r.most("ratio of the deltas of changes", changed[1]/changed[0], "", 1.5)
	r.note("ratio of the deltas with nothing to do", idle[1]/idle[0], "")
	return nil
}

// deltas measures the medians of delta runs beside a running daemon.
func deltas(ctx context.Context, o Options, r *Report, people int) (changed, idle float64, err error) {
	w, err := begin(ctx, o, people)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, w.end()) }()
	o.say("the first full run of %d people", people)
	if _, _, err := w.sync(ctx, "full"); err != nil {
		return 0, 0, err
	}
	stop, err := w.serve(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if changed, idle, err = w.deltas(ctx, o); err != nil {
		return 0, 0, err
	}
	r.note(fmt.Sprintf("delta of %d changes, %d people", changes, people), changed, "ms")
	r.most(fmt.Sprintf("delta with nothing to do, %d people", people), idle, "ms", 300)
	before, err := w.records(ctx)
	if err != nil {
		return 0, 0, err
	}
	if _, _, err := w.sync(ctx, "delta"); err != nil {
		return 0, 0, err
	}
	after, err := w.records(ctx)
	r.most(fmt.Sprintf("log records of a delta with nothing to do, %d people", people), float64(after-before), "", 0)
	return changed, idle, err
}

// repeats is how often what is short is measured; the median counts.
const repeats = 5

func (w *world) deltas(ctx context.Context, o Options) (changed, idle float64, err error) {
	if _, _, err := w.sync(ctx, "delta"); err != nil { // starts the engine, and hears the tenant tell of the first run's writes
		return 0, 0, err
	}
	var times [2][]time.Duration
	for i := range repeats {
		o.say("deltas %d of %d", i+1, repeats)
		if err := w.edit(changes, fmt.Sprint("Title ", i)); err != nil {
			return 0, 0, err
		}
		got, _, err := w.sync(ctx, "delta")
		if err != nil {
			return 0, 0, err
		}
		if got.Applied != changes {
			return 0, 0, fmt.Errorf("%d of %d changes were written", got.Applied, changes)
		}
		times[0] = append(times[0], time.Duration(got.Millis)*time.Millisecond)
		if _, _, err := w.sync(ctx, "delta"); err != nil { // hears the tenant tell of these writes
			return 0, 0, err
		}
		if got, _, err = w.sync(ctx, "delta"); err != nil {
			return 0, 0, err
		}
		times[1] = append(times[1], time.Duration(got.Millis)*time.Millisecond)
	}
	return millis(times[0]), millis(times[1]), nil
}

// millis returns the median in ms.
func millis(ds []time.Duration) float64 {
	slices.Sort(ds)
	return float64(ds[len(ds)/2].Microseconds()) / 1000
}

// glance is B11.
func glance(ctx context.Context, o Options, r *Report) (err error) {
	r.Modelled, r.Beside = modelled(o.Objects), "tandem --help, which opens nothing"
	w, err := begin(ctx, o, o.Objects)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.end()) }()
	o.say("the first full run")
	if _, _, err := w.sync(ctx, "full"); err != nil {
		return err
	}
	someone := w.people.Users[len(w.people.Users)/2]
	for _, u := range w.people.Users[len(w.people.Users)/2:] {
		if len(u.Attributes["userPrincipalName"]) > 0 {
			someone = u
			break
		}
	}
	upn := someone.Attributes["userPrincipalName"][0]
	for _, x := range []struct {
		name string
		aim  float64
		args []string
	}{
		{"tandem --help", 60, []string{"--help"}},
		{"tandem explain with a policy file", 300, []string{"explain", "--policy", filepath.Join(w.dir, "policy.yaml"), upn}},
		{"tandem status", 300, []string{"status"}},
		{"tandem explain, by user principal name", 300, []string{"explain", upn}},
		{"tandem explain, by DN", 300, []string{"explain", someone.DN}},
		{"tandem object, by user principal name", 300, []string{"object", upn}},
	} {
		var times, cpus []time.Duration
		for range repeats {
			d, err := w.tandem(ctx, nil, x.args...)
			if err != nil {
				return err
			}
			times, cpus = append(times, d.took), append(cpus, d.cpu)
		}
		r.most(x.name, millis(times), "ms", x.aim)
		r.note(x.name+": processor time", millis(cpus), "ms") // what a busy machine does not change much
	}
	if err := w.idles(ctx, r); err != nil {
		return err
	}
	return w.scrapes(ctx, o, r)
}

// idles measures deltas with nothing to do, each in a process of its own, as a timer starts them where no daemon runs.
func (w *world) idles(ctx context.Context, r *Report) error {
	if _, _, err := w.sync(ctx, "delta"); err != nil { // which reads what the full run wrote
		return err
	}
	var whole, cpus, runs []time.Duration
	for range repeats {
		x, d, err := w.sync(ctx, "delta")
		if err != nil {
			return err
		}
		whole, cpus, runs = append(whole, d.took), append(cpus, d.cpu), append(runs, time.Duration(x.Millis)*time.Millisecond)
	}
	const name = "tandem sync, a delta with nothing to do"
	r.note(name, millis(whole), "ms")
	r.note(name+": the run itself", millis(runs), "ms")
	r.note(name+": processor time", millis(cpus), "ms")
	return nil
}
