package cloudsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/scoping"
)

// record is how an agent has fared lately, over all its lines. hub.mu guards it.
type record struct {
	misses      int           // answers in a row that failed, or that another agent gave sooner
	since       time.Time     // of the first of these
	why         string        // of the last of these
	answered    time.Time     // its last good answer
	latency     time.Duration // smoothed time that it keeps waiting, once it answered
	lacks       string        // what is wrong with its accounts' rights, and how to fix it
	controllers []string      // URLs that it may reach
	purposes    []string      // of the accounts that it holds beside the one that reads
	second      string        // that another process with the same identity was refused, and where
	seconded    time.Time     // when it was refused last
	left        time.Time     // when its last line ended; zero while it attends
}

// failing is the number of misses from which an agent does not count as one that can serve.
const failing = 2

// How often an agent is asked whether it can read its directory, when nothing else asks it.
const (
	probeIdle     = time.Minute     // one that fared well
	probeFailing  = 5 * time.Second // one that did not, doubled each time up to probeIdle
	probePatience = 5 * time.Second // how long it may take to answer
)

// record is the record of an agent; the caller holds mu.
func (h *hub) record(id string) *record {
	if h.records[id] == nil {
		h.records[id] = &record{}
	}
	return h.records[id]
}

// fared notes a good answer (miss is nil), or why there was none.
func (h *hub) fared(l *live, latency time.Duration, miss error) {
	h.mu.Lock()
	r := h.record(l.ID)
	before := r.trouble()
	if miss == nil {
		if r.answered.IsZero() {
			r.latency = latency
		}
		r.latency += (latency - r.latency) / 4
		r.misses, r.since, r.why, r.answered = 0, time.Time{}, "", h.clock.now()
	} else {
		if r.misses == 0 {
			r.since = h.clock.now()
		}
		r.misses++
		r.why = miss.Error()
	}
	told := before != r.trouble()
	h.mu.Unlock()
	if told {
		h.changed()
	}
}

// attends takes in what an agent says of itself when its line begins.
func (r *record) attends(a *linepb.AttendRequest, now time.Time) {
	r.left, r.lacks, r.second, r.purposes, r.controllers = time.Time{}, a.Lacks, "", purposesOf(a.Purposes), a.Controllers[:min(len(a.Controllers), mostControllers)]
	if a.Trouble == "" {
		return
	}
	if r.misses == 0 {
		r.since = now
	}
	r.misses, r.why = max(r.misses, failing), a.Trouble
}

// mostControllers is how many URLs of an agent are remembered.
const mostControllers = 64

// purposesOf leaves out what is no purpose: an agent may say anything.
func purposesOf(told []string) []string {
	var out []string
	for _, p := range scoping.Purposes() {
		if slices.Contains(told, string(p)) {
			out = append(out, string(p))
		}
	}
	return out
}

// trouble says what is wrong with an agent that attends; empty: nothing is known to be.
func (r *record) trouble() string {
	if r.misses == 0 {
		return ""
	}
	return fmt.Sprintf("no good answer since %s: %s", r.since.UTC().Format(time.RFC3339), r.why)
}

// rank orders agents: those that answered lately before those that failed, the less busy before the busier, the faster before the
// slower (by powers of two, so that they do not take turns by chance). Nobody is left out: the last may be the only one.
func (h *hub) rank(agents []*live, pinned func(*live) bool) {
	key := func(l *live) [5]int {
		r := h.record(l.ID)
		k := [5]int{0, 0, min(r.misses, failing), l.load, 64}
		if r.misses >= failing {
			k[0] = 1
		}
		if pinned != nil && !pinned(l) {
			k[1] = 1
		}
		if !r.answered.IsZero() {
			k[4] = 0
			for d := r.latency; d >= time.Millisecond; d /= 2 {
				k[4]++
			}
		}
		return k
	}
	slices.SortFunc(agents, func(x, y *live) int {
		a, b := key(x), key(y)
		return cmp.Or(slices.Compare(a[:], b[:]), cmp.Compare(x.ID, y.ID))
	})
}

// watch asks an agent from time to time whether it can read its directory, so that a standby that could not help, and one that
// can again, are known before they are needed. It ends with the agent's line.
func (h *hub) watch(ctx context.Context, l *live) {
	for h.clock.wait(ctx.Done(), h.probeIn(l)) {
		h.forgetSecond(l)
		if !h.idle(l) {
			continue
		}
		h.probe(ctx, l)
	}
}

// secondKept is how long a refused second process is told of after it tried last: longer than agents wait between two attempts.
const secondKept = 2 * time.Minute

// forgetSecond forgets a second process that tries no more.
func (h *hub) forgetSecond(l *live) {
	h.mu.Lock()
	r := h.record(l.ID)
	over := r.second != "" && h.clock.now().Sub(r.seconded) > secondKept
	if over {
		r.second = ""
	}
	h.mu.Unlock()
	if over {
		h.changed()
	}
}

func (h *hub) probeIn(l *live) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := probeIdle
	if n := h.record(l.ID).misses; n > 0 {
		d = min(probeFailing<<min(n-1, 8), probeIdle)
	}
	return d
}

// idle reports whether nothing has asked the agent lately.
func (h *hub) idle(l *live) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.record(l.ID)
	return l.load == 0 && (r.misses > 0 || h.clock.now().Sub(r.answered) >= probeIdle)
}

// errProbe is why a probe failed that was not answered.
var errProbe = errors.New("its directory did not answer within " + probePatience.String())

func (h *hub) probe(ctx context.Context, l *live) {
	ctx, cancel := context.WithCancelCause(ctx)
	var limit sync.WaitGroup
	defer limit.Wait()
	defer cancel(nil)
	limit.Go(func() {
		if h.clock.wait(ctx.Done(), probePatience) {
			cancel(errProbe)
		}
	})
	begun := h.clock.now()
	var failed error
	err := h.follow(ctx, l, &linepb.Request{Is: &linepb.Request_Ping{Ping: &linepb.Ping{}}}, func(p *linepb.Part) error {
		if f := p.GetFailure(); f != nil {
			failed = failureOf(l, f)
		}
		h.reached(l, p.GetStart())
		return nil
	})
	switch {
	case errors.Is(context.Cause(ctx), errProbe):
		h.fared(l, 0, errProbe)
	case ctx.Err() != nil, errors.Is(err, errLost):
		// The line ended: that is told otherwise.
	default:
		h.fared(l, h.clock.now().Sub(begun), cmp.Or(failed, err))
	}
}

// reached takes in what the beginning of an answer says of the agent's controller and account. nil says nothing.
func (h *hub) reached(l *live, s *linepb.Start) {
	if s == nil {
		return
	}
	h.mu.Lock()
	l.controller = s.Controller
	l.invocation, _ = scoping.GUIDFromBytes(s.Invocation)
	r := h.record(l.ID)
	told := r.lacks != s.Lacks
	r.lacks = s.Lacks
	h.mu.Unlock()
	if told {
		h.changed()
	}
}
