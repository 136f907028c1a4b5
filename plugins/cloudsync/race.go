package cloudsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/passwordhash"
	"github.com/tandem-sync/tandem/scoping"
)

// The limits of a race.
const (
	mostTries   = 3 // how often one agent is asked in it: it may come back, or be the only one left
	pinPatience = 3 // how often patience runs out with the pinned agents before another controller's agent is asked
)

// race is one reading on its way through the agents. One agent, the leader, is asked, and its answer is taken as it comes. When it
// stands still for longer than is usual (see pace), another is asked beside it, and so on. A rival's answer is held back after its
// Start; when it has something to say while the leader stands still, it takes the lead, the answer begins anew with it, and the
// former leader is withdrawn. So one answer is taken as a whole, and no agent that hangs delays it for long. All requests are
// reads, which may be asked twice.
type race struct {
	*hub
	directory string
	audience  audience
	reading   reading

	said    chan said
	runners []*runner // the first leads
	asked   map[*live]bool
	tries   map[string]int
	work    sync.WaitGroup

	waited step          // what the leader is waited for
	limit  time.Duration // and for how long
	fires  <-chan time.Time
	stop   func()
	outs   int // how often the limit ran out since the leader said something

	failures  []error
	elsewhere bool
}

// runner is one agent that is asked.
type runner struct {
	agent   *live
	cancel  context.CancelFunc
	proceed chan struct{} // lets it take the next part; has room for one
	began   time.Time
	waited  time.Time     // since when it has been waited for
	toStart time.Duration // how long its Start took
	longest time.Duration // the longest that it was waited for after that
	begun   bool          // its Start came
	start   *linepb.Start // held back, since it does not lead
	held    *linepb.Part  // held back after that
}

func (r *runner) goOn(now time.Time) {
	r.waited = now
	r.proceed <- struct{}{}
}

// said is what a runner has to say: a part of its answer, or why there is none.
type said struct {
	by   *runner
	part *linepb.Part
	err  error
}

// ask gives a request to agents until one has answered it whole. Agents that come meanwhile are asked too.
func (h *hub) ask(ctx context.Context, name string, a audience, r reading) (*linepb.End, error) {
	ctx, cancel := context.WithCancel(ctx)
	rc := &race{hub: h, directory: name, audience: a, reading: r, said: make(chan said), asked: map[*live]bool{}, tries: map[string]int{}, stop: func() {}}
	defer rc.work.Wait()
	defer cancel()
	defer func() { rc.stop() }()
	return rc.run(ctx)
}

