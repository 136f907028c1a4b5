package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Decide answers a batch of proposals. Its decisions must be durable when it returns (rule P1).
type Decide func([]Proposal) ([]Decision, error)

// Conversation is the host's side of a run. Its functions are called one at a time, in the order in which the engine speaks;
// an error of Begin or Decide ends the run. Begin and Progress may be nil.
type Conversation struct {
	Begin    func(RunBegin) error // before the first proposal of a directory; engines of before do not call it
	Decide   Decide
	Progress func(Progress)
}

// Drive makes one run of e from the host's side: it asks c for the decisions of one batch after the other, streams them back,
// and returns the reports in order. A run that ends without its last report, or says more after it, and one that begins a
// directory twice, after its proposals, or not at all where it begins others, is an ErrContract. The reports given so far come
// with every error.
func Drive(ctx context.Context, e Engine, r RunRequest, c Conversation) ([]RunReport, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &driver{talk: c, decisions: make(chan []Decision), said: map[string]bool{}}
	in, out := make(chan []Decision), make(chan RunEvent)
	relayed, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		Relay(ctx, d.decisions, in)
		close(relayed)
	}()
	go func() { ended <- e.Run(ctx, r, in, out) }()
	for {
		select {
		case event := <-out:
			if d.failed == nil {
				d.failed = d.take(ctx, event)
			}
			if d.failed != nil {
				cancel()
			}
		case err := <-ended:
			cancel()
			<-relayed
			return d.reports, d.verdict(r, err)
		}
	}
}

// driver is the state of one run.
type driver struct {
	talk      Conversation
	decisions chan []Decision
	begins    bool            // the engine says what it begins with
	said      map[string]bool // directories that began, or of which something was proposed
	reports   []RunReport
	seq       uint64
	over      bool // the last report was seen
	failed    error
}

func (d *driver) take(ctx context.Context, event RunEvent) error {
	if d.over {
		return ContractError("it says more after the last report of a run")
	}
	if event.Progress != nil && d.talk.Progress != nil {
		d.talk.Progress(*event.Progress)
	}
	if event.Begin != nil {
		if err := d.begin(*event.Begin); err != nil {
			return err
		}
	}
	if event.Report != nil {
		if len(d.reports) == maxReports {
			return ContractError("more than %d reports of one run", maxReports)
		}
		event.Report.Errors = event.Report.Errors[:min(len(event.Report.Errors), maxErrors)]
		for i, e := range event.Report.Errors {
			event.Report.Errors[i].Message = strings.ToValidUTF8(e.Message[:min(len(e.Message), maxErrorText)], "")
		}
		d.reports = append(d.reports, *event.Report)
		if d.over = !event.Report.More; d.over {
			close(d.decisions)
		}
	}
	if len(event.Proposals) == 0 {
		return nil
	}
	return d.answer(ctx, event.Proposals)
}

func (d *driver) begin(b RunBegin) error {
	switch {
	case d.said[b.Directory]:
		return ContractError("directory %q begins in the middle of the run", b.Directory)
	case !d.begins && len(d.said) > 0:
		return ContractError("directory %q begins after proposals of one that did not", b.Directory)
	case len(d.said) == maxReports:
		return ContractError("more than %d directories of one run", maxReports)
	}
	d.begins, d.said[b.Directory] = true, true
	if d.talk.Begin == nil {
		return nil
	}
	return d.talk.Begin(b)
}

// maxReports and maxErrors bound what the host keeps of a run's reports: one report a directory, and of its errors as many as a person reads.
const (
	maxReports = 1000
	maxErrors  = 1000

	maxErrorText = 4 << 10 // bytes
)

func (d *driver) answer(ctx context.Context, batch []Proposal) error {
	if len(batch) > MaxBatch {
		return ContractError("a batch of %d proposals; at most %d are allowed", len(batch), MaxBatch)
	}
	if d.over {
		return ContractError("proposals come with the last report of a run")
	}
	for _, p := range batch {
		if p.Seq <= d.seq {
			return ContractError("sequence number %d follows %d", p.Seq, d.seq)
		}
		d.seq = p.Seq
		if !d.said[p.Object.Directory] {
			if d.begins {
				return ContractError("proposals of directory %q come before its beginning", p.Object.Directory)
			}
			if len(d.said) < maxReports { // what no conversation is about costs no memory
				d.said[p.Object.Directory] = true
			}
		}
	}
	decisions, err := d.talk.Decide(batch)
	if err != nil {
		return fmt.Errorf("deciding proposals %d to %d: %w", batch[0].Seq, d.seq, err)
	}
	select {
	case d.decisions <- decisions:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (d *driver) verdict(r RunRequest, err error) error {
	switch {
	case d.failed != nil && (err == nil || !errors.Is(err, ErrEngineDied)):
		return fmt.Errorf("run %d: %w", r.Run, d.failed)
	case err != nil:
		return fmt.Errorf("run %d: %w", r.Run, err)
	case !d.over:
		return fmt.Errorf("run %d: %w", r.Run, ContractError("it ended without its last report"))
	}
	return nil
}
