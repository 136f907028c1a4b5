package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Decide answers a batch of proposals. Its decisions must be durable when it returns (rule P1).
type Decide func([]Proposal) ([]Decision, error)

// Drive makes one run of e from the host's side: it calls decide for one batch after the other, streams the decisions back,
// and gives the reports in order. progress may be nil. A decide that fails ends the run with its error; a run that ends
// without its last report, or says more after it, is an ErrContract. The reports given so far come with every error.
func Drive(ctx context.Context, e Engine, r RunRequest, decide Decide, progress func(Progress)) ([]RunReport, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &driver{decide: decide, progress: progress, decisions: make(chan []Decision)}
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
	decide    Decide
	progress  func(Progress)
	decisions chan []Decision
	reports   []RunReport
	seq       uint64
	over      bool // the last report was seen
	failed    error
}

func (d *driver) take(ctx context.Context, event RunEvent) error {
	if d.over {
		return ContractError("it says more after the last report of a run")
	}
	if event.Progress != nil && d.progress != nil {
		d.progress(*event.Progress)
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
	}
	decisions, err := d.decide(batch)
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