func (rc *race) run(ctx context.Context) (*linepb.End, error) {
	for {
		if len(rc.runners) == 0 && !rc.another(ctx) {
			return nil, rc.nobody()
		}
		came := rc.coming()
		select {
		case s := <-rc.said:
			if end, err := rc.take(s); end != nil || err != nil {
				return end, err
			}
		case <-rc.fires:
			if end, err := rc.overdue(ctx); end != nil || err != nil {
				return end, err
			}
		case <-came:
			if rc.outs > 0 {
				rc.another(ctx)
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// another asks one more agent, if there is one that may be asked now.
func (rc *race) another(ctx context.Context) bool {
	l := rc.choose()
	if l == nil {
		return false
	}
	rc.asked[l] = true
	rc.tries[l.ID]++
	ctx, cancel := context.WithCancel(ctx)
	now := rc.clock.now()
	r := &runner{agent: l, cancel: cancel, proceed: make(chan struct{}, 1), began: now, waited: now}
	rc.runners = append(rc.runners, r)
	rc.work.Go(func() { rc.drive(ctx, r) })
	if len(rc.runners) == 1 {
		rc.await(stepStart)
	} else {
		rc.arm()
	}
	return true
}

// drive is the life of a runner. What it says is taken one at a time, and only as fast as it may proceed.
func (rc *race) drive(ctx context.Context, r *runner) {
	tell := func(s said) error {
		select {
		case rc.said <- s:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := rc.follow(ctx, r.agent, rc.reading.request, func(p *linepb.Part) error {
		if err := tell(said{by: r, part: p}); err != nil || p.GetEnd() != nil || p.GetFailure() != nil {
			return err
		}
		select {
		case <-r.proceed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		_ = tell(said{by: r, err: err})
	}
}

// choose picks the next agent, by rank. One that was overtaken is asked again when there is no other.
func (rc *race) choose() *live {
	agents, _ := rc.attending(rc.audience)
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.rank(agents, rc.reading.pinned)
	running := func(l *live) bool {
		return slices.ContainsFunc(rc.runners, func(r *runner) bool { return r.agent == l })
	}
	for _, again := range []bool{false, true} {
		for _, l := range agents {
			switch {
			case rc.reading.needs != "" && !slices.Contains(rc.record(l.ID).purposes, string(rc.reading.needs)):
			case running(l), rc.tries[l.ID] >= mostTries, rc.asked[l] != again:
			case again && len(rc.runners) > 0:
			case len(rc.runners) > 0 && !rc.mayLeave(l):
			default:
				return l
			}
		}
	}
	return nil
}

// mayLeave reports whether an agent of another controller than the pinned one may be asked beside those that are: leaving the
// controller costs a run, or reading everything anew. The caller holds mu.
func (rc *race) mayLeave(l *live) bool {
	if rc.reading.pinned == nil || rc.reading.pinned(l) || rc.outs >= pinPatience {
		return true
	}
	return !slices.ContainsFunc(rc.runners, func(r *runner) bool { return rc.record(r.agent.ID).misses < failing })
}

// await says what the leader is waited for from now on.
func (rc *race) await(s step) {
	rc.waited, rc.limit, rc.outs = s, rc.patience(rc.audience, s), 0
	rc.arm()
}

func (rc *race) arm() {
	rc.stop()
	rc.fires, rc.stop = rc.clock.after(rc.limit)
}

// overdue is called when the leader has been waited for long enough.
func (rc *race) overdue(ctx context.Context) (*linepb.End, error) {
	rc.outs++
	if rc.outs == 1 {
		rc.mu.Lock()
		rc.pace(rc.audience, rc.waited).late++
		rc.mu.Unlock()
	}
	rc.arm()
	if i := slices.IndexFunc(rc.runners[1:], func(r *runner) bool { return r.held != nil }); i >= 0 {
		return rc.lead(rc.runners[1+i])
	}
	if rc.another(ctx) || !rc.elsewhere || rc.outs < pinPatience {
		return nil, nil
	}
	for _, r := range slices.Clone(rc.runners) {
		rc.leave(r, rc.slow(r))
	}
	return nil, rc.nobody()
}

// slow is why an agent is left that was waited for in vain.
func (rc *race) slow(r *runner) error {
	return fmt.Errorf("agent %s did not answer within %s", r.agent.ID, rc.limit.Round(time.Millisecond))
}

// take takes in what a runner says.
func (rc *race) take(s said) (*linepb.End, error) {
	r, p := s.by, s.part
	if !slices.Contains(rc.runners, r) {
		return nil, nil // it was left just now
	}
	if s.err != nil {
		return rc.lose(r, s.err)
	}
	now := rc.clock.now()
	switch is := p.Is.(type) {
	case *linepb.Part_Alive:
		r.proceed <- struct{}{} // it is waited for all the same
		return nil, nil
	case *linepb.Part_Failure:
		var failure *failureError
		if err := failureOf(r.agent, is.Failure); errors.As(err, &failure) && !failure.final() {
			return rc.lose(r, err)
		}
	case *linepb.Part_Start:
		if r.begun {
			return rc.lose(r, fmt.Errorf("%w (%s begins its answer twice)", errLost, r.agent.ID))
		}
		r.begun, r.toStart = true, now.Sub(r.began)
		if rc.reading.needs == "" { // passwords are read from another connection than everything else
			rc.reached(r.agent, is.Start)
		}
		if r != rc.runners[0] {
			r.start = is.Start
			r.goOn(now)
			return nil, nil
		}
	default:
		if !r.begun {
			return rc.lose(r, fmt.Errorf("%w (%s answers without a beginning)", errLost, r.agent.ID))
		}
		r.longest = max(r.longest, now.Sub(r.waited))
	}
	if r == rc.runners[0] {
		return rc.accept(r, p)
	}
	r.held = p
	if rc.outs > 0 {
		return rc.lead(r)
	}
	return nil, nil
}

// accept takes in what the leader says.
func (rc *race) accept(r *runner, p *linepb.Part) (*linepb.End, error) {
	switch is := p.Is.(type) {
	case *linepb.Part_Start:
		if err := rc.reading.begin(is.Start); err != nil {
			return nil, err
		}
	case *linepb.Part_Entries:
		switch err := takeEntries(r.agent, rc.reading, is.Entries.Entries); {
		case errors.Is(err, errLost):
			return rc.lose(r, err)
		case err != nil:
			return nil, err // the taker's own
		}
	case *linepb.Part_Users:
		switch err := takeUsers(r.agent, rc.reading, is.Users.Users); {
		case errors.Is(err, errLost):
			return rc.lose(r, err)
		case err != nil:
			return nil, err
		}
	case *linepb.Part_Written:
		if rc.reading.written == nil {
			return rc.lose(r, fmt.Errorf("%w (%s answers a request that was not made)", errLost, r.agent.ID))
		}
		rc.reading.written(r.agent, is.Written)
	case *linepb.Part_End:
		rc.won(r)
		return is.End, nil
	case *linepb.Part_Failure:
		rc.won(r)
		return nil, failureOf(r.agent, is.Failure)
	}
	rc.await(stepOf(rc.reading.request))
	r.goOn(rc.clock.now())
	return nil, nil
}

// lead makes a rival the leader. Who led before is left.
func (rc *race) lead(r *runner) (*linepb.End, error) {
	if before := rc.runners[0]; before != r {
		err := rc.slow(before)
		rc.log.Warn("another agent's answer is taken", "directory", rc.directory, "agent", r.agent.ID, "because", err)
		rc.leave(before, err)
		rc.runners = append([]*runner{r}, slices.DeleteFunc(rc.runners, func(x *runner) bool { return x == r })...)
	}
	rc.await(stepStart)
	start, held := r.start, r.held
	r.start, r.held = nil, nil
	if start != nil {
		if err := rc.reading.begin(start); err != nil {
			return nil, err
		}
		rc.await(stepOf(rc.reading.request))
	}
	if held != nil {
		return rc.accept(r, held)
	}
	return nil, nil
}

// won notes how an answer went: its agent did well, and those that were asked before it and are still waited for did not.
func (rc *race) won(r *runner) {
	rc.mu.Lock()
	rc.pace(rc.audience, stepStart).took(r.toStart)
	rc.pace(rc.audience, stepOf(rc.reading.request)).took(r.longest)
	rc.mu.Unlock()
	latency := r.toStart
	if s := stepOf(rc.reading.request); s != stepEverything {
		latency += r.longest // an answer may begin before the controller has said anything
	}
	rc.fared(r.agent, latency, nil)
	for _, other := range rc.runners {
		if other != r && other.began.Before(r.began) {
			rc.fared(other.agent, 0, rc.slow(other))
		}
	}
}

// lose gives up a runner that failed. If it led, the next one leads.
func (rc *race) lose(r *runner, err error) (*linepb.End, error) {
	led := rc.runners[0] == r
	var failure *failureError
	if errors.As(err, &failure) && slices.Contains([]string{line.CodeOtherController, line.CodeController, line.CodeBehind}, failure.Code) {
		rc.elsewhere = rc.elsewhere || failure.Code == line.CodeOtherController
		rc.drop(r)
		rc.failures = append(rc.failures, err)
		rc.fared(r.agent, r.toStart, nil)
	} else {
		rc.log.Warn("an agent could not answer", "directory", rc.directory, "agent", r.agent.ID, "error", err)
		rc.leave(r, err)
	}
	if led && len(rc.runners) > 0 {
		return rc.lead(rc.runners[0])
	}
	return nil, nil
}

// leave gives up a runner and notes that it did not do well.
func (rc *race) leave(r *runner, err error) {
	rc.drop(r)
	rc.failures = append(rc.failures, err)
	rc.fared(r.agent, 0, err)
}

func (rc *race) drop(r *runner) {
	r.cancel()
	rc.runners = slices.DeleteFunc(rc.runners, func(x *runner) bool { return x == r })
}

// nobody is the error when no agent is left that could be asked.
func (rc *race) nobody() error {
	if len(rc.failures) == 0 && rc.reading.needs == scoping.Replicate {
		rc.failures = []error{passwordhash.ErrNoAccount}
	}
	return &NoAgentError{Directory: rc.directory, Needs: 1, Failures: rc.failures, elsewhere: rc.elsewhere}
}

func takeEntries(l *live, r reading, entries [][]byte) error {
	if r.entry == nil {
		return fmt.Errorf("%w (%s answers a request that was not made)", errLost, l.ID)
	}
	for _, b := range entries {
		e, err := directory.DecodeEntry(b)
		if err != nil {
			return fmt.Errorf("%w (%s: %w)", errLost, l.ID, err)
		}
		if err := r.entry(e); err != nil {
			return err
		}
	}
	return nil
}
