package wave

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrDecided is returned by Commit when a person decided about the wave since its record was loaded: nothing was committed, and the record has to be
// loaded again.
var ErrDecided = errors.New("a person decided about the wave meanwhile")

// Executor carries out a wave's acts and keeps its record. Do is idempotent. Commit makes a changed record durable, together with the authority that
// follows from it.
type Executor interface {
	Do(ctx context.Context, w Wave, a Act) (Evidence, error)
	Commit(ctx context.Context, w Wave) error
	Load(ctx context.Context, id string) (Wave, error)
	Now() time.Time
	// Stopped returns why nothing may be written for a wave, and nothing may change hands, or "".
	Stopped(ctx context.Context, w Wave) (string, error)
	// Pause waits in the process for a wait that ends by itself; false: the caller does not want to wait that long.
	Pause(ctx context.Context, d time.Duration) (bool, error)
}

// Drive runs a wave until it is over, waits for a person, or would enter phase stopAt. It returns the wave as it is then.
func Drive(ctx context.Context, x Executor, id string, stopAt Phase) (Wave, error) {
	w, err := x.Load(ctx, id)
	if err != nil {
		return w, err
	}
	if !w.State.Over() && w.State != Paused && w.State != Running && w.Phase != Soak { // looking at a soaking wave is not recorded
		w.State = Running
		w = Enter(w, w.Phase, "", x.Now())
		if err := x.Commit(ctx, w); err != nil && !errors.Is(err, ErrDecided) {
			return w, err
		} else if err != nil {
			return Drive(ctx, x, id, stopAt)
		}
	}
	var last *Evidence
	for !w.State.Over() && w.State != Paused && (stopAt == "" || w.Phase != stopAt) { // a transaction may have entered it
		var goOn bool
		w, last, goOn, err = unlessStopped(ctx, x, w, last, stopAt)
		if errors.Is(err, ErrDecided) {
			last, goOn = nil, true
			w, err = x.Load(ctx, id)
		}
		if err != nil || !goOn {
			return w, err
		}
	}
	return w, nil
}

// unlessStopped lets a wave advance, or wait for the end of a stop. A freeze that it has ends with the drive.
func unlessStopped(ctx context.Context, x Executor, w Wave, last *Evidence, stopAt Phase) (Wave, *Evidence, bool, error) {
	why, err := x.Stopped(ctx, w)
	if err != nil {
		return w, nil, false, err
	}
	if why != "" {
		return wait(ctx, x, w, Decision{For: ForStop, Wait: why, Command: "tandem start --all"})
	}
	return advance(ctx, x, w, last, stopAt)
}

// advance carries out one decision of Next.
func advance(ctx context.Context, x Executor, w Wave, last *Evidence, stopAt Phase) (Wave, *Evidence, bool, error) {
	d := Next(w, last, x.Now())
	if d.Set != nil {
		d.Set(&w)
	}
	switch {
	case d.Do != "":
		if d.Set != nil {
			if err := x.Commit(ctx, w); err != nil {
				return w, nil, false, err
			}
		}
		return do(ctx, x, w, d.Do)
	case d.Over != "":
		w = Enter(w, w.Phase, d.Result, x.Now())
		w.State = d.Over
		w = w.unwait()
		w.History[len(w.History)-1].EndedAt, w.History[len(w.History)-1].Result = x.Now().UnixMilli(), d.Result
		return w, nil, false, x.Commit(ctx, w)
	case d.To != "":
		if d.To == stopAt {
			return w, nil, false, nil
		}
		inFreeze := d.To == Cutover // only the evidence of the freeze just ended allows the cutover
		w = Enter(w, d.To, d.Result, x.Now())
		if err := x.Commit(ctx, w); err != nil {
			return w, nil, false, err
		}
		if !inFreeze {
			last = nil
		}
		return w, last, true, nil
	}
	return wait(ctx, x, w, d)
}

func do(ctx context.Context, x Executor, w Wave, a Act) (Wave, *Evidence, bool, error) {
	ev, err := x.Do(ctx, w, a)
	if err != nil {
		return w, nil, false, fmt.Errorf("wave %s, phase %s, %s: %w", w.ID, w.Phase, a, err)
	}
	ev.Act = a
	fresh, err := x.Load(ctx, w.ID) // a cutover's transaction changed it; a person may have paused it
	if err != nil {
		return w, nil, false, err
	}
	last := &ev
	if fresh.Phase != w.Phase {
		last = nil
	}
	return fresh, last, true, nil
}

func wait(ctx context.Context, x Executor, w Wave, d Decision) (Wave, *Evidence, bool, error) {
	w.LookAgain = 0
	if d.Time > 0 {
		ok, err := x.Pause(ctx, d.Time)
		if err != nil {
			return w, nil, false, err
		}
		if ok { // the next look counts the time that passed
			return w, nil, true, x.Commit(ctx, w)
		}
	}
	if w.For != d.For || w.Since == 0 {
		w.Since = x.Now().UnixMilli()
	}
	w.State, w.For, w.Wait, w.Command = Waiting, d.For, d.Wait, d.Command
	if d.Time > 0 {
		w.LookAgain = x.Now().Add(d.Time).UnixMilli()
	}
	return w, nil, false, x.Commit(ctx, w)
}

// Enter moves a record to a phase and writes the history.
func Enter(w Wave, p Phase, result string, now time.Time) Wave {
	h := append([]PhaseRecord(nil), w.History...)
	if n := len(h); n > 0 && h[n-1].EndedAt == 0 {
		if h[n-1].Name == p {
			return w
		}
		h[n-1].EndedAt, h[n-1].Result = now.UnixMilli(), result
	}
	w.History = append(h, PhaseRecord{Name: p, StartedAt: now.UnixMilli()})
	w.Phase = p
	w.State = Running
	return w.unwait()
}
