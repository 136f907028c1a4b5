package state

import (
	"context"
	"errors"
	"fmt"
	"io"

	bolt "go.etcd.io/bbolt"
)

// Backup passes the precious files of an open store to put, one after the other, while it is in use: control first and the log after it, so that the
// head stored in control is not ahead. Names are slash-separated and what Restore expects; content is exactly size bytes, and put reads all of it.
// Index files are left out. A Memory has no files. The caller may add files of its own under SavedName.
func (s *Store) Backup(ctx context.Context, put func(name string, size int64, content io.Reader) error) error {
	pinned, _, release := s.log.hold() // segments pruned while control is copied are still in the log that this copy of control expects
	defer release()
	k, ok := s.control.kv.(*boltKV)
	if !ok {
		return errors.New("back up state: only a state folder on disk can be backed up")
	}
	err := k.copyTo(ctx, put)
	if err != nil {
		return fmt.Errorf("back up control: %w", err)
	}
	segments, _, done := s.log.hold()
	defer done()
	for _, g := range append(before(pinned, segments), segments...) {
		if err := ctx.Err(); err != nil {
			return err
		}
		// Up to the durable end: an append may be in progress behind it.
		if err := put(logDir+"/"+g.name, g.size, io.NewSectionReader(g.f, 0, g.size)); err != nil {
			return fmt.Errorf("back up log segment %s: %w", g.name, err)
		}
	}
	return nil
}

// before returns the segments that come before others.
func before(some, others []segment) (out []segment) {
	for _, g := range some {
		if len(others) > 0 && g.header.first < others[0].header.first {
			out = append(out, g)
		}
	}
	return out
}

// copyTo passes one committed state of the file to put.
func (k *boltKV) copyTo(ctx context.Context, put func(string, int64, io.Reader) error) error {
	return k.view(ctx, func(tx Tx) error {
		t, ok := tx.(*boltTx)
		if !ok {
			return errors.New("not a bbolt transaction")
		}
		return pipe(t.tx, put)
	})
}

// pipe turns bbolt's writing into reading. The writer ends before pipe returns.
func pipe(tx *bolt.Tx, put func(string, int64, io.Reader) error) error {
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := tx.WriteTo(w)
		w.CloseWithError(err)
		done <- err
	}()
	err := put(controlFile, tx.Size(), r)
	// Bytes that put left unread must not keep the writer waiting.
	stopped := errors.New("the backup stopped reading")
	r.CloseWithError(stopped)
	written := <-done
	if err != nil {
		return err
	}
	return written
}
