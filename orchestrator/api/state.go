package api

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/tandem-sync/tandem/orchestrator"
	"github.com/tandem-sync/tandem/state"
)

// StateDir gives the state folder that o means.
func StateDir(o Options) (string, error) {
	if o.State != "" {
		return o.State, nil
	}
	if _, err := load(&o); err != nil {
		return "", err
	}
	return o.State, nil
}

// Problems is what a check of the state folder found.
type Problems struct {
	State    string    `json:"state"`
	Problems []Problem `json:"problems"`
}

// Problem is one thing that is wrong, and what to do about it.
type Problem struct {
	File    string `json:"file"`
	Problem string `json:"problem"`
	Next    string `json:"next"`
}

// CheckState reads everything in a state folder that nobody holds, and changes nothing.
func CheckState(ctx context.Context, dir string) (Problems, Outcome, error) {
	out := Problems{State: dir, Problems: []Problem{}}
	if _, err := os.Stat(dir); err != nil {
		return out, Outcome{}, fmt.Errorf("the state folder: %w", err)
	}
	for _, p := range state.Check(ctx, dir) {
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
		return Outcome{Exit: ExitDifferences, Message: fmt.Sprintf("%d problems in %s", n, p.State), Hint: p.Problems[0].Next}
	}
	return Outcome{}
}

// stateCheck is CheckState by whoever holds the state.
func stateCheck(ctx context.Context, c *call, _ None) (any, Outcome, error) {
	out := Problems{State: c.h.info.State, Problems: []Problem{}}
	for _, p := range c.h.o.Host().CheckState(ctx) {
		out.Problems = append(out.Problems, problemOf(p))
	}
	return out, out.outcome(), ctx.Err()
}

// RebuildIndex drops the index files of a state folder that nobody holds: the next run reads directory, tenant and log anew.
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

// BackupRequest names the file that a backup is written to, as the holder of the state sees it: an absolute path.
type BackupRequest struct {
	File string `json:"file"`
}

// Backup is what a backup holds.
type Backup struct {
	File  string `json:"file"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
}

func stateBackup(ctx context.Context, c *call, q BackupRequest) (any, Outcome, error) {
	if !filepath.IsAbs(q.File) {
		return nil, Outcome{}, Usage("the backup's file must be named by an absolute path")
	}
	f, err := os.CreateTemp(filepath.Dir(q.File), ".tandem-backup-*")
	if err != nil {
		return nil, Outcome{}, fmt.Errorf("making the backup's file: %w", err)
	}
	out := Backup{File: q.File}
	err = writeBackup(ctx, c.h.o, f, &out)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), q.File)
	}
	if err != nil {
		return nil, Outcome{}, errors.Join(fmt.Errorf("writing the backup: %w", err), os.Remove(f.Name()))
	}
	return out, Outcome{}, nil
}

func writeBackup(ctx context.Context, o *orchestrator.Orchestrator, w io.Writer, out *Backup) error {
	t := tar.NewWriter(w)
	err := o.Backup(ctx, func(name string, size int64, content io.Reader) error {
		if err := t.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o600, ModTime: time.Now(), Format: tar.FormatPAX}); err != nil {
			return err
		}
		n, err := io.Copy(t, content)
		out.Files, out.Bytes = out.Files+1, out.Bytes+n
		return err
	})
	return errors.Join(err, t.Close())
}

// RestoreState writes a backup into a state folder that holds nothing. From then on nothing is written to the tenant until the restored state is
// activated (rule H2).
func RestoreState(ctx context.Context, dir, file, command, by string) (err error) {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("the backup: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	t := tar.NewReader(f)
	if err := state.Restore(ctx, dir, func() (string, io.Reader, error) {
		h, err := t.Next()
		if err != nil {
			return "", nil, err
		}
		return h.Name, t, nil
	}); err != nil {
		return fmt.Errorf("restoring %s into %s: %w", file, dir, err)
	}
	return orchestrator.MarkRestored(ctx, dir, command, by, filepath.Base(file))
}

// ActivateRequest says why a restored state is put in force.
type ActivateRequest struct {
	Reason string `json:"reason"`
}

func stateActivate(ctx context.Context, c *call, q ActivateRequest) (any, Outcome, error) {
	return None{}, Outcome{}, c.h.o.Host().Activate(ctx, c.by, q.Reason)
}
