package host

import (
	"context"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/wave"
)

// Unfinished returns the waves that go on by themselves under a host that serves. first is set for the look at the start of serving: every wave
// that is running then has lost the process that drove it, in whatever phase, and goes on until it waits or is over. Of waves that lose their
// driver later only those count that have cut over: before the cutover the person who drove it stopped it, or saw it fail, and repeats the command.
func (h *Host) Unfinished(ctx context.Context, first bool) ([]string, error) {
	ws, err := h.Waves(ctx)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	found := map[string]bool{}
	var ids []string
	for _, w := range ws {
		if !goesOn(w, h.now()) {
			continue
		}
		if found[w.ID] = first || h.orphaned[w.ID]; found[w.ID] || beyondCutover(w) {
			ids = append(ids, w.ID)
		}
	}
	h.orphaned = found // one that waits for a person by now is that person's
	return ids, nil
}

// goesOn reports whether a wave has something to do without a person: it is running, or waits for something that time may end.
func goesOn(w wave.Wave, now time.Time) bool { return w.State == wave.Running || w.Due(now) }

// beyondCutover reports whether a wave has cut over or is on its way back: the tenant is between two engines' values until it goes on.
func beyondCutover(w wave.Wave) bool {
	switch w.Phase {
	case wave.CatchUp, wave.Soak, wave.Complete, wave.RollbackFreeze, wave.RollbackEvaluate, wave.RollbackRestore:
		return true
	}
	return false
}

// TakeUp goes on with a wave until it is over or waits. One that somebody drives, or that waits for a person by now, is left as it is.
func (h *Host) TakeUp(ctx context.Context, id string) error {
	end, free := h.tryTurn(id)
	if !free {
		return nil
	}
	defer end()
	defer h.thaw(id)
	w, err := h.Wave(ctx, id)
	if err != nil || !goesOn(w, h.now()) {
		return err
	}
	if _, err := wave.Drive(ctx, &executor{h: h}, id, ""); err != nil {
		return err
	}
	return h.Save(ctx)
}

// tryTurn takes the turn to drive a wave if nobody has it.
func (h *Host) tryTurn(id string) (end func(), ok bool) {
	t := h.turnOf(id)
	select {
	case t <- struct{}{}:
		return func() { <-t }, true
	default:
		return nil, false
	}
}

// turnOf returns the channel that holds a token while a wave is driven.
func (h *Host) turnOf(id string) chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.turns[id] == nil {
		h.turns[id] = make(chan struct{}, 1)
	}
	return h.turns[id]
}
