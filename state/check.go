package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Problem is something that Check found.
type Problem struct {
	File string // what is concerned
	Err  error  // what is wrong; match ErrDamaged, ErrVersion, ErrIndexUnusable, ErrHeld
	Next string // what to do
}

func (p Problem) String() string { return fmt.Sprintf("%s: %v; %s", p.File, p.Err, p.Next) }

// ErrTorn says that a log ends in a group that a crash left half written. Nobody was told that it is durable.
var ErrTorn = errors.New("the log's end was torn by a crash")

const (
	nextRestore = "restore a backup (tandem state restore)"
	nextRebuild = "rebuild it (tandem state rebuild-index)"
	nextOpen    = "nothing to do: the next start cuts it, nothing acknowledged is lost"
	nextVersion = "use the version of tandem that wrote it, or a newer one"
	nextAsk     = "ask the holder or stop it first"
)

// Check reads everything in a state folder and changes nothing: control, every checksum and hash of the log, the log
// against the head kept in control, every index. More looks at what others keep in the folder, while nobody can begin to use it. No problem is an empty
// result. The folder must not be held.
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

// Check is Check of a folder that this process holds, beside all other work: control is readable, every checksum and hash of the log is right, and the
// log holds the head kept in control. The index files are in use and are not walked.
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
		_, err = debtsAfter(tx, 0)
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

// checkPrecious checks control and log, and the one against the other.
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
			_, err = debtsAfter(tx, 0)
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

// checkIndexes walks each index file. Which format its user expects is not known here, only that it says one.
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
