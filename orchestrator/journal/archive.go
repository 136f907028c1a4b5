package journal

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/tandem-sync/tandem/state"
)

// Log is a log whose segments are exported.
type Log interface {
	// Segments returns the segments that nothing is appended to any more, in order.
	Segments() []state.Segment
	// CopySegment writes the segment that begins with a record.
	CopySegment(ctx context.Context, first uint64, w io.Writer) error
}

// Signer is the installation that signs heads.
type Signer struct {
	Installation string
	Key          ed25519.PrivateKey
}

// Options adjust an export.
type Options struct {
	Now  func() time.Time
	Hook state.Hook // called at each durable step; may be nil
}

// The points passed to Options.Hook: "written" comes before the file has its name, "named" when the name is durable.
const (
	FailSegmentWritten = "archive.segment.written"
	FailSegmentNamed   = "archive.segment.named"
	FailHeadWritten    = "archive.head.written"
	FailHeadNamed      = "archive.head.named"
)

// Export adds the segments of a log that an archive lacks, and signs its head anew; the folder is made if it does not exist. It returns the number of
// added segments: if it is 0, nothing is written. Kinds of error: ErrDamaged, ErrOther; a full disk matches syscall.ENOSPC. After an error the
// archive is as before.
func Export(ctx context.Context, dir string, l Log, by Signer, o Options) (h Head, added int, err error) {
	h, err = Read(dir, Public(by.Key))
	if errors.Is(err, ErrNone) {
		h, err = Head{Version: headVersion, Installation: by.Installation}, nil
	}
	if err != nil {
		return h, 0, err
	}
	fresh, err := h.missing(l.Segments())
	if err != nil || len(fresh) == 0 {
		return h, 0, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return h, 0, fmt.Errorf("making the archive's folder: %w", err)
	}
	next := h
	next.Segments = append([]Segment(nil), h.Segments...)
	for _, s := range fresh {
		err := put(dir, state.SegmentFile(s.First), o.Hook, FailSegmentWritten, FailSegmentNamed, func(w io.Writer) error { return l.CopySegment(ctx, s.First, w) })
		if err != nil {
			return h, 0, fmt.Errorf("writing segment %s of the archive: %w", state.SegmentFile(s.First), err)
		}
		next.Segments, next.Seq, next.Hash = append(next.Segments, segmentOf(s)), s.Last, hex.EncodeToString(s.Hash[:])
	}
	next.At = o.Now().UTC().Format(time.RFC3339)
	if err := next.sign(by.Key); err != nil {
		return h, 0, err
	}
	err = put(dir, HeadFile, o.Hook, FailHeadWritten, FailHeadNamed, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(next)
	})
	if err != nil {
		return h, 0, fmt.Errorf("writing the archive's head: %w", err)
	}
	return next, len(fresh), nil
}

// missing returns the segments that an archive lacks. Those that it has must be equal.
func (h Head) missing(all []state.Segment) (out []state.Segment, err error) {
	known := map[uint64]Segment{}
	for _, s := range h.Segments {
		known[s.First] = s
	}
	for _, s := range all {
		if s.Last <= h.Seq {
			if known[s.First] != segmentOf(s) {
				return nil, fmt.Errorf("%w: its records %d to %d are not those of this one, as after a restored backup: name another folder", ErrOther, s.First, s.Last)
			}
			continue
		}
		next, hash := h.Seq+1, h.Last()
		if n := len(out); n > 0 {
			next, hash = out[n-1].Last+1, out[n-1].Hash
		}
		if s.First > next {
			return nil, fmt.Errorf("%w: it ends with record %d, and the records before %d were pruned here: name the folder that holds them", ErrOther, next-1, s.First)
		}
		if s.First < next || s.Prev != hash {
			return nil, fmt.Errorf("%w: its record %d is not that of this one, as after a restored backup: name another folder", ErrOther, next-1)
		}
		out = append(out, s)
	}
	return out, nil
}

// put writes a file under another name, makes it durable, and renames it.
func put(dir, name string, hook state.Hook, written, named string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(dir, ".tandem-archive-*")
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = reach(hook, written)
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return errors.Join(syncFolder(dir), reach(hook, named))
}

func reach(hook state.Hook, point string) error {
	if hook == nil {
		return nil
	}
	return hook(point)
}

// syncFolder makes names in a folder durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Verify reads every segment of an archive, checks each record's place in the chain from record 1 to the signed head, and calls each with it. key is
// as in [Read]. Kinds of error: ErrNone, ErrDamaged, ErrOther.
func Verify(ctx context.Context, dir, key string, each func(state.LogEntry) error) (Head, error) {
	h, err := Read(dir, key)
	if err != nil {
		return h, err
	}
	var hash [32]byte
	for _, s := range h.Segments {
		if err := ctx.Err(); err != nil {
			return h, err
		}
		got, err := readSegment(filepath.Join(dir, s.File), each)
		if err != nil {
			return h, err
		}
		if segmentOf(got) != s || got.Prev != hash {
			return h, fmt.Errorf("%w: %s holds the records %d to %d, and not the %d to %d that were exported", ErrDamaged, filepath.Join(dir, s.File), got.First, got.Last, s.First, s.Last)
		}
		hash = got.Hash
	}
	return h, nil
}

func readSegment(name string, each func(state.LogEntry) error) (s state.Segment, err error) {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return s, fmt.Errorf("%w: %s is missing", ErrDamaged, name)
	}
	if err != nil {
		return s, fmt.Errorf("reading the archive: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return s, fmt.Errorf("reading the archive: %w", err)
	}
	s, err = state.ReadSegment(name, f, info.Size(), each)
	if errors.Is(err, state.ErrDamaged) || errors.Is(err, state.ErrVersion) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return s, err
}
