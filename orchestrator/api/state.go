package api

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// StateDir returns the state folder of o.
func StateDir(o Options) (string, error) {
	if o.State != "" {
		return o.State, nil
	}
	if _, err := load(&o); err != nil {
		return "", err
	}
	return o.State, nil
}

// Problems are the results of a check of the state folder.
type Problems struct {
	State    string    `json:"state"`
	Problems []Problem `json:"problems"`
}

// Problem is one problem, and what to do about it.
type Problem struct {
	File    string `json:"file"`
	Problem string `json:"problem"`
	Next    string `json:"next"`
}

// CheckState reads everything in a state folder that is not held, and changes nothing.
func CheckState(ctx context.Context, dir string) (Problems, Outcome, error) {
	out := Problems{State: dir, Problems: []Problem{}}
	if _, err := os.Stat(dir); err != nil {
		return out, Outcome{}, fmt.Errorf("the state folder: %w", err)
	}
	beside := func() []state.Problem {
		return append(orchestrator.CheckFiles(dir), orchestrator.CheckEngineStores(ctx, dir)...)
	}
	for _, p := range state.Check(ctx, dir, beside) {
		if errors.Is(p.Err, state.ErrHeld) {
			return out, Outcome{}, p.Err
		}
		out.Problems = append(out.Problems, problemOf(p))
	}
	return out, out.outcome(), nil
}

func problemOf(p state.Problem) Problem {
	return Problem{File: p.File, Problem: p.Err.Error(), Next: p.Next}
}

func (p Problems) outcome() Outcome {
	if n := len(p.Problems); n > 0 {
		return Outcome{Exit: ExitDifferences, Message: scoping.Many(n, "problem", "problems") + " in " + p.State, Hint: p.Problems[0].Next}
	}
	return Outcome{}
}

// stateCheck is CheckState by the holder of the state.
func stateCheck(ctx context.Context, c *call, _ None) (any, Outcome, error) {
	out := Problems{State: c.h.info.State, Problems: []Problem{}}
	for _, p := range append(c.h.o.Host().CheckState(ctx), orchestrator.CheckFiles(c.h.info.State)...) { // the engines have their stores in use
		out.Problems = append(out.Problems, problemOf(p))
	}
	return out, out.outcome(), ctx.Err()
}

// RebuildIndex removes the index files of a state folder that is not held: the next run reads directory, tenant and log anew.
func RebuildIndex(dir, command string) (dropped []string, err error) {
	s, err := state.Open(dir, state.Options{Command: command})
	if err != nil {
		return nil, err
	}
	for _, n := range orchestrator.Indexes() {
		if err = s.RemoveIndex(n); err != nil {
			break
		}
		dropped = append(dropped, n)
	}
	return dropped, errors.Join(err, s.Close())
}

// Backup describes a backup. File is where its caller put it; Missing is what it lacks of the engines.
type Backup struct {
	File    string `json:"file"`
	Files   int    `json:"files"`
	Bytes   int64  `json:"bytes"`
	Missing string `json:"missing,omitempty"`
}

// BackupPart is an item of the answer to state/backup: a part of the archive (tar), in order.
type BackupPart struct {
	Data []byte `json:"data"`
}

// backupPart is how many bytes of the archive an item has at most.
const backupPart = 256 << 10

// stateBackup sends a backup to its caller and writes no file: the service may write into its own folder only, and knows nothing of the folders of its callers.
// A backup holds the keys of the state, so it is for the owner of the state alone.
func stateBackup(ctx context.Context, c *call, _ None) (any, Outcome, error) {
	if !c.who.owns {
		return nil, Outcome{}, &Error{Kind: KindNotGranted, Message: c.by + " may not back up this state: a backup holds the keys of the state", Exit: ExitFailed,
			Hint: "the user who owns the state folder may, and root"}
	}
	w := bufio.NewWriterSize(writerOf(func(b []byte) error { return c.item(BackupPart{Data: b}) }), backupPart)
	var out Backup
	unsaved, err := writeBackup(ctx, c.h.o, w, &out)
	if err = errors.Join(err, w.Flush(), ctx.Err()); err != nil {
		return nil, Outcome{}, fmt.Errorf("writing the backup: %w", err)
	}
	if unsaved != nil {
		out.Missing = unsaved.Error()
		return out, Outcome{Exit: ExitFailed, Message: out.Missing, Hint: "the rest is saved; back up again when that engine runs, or its agents have to enrol again after a restore"}, nil
	}
	return out, Outcome{}, nil
}

// writerOf passes what is written on, in parts of at most backupPart.
type writerOf func([]byte) error

func (f writerOf) Write(b []byte) (n int, err error) {
	for part := range slices.Chunk(b, backupPart) {
		if err := f(part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

func writeBackup(ctx context.Context, o *orchestrator.Orchestrator, w io.Writer, out *Backup) (unsaved, err error) {
	t := tar.NewWriter(w)
	unsaved, err = o.Backup(ctx, func(name string, size int64, content io.Reader) error {
		if err := t.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o600, ModTime: time.Now(), Format: tar.FormatPAX}); err != nil {
			return err
		}
		n, err := io.Copy(t, content)
		out.Files, out.Bytes = out.Files+1, out.Bytes+n
		return err
	})
	return unsaved, errors.Join(err, t.Close())
}

// Restored is the result of a restore. Aside is where the folder's former state was moved; Since is what the log there has about the time after the
// backup.
type Restored struct {
	State    string    `json:"state"`
	Aside    string    `json:"aside,omitempty"`
	Since    string    `json:"since,omitempty"`
	Problems []Problem `json:"problems"` // none: a damaged backup is not restored
}

// RestoreState writes a backup into a state folder; with force the folder's content is moved aside. Nothing is written to the tenant until the
// restored state is activated (rule H2). After an error the folder is as before.
func RestoreState(ctx context.Context, dir, file string, force bool, by string) (out Restored, err error) {
	out = Restored{State: dir, Problems: []Problem{}}
	f, err := os.Open(file)
	if err != nil {
		return out, fmt.Errorf("the backup: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	t := tar.NewReader(f)
	r, err := orchestrator.Restore(ctx, dir, func() (string, io.Reader, error) {
		h, err := t.Next()
		if err != nil {
			return "", nil, err
		}
		return h.Name, t, nil
	}, force, by, filepath.Base(file))
	if err != nil {
		return out, fmt.Errorf("restoring %s: %w", file, err)
	}
	out.Aside = r.Aside
	switch {
	case r.Writes > 0:
		out.Since = fmt.Sprintf("the state that was there wrote %d times after the backup was made, the last time at %s", r.Writes, stampTime(r.Last))
	case r.Newer:
		out.Since = "the state that was there wrote nothing after the backup was made"
	case r.Aside != "":
		out.Since = "the state that was there cannot be compared with the backup"
	}
	return out, nil
}

// ActivateRequest is why a restored state is put in force.
type ActivateRequest struct {
	Reason string `json:"reason"`
}

func stateActivate(ctx context.Context, c *call, q ActivateRequest) (any, Outcome, error) {
	return None{}, Outcome{}, c.h.o.Host().Activate(ctx, c.by, q.Reason)
}
