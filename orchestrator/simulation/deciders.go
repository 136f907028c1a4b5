package simulation

import (
	"time"

	"github.com/tandem-sync/tandem/orchestrator/wave"
)

// People who decide while an act goes on, and what their decisions promise.

// standingOf is what people and time have done to a wave, by the simulator's own record.
type standingOf struct {
	paused  bool // by a person, and nothing ended it
	phase   wave.Phase
	back    bool          // it was rolled back
	soaking time.Time     // when it was last seen before it began to soak: it soaks no longer than since then; zero: it does not soak
	rested  time.Duration // at least, in its pauses
	since   time.Time     // when it was first seen in its last pause in the soak
	hurried bool          // a person ended the soak
}

// decideInTheMiddle lets people decide about a wave whose act begins, and about what may be written.
func (w *world) decideInTheMiddle(id string) {
	w.depth++
	defer func() { w.depth-- }()
	for range 1 + w.r.IntN(2) {
		w.saw(Deciders)
		if x, ok := w.book.waves[id]; ok && w.r.IntN(3) > 0 {
			w.decideWave(x)
		} else {
			w.person()
		}
	}
}

// decided notes what a person's decision means for a wave.
func (b *book) decided(w *world, y wave.Wave, v wave.Verb) {
	s := b.standing(y.ID)
	if v == wave.Pause || v == wave.Abort {
		delete(b.frozen, y.ID) // the scope is given back
	}
	switch v {
	case wave.Pause:
		s.paused = !y.CutOver() // if it has cut over, its transfer may be read only after the pause
	case wave.Resume, wave.Abort, wave.RollBack:
		s.paused = false
	case wave.CompleteNow:
		s.paused, s.hurried = false, true
	}
}

func (b *book) standing(id string) *standingOf {
	if b.standings[id] == nil {
		b.standings[id] = &standingOf{}
	}
	return b.standings[id]
}

// checkPaused: nothing changes hands by a wave that a person paused, until a person lets it go on; an approval is none.
func (w *world) checkPaused(id string) {
	if w.book.standing(id).paused {
		w.fail(noSurprise, whilePaused, id)
	}
}

// follows notes what control says of a wave, which may be some time after it became so: before is when control was read the time before.
func (b *book) follows(w *world, x wave.Wave, before time.Time) {
	s := b.standing(x.ID)
	if s.phase != x.Phase {
		s.phase = x.Phase
		w.counts["wave in "+string(x.Phase)]++
	}
	if x.State == wave.RolledBack && !s.back {
		s.back = true
		w.rolledBack(x)
	}
	b.soaks(w, x, before)
}

// soaks follows the soak of a wave: it ends when its time has passed while the wave ran, or by a person.
func (b *book) soaks(w *world, x wave.Wave, before time.Time) {
	s := b.standing(x.ID)
	switch paused := x.State == wave.Paused; {
	case x.Phase == wave.Soak && s.soaking.IsZero():
		s.soaking, s.rested, s.since, s.hurried = before, 0, time.Time{}, false
	case x.Phase == wave.Soak && paused && s.since.IsZero():
		s.since = w.now
	case x.Phase == wave.Soak && !paused && !s.since.IsZero():
		s.rested, s.since = s.rested+max(0, before.Sub(s.since)), time.Time{}
	case x.Phase == wave.Complete && !s.soaking.IsZero():
		if ran := w.now.Sub(s.soaking) - s.rested; ran < x.Options.Soak && !s.hurried && !x.SoakOver {
			w.fail(noSurprise, soakTooShort, x.ID, x.Options.Soak, ran)
		}
		if x.Options.Soak > 0 && !s.hurried {
			w.counts["soaked"]++
		}
	}
	if x.Phase != wave.Soak {
		s.soaking = time.Time{}
	}
}
