package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// RestoreOptions adjust a restore.
type RestoreOptions struct {
	// Force moves the folder's present state into a folder inside it, instead of refusing.
	Force bool
	// Mark changes the restored state before it gets its name, so that no crash leaves one without that change; may be nil.
	Mark func(*Store) error
	Now  func() time.Time // for the name of the folder that the former state is moved to; time.Now if nil
	Hook Hook             // called at RestoreFailpoints
}

// The names passed to RestoreOptions.Hook, one per durable step.
const (
	FailRestoreStaged = "restore.staged" // all files are written, none has its name
	FailRestoreMarked = "restore.marked" // they are checked and marked
	FailRestoreAside  = "restore.aside"  // after each piece of the former state that was moved
	FailRestoreMoved  = "restore.moved"  // the log has its name, control has not
	FailRestoreNamed  = "restore.named"
)

// RestoreFailpoints returns them.
func RestoreFailpoints() []string {
	return []string{FailRestoreStaged, FailRestoreMarked, FailRestoreAside, FailRestoreMoved, FailRestoreNamed}
}

const (
	savedDir = "saved"
	stageDir = "restoring" // inside the state folder: everything that is moved stays in one file system
)

// ErrNotEmpty means that a folder to restore into has state.
var ErrNotEmpty = errors.New("the folder holds state already: name an empty one, or put what it holds aside with --force")

// SavedName returns the name in a backup for content of other packages: name is letters, digits, '.', '_' and '-'.
func SavedName(name string) string { return savedDir + "/" + name }

// SavedFile returns where a restore puts a backup's content under SavedName.
func SavedFile(dir, name string) string { return filepath.Join(dir, savedDir, name) }

// Restore writes the files of a Backup into a folder, checks and marks them, and only then gives them their names, control last. next returns each
// file and io.EOF at the end. If it fails before that, the folder is as it was; after a crash in between, Open refuses the folder until the restore
// is repeated. aside is where the folder's former state was moved, "" if there was none. The folder must not be held.
func Restore(ctx context.Context, dir string, next func() (name string, content io.Reader, err error), o RestoreOptions) (aside string, err error) {
	r := &restoring{dir: dir, stage: filepath.Join(dir, stageDir), o: o}
	if aside, err = r.run(ctx, next); err != nil {
		return aside, fmt.Errorf("restore state into %s: %w", dir, err)
	}
	return aside, nil
}

// restoring is one restore in progress.
type restoring struct {
	dir, stage string
	o          RestoreOptions
	made       bool // the folder did not exist
	unlocked   bool // it had no lock file
	unfinished bool // an earlier restore was interrupted after it had begun to give names
	engines    bool // the backup has content of engines
}

func (r *restoring) run(ctx context.Context, next func() (string, io.Reader, error)) (aside string, err error) {
	r.made, r.unlocked = missing(r.dir), missing(filepath.Join(r.dir, lockFile))
	if err := makeDir(r.dir); err != nil {
		return "", err
	}
	lock, err := lockDir(r.dir, false, "restore", Options{}.now())
	if err != nil {
		return "", err
	}
	named := false
	defer func() {
		if err != nil && !named {
			err = errors.Join(err, os.RemoveAll(r.stage))
		}
		err = errors.Join(err, lock.release())
		if err != nil && !named {
			r.leave()
		}
	}()
	holds, err := r.look()
	if err != nil {
		return "", err
	}
	if holds && !r.o.Force {
		return "", ErrNotEmpty
	}
	if err := r.write(ctx, next); err != nil {
		return "", err
	}
	if err := r.check(ctx); err != nil {
		return "", err
	}
	named = true
	if holds || r.unfinished {
		if aside, err = r.putAside(); err != nil {
			return aside, err
		}
	}
	return aside, r.name()
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, os.ErrNotExist)
}

// leave removes what the restore made of the folder itself.
func (r *restoring) leave() {
	if r.unlocked {
		_ = os.Remove(filepath.Join(r.dir, lockFile)) // what stays is harmless
	}
	if r.made {
		_ = os.Remove(r.dir)
	}
}

