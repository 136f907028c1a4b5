package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// Backup gives put the precious files of an open store, one after the other, while it is in use: control first and the log
// after it, so that the head kept in control does not lead. Names are slash-separated and what Restore expects; content is
// exactly size bytes and put reads all of it. Indexes are not part of a backup. A Memory has no files to give.
func (s *Store) Backup(ctx context.Context, put func(name string, size int64, content io.Reader) error) error {
	k, ok := s.control.kv.(*boltKV)
	if !ok {
		return errors.New("back up state: only a state folder on disk can be backed up")
	}
	err := k.copyTo(ctx, put)
	if err != nil {
		return fmt.Errorf("back up control: %w", err)
	}
	segments, _ := s.log.snapshot()
	for _, g := range segments {
		if err := ctx.Err(); err != nil {
			return err
		}
		// Up to the durable end: what stands behind it is an append under way.
		if err := put(logDir+"/"+g.name, g.size, io.NewSectionReader(g.f, 0, g.size)); err != nil {
			return fmt.Errorf("back up log segment %s: %w", g.name, err)
		}
	}
	return nil
}

// copyTo gives put one committed state of the file.
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
	// Whatever put left unread must not keep the writer waiting.
	stopped := errors.New("the backup stopped reading")
	r.CloseWithError(stopped)
	written := <-done
	if err != nil {
		return err
	}
	return written
}

// Restore writes the files of a Backup into a folder that holds no state, and checks them. next returns each file and
// io.EOF at the end. The folder can be opened afterwards; that it is a restored one and what follows from that
// (rules H1, H2) is the caller's to know. When it fails the folder is left for inspection, and Open refuses it or
// finds nothing in it.
func Restore(ctx context.Context, dir string, next func() (name string, content io.Reader, err error)) error {
	if err := emptyFolder(dir); err != nil {
		return fmt.Errorf("restore state into %s: %w", dir, err)
	}
	lock, err := lockDir(dir, false, "restore", Options{}.now())
	if err != nil {
		return fmt.Errorf("restore state into %s: %w", dir, err)
	}
	err = restoreFiles(ctx, dir, next)
	if err = errors.Join(err, lock.release()); err != nil {
		return fmt.Errorf("restore state into %s: %w", dir, err)
	}
	for _, p := range Check(ctx, dir) {
		err = errors.Join(err, fmt.Errorf("%s: %w", p.File, p.Err))
	}
	if err != nil {
		return fmt.Errorf("restore state into %s: what was restored is not whole: %w", dir, err)
	}
	return nil
}

func emptyFolder(dir string) error {
	for _, sub := range []string{dir, filepath.Join(dir, logDir), filepath.Join(dir, indexDir)} {
		if err := makeDir(sub); err != nil {
			return err
		}
	}
	segments, err := diskFiles{dir: filepath.Join(dir, logDir)}.list()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, controlFile)); err == nil || len(segments) > 0 {
		return errors.New("the folder holds state already: name an empty one")
	}
	return nil
}

// restoreFiles gives control its name last: until then Open refuses the folder as one whose control is missing.
func restoreFiles(ctx context.Context, dir string, next func() (string, io.Reader, error)) error {
	const waiting = controlFile + ".restored"
	found := false
	for {
		name, content, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		to, err := restoredName(name)
		if err != nil {
			return err
		}
		if name == controlFile {
			found, to = true, waiting
		}
		if err := writeFile(filepath.Join(dir, to), content); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("the backup holds no %s", controlFile)
	}
	if err := syncDir(filepath.Join(dir, logDir)); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, waiting), filepath.Join(dir, controlFile)); err != nil {
		return err
	}
	return syncDir(dir)
}

// restoredName lets only the names of a backup through, so that none can lead out of the folder.
func restoredName(name string) (string, error) {
	if name == controlFile {
		return name, nil
	}
	segment, ok := strings.CutPrefix(name, logDir+"/")
	if _, isSegment := segmentFirst(segment); !ok || !isSegment {
		return "", fmt.Errorf("the backup holds %q, which is no file of a state folder", name)
	}
	return filepath.Join(logDir, segment), nil
}

func writeFile(path string, content io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
