package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Problem is a problem found by Check.
type Problem struct {
	File string // the file or folder concerned
	Err  error  // what is wrong; matches ErrDamaged, ErrVersion, ErrIndexUnusable, ErrHeld
	Next string // what to do
}

func (p Problem) String() string { return fmt.Sprintf("%s: %v; %s", p.File, p.Err, p.Next) }

// ErrTorn means that a log ends in a group that a crash left half written. It was never acknowledged.
var ErrTorn = errors.New("the log's end was torn by a crash")

const (
	nextRestore = "restore a backup (tandem state restore)"
	nextRebuild = "rebuild it (tandem state rebuild-index)"
	nextOpen    = "nothing to do: the next start cuts it, nothing acknowledged is lost"
	nextVersion = "use the version of tandem that wrote it, or a newer one"
	nextAsk     = "ask the holder or stop it first"
)

// Check reads everything in a state folder and changes nothing: control, every checksum and hash of the log, the log against the head stored in
// control, every index. more checks files of other packages in the folder while the folder is locked. The result is empty if there is no problem. The
// folder must not be held.
func Check(ctx context.Context, dir string, more ...func() []Problem) []Problem {
	if _, err := os.Stat(dir); err != nil {
		return []Problem{{File: dir, Err: err, Next: "name the state folder"}}
	}
	if _, err := os.Stat(filepath.Join(dir, lockFile)); err != nil {
		return []Problem{{File: dir, Err: fmt.Errorf("not a state folder: %w", err), Next: "name the state folder"}}
	}
	lock, err := lockDir(dir, true, "", Options{}.now())
	if err != nil {
		return []Problem{{File: dir, Err: err, Next: nextAsk}}
	}
	problems := append(checkPrecious(ctx, dir), checkIndexes(dir)...)
	for _, look := range more {
		problems = append(problems, look()...)
	}
	if err := lock.release(); err != nil {
		problems = append(problems, Problem{File: dir, Err: err, Next: "try again"})
	}
	return problems
}

// Check is Check for a folder that this process holds, beside other work: control is readable, every checksum and hash of the log is right, and the
// log has the head stored in control. Index files are in use and are not checked.
func (s *Store) Check(ctx context.Context) []Problem {
	var problems []Problem
	add := func(file string, err error) {
		problems = append(problems, Problem{File: file, Err: err, Next: advice(err, nextRestore)})
	}
	var seq uint64
	var hash [32]byte
	err := s.control.View(ctx, func(tx Tx) (err error) {
		if seq, hash, err = keptHead(tx); err != nil {
			return err
		}
		_, err = pendingAfter(tx, 0)
		return err
	})
	if err != nil {
		add(controlFile, err)
	}
	if err := s.log.Verify(ctx); err != nil {
		add(logDir, err)
	} else if err := s.log.CheckHead(ctx, seq, hash); err != nil {
		add(logDir, err)
	}
	return problems
}

func advice(err error, otherwise string) string {
	if errors.Is(err, ErrVersion) {
		return nextVersion
	}
	return otherwise
}

// checkPrecious checks control and log, and one against the other.
func checkPrecious(ctx context.Context, dir string) []Problem {
	var problems []Problem
	add := func(file string, err error) {
		problems = append(problems, Problem{File: file, Err: err, Next: advice(err, nextRestore)})
	}
	control := filepath.Join(dir, controlFile)
	var seq uint64
	var hash [32]byte
	begins := beginning{first: 1}
	k, err := openControl(dir, true)
	if err == nil {
		err = k.view(ctx, func(tx Tx) (err error) {
			if begins, err = keptBeginning(tx); err != nil {
				return err
			}
			if seq, hash, err = keptHead(tx); err != nil {
				return err
			}
			_, err = pendingAfter(tx, 0)
			return err
		})
		err = errors.Join(err, k.close())
	}
	if err != nil {
		add(control, err)
	}
	fs := diskFiles{dir: filepath.Join(dir, logDir), readOnly: true}
	log, err := openLog(fs, &space{}, Options{}, begins, true)
	if err != nil {
		add(fs.dir, err)
		return problems
	}
	if t := log.torn; t != nil {
		err := fmt.Errorf("%w: %d bytes from byte %d", ErrTorn, t.Bytes, t.Offset)
		problems = append(problems, Problem{File: t.File, Err: err, Next: nextOpen})
	}
	if err := log.Verify(ctx); err != nil {
		add(fs.dir, err)
	} else if err := log.CheckHead(ctx, seq, hash); err != nil {
		add(fs.dir, err)
	}
	if err := log.Close(); err != nil {
		add(fs.dir, err)
	}
	return problems
}

// checkIndexes walks each index file. The formats that their users expect are unknown here; each file only has to name one.
func checkIndexes(dir string) []Problem {
	names, err := diskFiles{dir: filepath.Join(dir, indexDir)}.list()
	if err != nil {
		return []Problem{{File: filepath.Join(dir, indexDir), Err: err, Next: nextRebuild}}
	}
	var problems []Problem
	for _, file := range names {
		name, ok := strings.CutSuffix(file, indexSuffix)
		if !ok {
			continue
		}
		path := filepath.Join(dir, indexDir, file)
		if err := checkIndex(path); err != nil {
			problems = append(problems, Problem{File: path, Err: unusable(name, err), Next: nextRebuild})
		}
	}
	return problems
}

func checkIndex(path string) error {
	if _, err := unsynced(strings.TrimSuffix(path, indexSuffix) + dirtySuffix); err != nil {
		return err
	}
	k, err := openBolt(path, true, true)
	if err != nil {
		return err
	}
	err = k.sealed()
	if err == nil {
		err = k.checkSums()
	}
	if err == nil {
		err = k.view(context.Background(), func(tx Tx) error {
			if tx.Get(formatBucket, formatKey) == nil {
				return &DamageError{File: path, Why: "it does not say which format it has"}
			}
			return nil
		})
	}
	return errors.Join(err, k.close())
}