// look reports whether the folder has state. The remains of an interrupted restore do not count: they cannot be opened.
func (r *restoring) look() (holds bool, err error) {
	segments, err := diskFiles{dir: filepath.Join(r.dir, logDir)}.list()
	if err != nil {
		return false, err
	}
	control := !missing(filepath.Join(r.dir, controlFile))
	r.unfinished = !control && !missing(r.stage)
	return control || len(segments) > 0 && !r.unfinished, os.RemoveAll(r.stage)
}

// write writes the backup's files into the stage.
func (r *restoring) write(ctx context.Context, next func() (string, io.Reader, error)) error {
	for _, sub := range []string{r.stage, filepath.Join(r.stage, logDir), filepath.Join(r.stage, savedDir)} {
		if err := makeDir(sub); err != nil {
			return err
		}
	}
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
		found = found || name == controlFile
		r.engines = r.engines || strings.HasPrefix(name, savedDir+"/")
		if err := writeFile(filepath.Join(r.stage, to), content); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("the backup holds no %s", controlFile)
	}
	for _, sub := range []string{logDir, savedDir, "."} {
		if err := syncDir(filepath.Join(r.stage, sub)); err != nil {
			return err
		}
	}
	return r.o.Hook.reach(FailRestoreStaged)
}

// check checks what was written, and marks it.
func (r *restoring) check(ctx context.Context) error {
	if err := writeFile(filepath.Join(r.stage, lockFile), strings.NewReader("")); err != nil {
		return err
	}
	var err error
	for _, p := range Check(ctx, r.stage) {
		err = errors.Join(err, fmt.Errorf("%s: %w", filepath.Base(p.File), p.Err))
	}
	if err != nil {
		return fmt.Errorf("what the backup holds is not whole: %w", err)
	}
	if r.o.Mark != nil {
		s, err := Open(r.stage, Options{Command: "restore", Reserve: -1})
		if err != nil {
			return err
		}
		if err := errors.Join(r.o.Mark(s), s.Close()); err != nil {
			return err
		}
	}
	return r.o.Hook.reach(FailRestoreMarked)
}

// putAside moves the folder's state into a folder inside it, control first: the rest cannot be opened without it. The engines' own folders are moved
// only if the backup has what the engines need of them.
func (r *restoring) putAside() (string, error) {
	now := time.Now
	if r.o.Now != nil {
		now = r.o.Now
	}
	aside, err := os.MkdirTemp(r.dir, "replaced-"+now().UTC().Format("20060102T150405Z")+"-")
	if err != nil {
		return "", err
	}
	pieces := []string{controlFile, logDir, indexDir, savedDir}
	if r.engines {
		pieces = append(pieces, "engines")
	}
	for _, p := range pieces {
		from := filepath.Join(r.dir, p)
		if missing(from) {
			continue
		}
		if err := os.Rename(from, filepath.Join(aside, p)); err != nil {
			return aside, err
		}
		if err := errors.Join(syncDir(r.dir), r.o.Hook.reach(FailRestoreAside)); err != nil {
			return aside, err
		}
	}
	return aside, nil
}

// name renames the restored files to their final names, control last.
func (r *restoring) name() error {
	for _, sub := range []string{logDir, savedDir} {
		to := filepath.Join(r.dir, sub)
		if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("making room: %w", err) // it is empty, or was moved
		}
		if err := os.Rename(filepath.Join(r.stage, sub), to); err != nil {
			return err
		}
	}
	if err := errors.Join(syncDir(r.dir), makeDir(filepath.Join(r.dir, indexDir)), r.o.Hook.reach(FailRestoreMoved)); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(r.stage, controlFile), filepath.Join(r.dir, controlFile)); err != nil {
		return err
	}
	return errors.Join(syncDir(r.dir), r.o.Hook.reach(FailRestoreNamed), os.RemoveAll(r.stage))
}

var savedFile = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)

// restoredName accepts only the names of a backup, so that none can lead out of the folder.
func restoredName(name string) (string, error) {
	if name == controlFile {
		return name, nil
	}
	if saved, ok := strings.CutPrefix(name, savedDir+"/"); ok && savedFile.MatchString(saved) {
		return filepath.Join(savedDir, saved), nil
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
