package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/state"
)

// Prunable is the part of the log that is not needed any more.
type Prunable struct {
	First uint64          // the first record of the log afterwards
	Parts []state.Segment // segments to be removed, in order
	Why   string          // why the next one is kept; empty: it is the one being written
}

// Bytes returns the size of the parts.
func (p Prunable) Bytes() (n int64) {
	for _, s := range p.Parts {
		n += s.Bytes
	}
	return n
}

// Reader reads a log's records from one on.
type Reader interface {
	Read(ctx context.Context, from uint64, f func(seq uint64, b []byte) error) error
}

// Extend adds the segments, in order, up to the first one with a record that is not from before a time, or belongs to one of the open waves.
func (p *Prunable) Extend(ctx context.Context, log Reader, segments []state.Segment, before time.Time, open map[string]bool) (err error) {
	for _, s := range segments {
		if p.Why, err = needed(ctx, log, s, before, open); err != nil || p.Why != "" {
			return err
		}
		p.Parts, p.First = append(p.Parts, s), s.Last+1
	}
	return nil
}

var errEnough = errors.New("enough")

// needed returns why a part of the log has to be kept, or "".
func needed(ctx context.Context, log Reader, s state.Segment, before time.Time, open map[string]bool) (why string, err error) {
	err = log.Read(ctx, s.First, func(seq uint64, b []byte) error {
		if seq > s.Last {
			return errEnough
		}
		r, err := ledger.Decode(b)
		switch {
		case err != nil:
			return fmt.Errorf("record %d: %w", seq, err)
		case open[r.Wave]:
			why = fmt.Sprintf("wave %s is not over: it can be rolled back, and record %d is of it", r.Wave, seq)
		case r.At >= before.UnixMilli():
			why = fmt.Sprintf("record %d was made on %s, which is not before %s", seq, time.UnixMilli(r.At).UTC().Format(time.RFC3339), before.UTC().Format(time.RFC3339))
		default:
			return nil
		}
		return errEnough
	})
	if err != nil && !errors.Is(err, errEnough) {
		return "", fmt.Errorf("reading the log: %w", err)
	}
	return why, nil
}
