package orchestrator

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/journal"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/state"
)

// The key that signs heads of archives cannot be made again, so it is in the control store, which backups contain.
const (
	sealBucket = "journal"
	sealKey    = "seal"
)

// Archived describes an archive of the journal after an export.
type Archived struct {
	Head  journal.Head
	Added int // segments that were new
}

// Archive ends the segment of the journal that is being written, and exports into a folder all segments that it does not contain yet. If there is nothing new, it writes nothing.
func (x *Orchestrator) Archive(ctx context.Context, dir string) (Archived, error) {
	key, err := x.seal(ctx)
	if err != nil {
		return Archived{}, err
	}
	st, err := x.host.Status(ctx)
	if err != nil {
		return Archived{}, err
	}
	if err := x.store.EndSegment(ctx); err != nil {
		return Archived{}, err
	}
	h, n, err := journal.Export(ctx, dir, x.store, journal.Signer{Installation: st.Installation, Key: key}, journal.Options{Now: x.options.Clock.Now})
	return Archived{h, n}, err
}

// seal returns the installation's key, and makes it if there is none yet.
func (x *Orchestrator) seal(ctx context.Context) (ed25519.PrivateKey, error) {
	key, err := x.sealed(ctx)
	if key != nil || err != nil {
		return key, err
	}
	_, key, err = ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key that signs archives: %w", err)
	}
	err = x.store.Control.Update(ctx, func(tx state.Tx) error {
		if seed := tx.Get(sealBucket, sealKey); seed != nil {
			key = ed25519.NewKeyFromSeed(seed)
			return nil
		}
		return tx.Put(sealBucket, sealKey, key.Seed())
	})
	if err != nil {
		return nil, fmt.Errorf("keeping the key that signs archives: %w", err)
	}
	return key, nil
}

// sealed returns the installation's key; nil: there is none.
func (x *Orchestrator) sealed(ctx context.Context) (key ed25519.PrivateKey, err error) {
	err = x.store.Control.View(ctx, func(tx state.Tx) error {
		switch seed := tx.Get(sealBucket, sealKey); len(seed) {
		case 0:
		case ed25519.SeedSize:
			key = ed25519.NewKeyFromSeed(seed)
		default:
			return fmt.Errorf("%w: the key that signs archives is unreadable", problem.ErrState)
		}
		return nil
	})
	return key, err
}

// VerifyArchive checks every record of an archive, and that the journal of this state continues it or is part of it.
func (x *Orchestrator) VerifyArchive(ctx context.Context, dir string) (journal.Head, error) {
	key, err := x.sealed(ctx)
	if err != nil {
		return journal.Head{}, err
	}
	if key == nil {
		return journal.Head{}, fmt.Errorf("%w: this installation never made one", journal.ErrOther)
	}
	first, _ := x.store.Beginning()
	begins := [32]byte{} // in the archive, the hash of the record before the journal's first one
	h, err := journal.Verify(ctx, dir, journal.Public(key), func(e state.LogEntry) error {
		if e.Seq == first-1 {
			begins = e.Hash
		}
		return nil
	})
	if err != nil {
		return h, err
	}
	return h, x.continues(ctx, h, first, begins)
}

// continues checks that an archive and the journal have the same hashes where the journal begins and where the archive ends.
func (x *Orchestrator) continues(ctx context.Context, h journal.Head, first uint64, begins [32]byte) error {
	if h.Seq+1 < first {
		return fmt.Errorf("%w: it ends with record %d, and the journal begins with %d: what is between is elsewhere", journal.ErrOther, h.Seq, first)
	}
	if first > 1 {
		if err := x.store.Log.CheckHead(ctx, first-1, begins); err != nil {
			return fmt.Errorf("%w: %w", journal.ErrOther, err)
		}
	}
	if head, _ := x.store.Log.Head(); h.Seq > head {
		return fmt.Errorf("%w: it holds records up to %d, and the journal ends with %d, as after an older backup was restored", journal.ErrOther, h.Seq, head)
	}
	if h.Seq < first { // the archive ends right before the journal begins, which is checked above
		return nil
	}
	if err := x.store.Log.CheckHead(ctx, h.Seq, h.Last()); err != nil {
		return fmt.Errorf("%w: %w", journal.ErrOther, err)
	}
	return nil
}

// Pruned is the result of a pruning: what was removed, and why the rest stays.
type Pruned struct {
	Segments int
	Records  uint64
	Bytes    int64
	First    uint64 // the record with which the journal begins now
	Why      string // why the next segment stays
}

// Prune removes the segments of the journal that are older than before, completely in the archive in dir, and not needed any more. It verifies the archive first.
func (x *Orchestrator) Prune(ctx context.Context, before time.Time, dir, by string) (Pruned, error) {
	h, err := x.VerifyArchive(ctx, dir)
	if err != nil {
		return Pruned{}, fmt.Errorf("nothing was pruned: %w", err)
	}
	p, err := x.host.Prunable(ctx, before)
	if err != nil {
		return Pruned{}, err
	}
	out := pruned(p, h.Seq)
	was, _ := x.store.Beginning()
	if out.First == was {
		return out, nil
	}
	out.Records = out.First - was
	err = x.host.Prune(ctx, out.First, by, fmt.Sprintf("they are in %s, whose head is record %d, %s", dir, h.Seq, h.Hash))
	return out, err
}

// pruned returns p without the segments that end after the archived record.
func pruned(p control.Prunable, archived uint64) Pruned {
	out := Pruned{First: p.First, Why: p.Why}
	for i, s := range p.Parts {
		if s.Last > archived {
			out.First, out.Why = s.First, fmt.Sprintf("the records from %d on are not in the archive: tandem audit archive", s.First)
			p.Parts = p.Parts[:i]
			break
		}
	}
	out.Segments, out.Bytes = len(p.Parts), p.Bytes()
	return out
}

// ArchiveProblem reports whether an error is about an archive's content, and not about reading it.
func ArchiveProblem(err error) bool {
	return errors.Is(err, journal.ErrDamaged) || errors.Is(err, journal.ErrOther) || errors.Is(err, journal.ErrNone)
}
