package orchestrator

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tandem-sync/tandem/state"
)

// enginesDir is the folder, in the state folder, with the data folder of each engine.
const enginesDir = "engines"

// CheckFiles reads the files beside control, log and indexes: the folder's identity, and the keys and lists of the engines. It changes nothing, and may run while the state is in
// use.
func CheckFiles(dir string) []state.Problem {
	var problems []state.Problem
	if _, err := readIdentity(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		problems = append(problems, state.Problem{File: filepath.Join(dir, identityFile), Err: err, Next: "remove the file; if this host is then taken for another, `tandem takeover`"})
	}
	const next = "restore it from a backup, or remove it and enrol every agent again"
	return append(problems, walkEngines(dir, func(path string, d fs.DirEntry) (out []state.Problem) {
		var damage string
		switch b, err := os.ReadFile(path); {
		case filepath.Ext(path) != ".json" && filepath.Ext(path) != ".key" || d.IsDir():
		case err != nil:
			damage = err.Error()
		case filepath.Ext(path) == ".json" && !json.Valid(b):
			damage = "it is damaged: it holds no JSON"
		case filepath.Ext(path) == ".key":
			if block, _ := pem.Decode(b); block == nil {
				damage = "it is damaged: it holds no key"
			}
		}
		if damage != "" {
			out = append(out, state.Problem{File: path, Err: errors.New(damage), Next: next})
		}
		return out
	})...)
}

// CheckEngineStores reads the stores in which engines keep what they know of directories. The state folder must not be in use, since an engine that starts meanwhile would find its
// store locked.
func CheckEngineStores(ctx context.Context, dir string) []state.Problem {
	return walkEngines(dir, func(path string, d fs.DirEntry) (out []state.Problem) {
		if d.IsDir() || d.Name() != "lock" {
			return nil
		}
		store := filepath.Dir(path)
		for _, p := range state.Check(ctx, store) {
			if errors.Is(p.Err, state.ErrIndexUnusable) {
				continue // the engine makes its index anew by itself
			}
			if !errors.Is(p.Err, state.ErrVersion) && !errors.Is(p.Err, state.ErrTorn) {
				p.Next = fmt.Sprintf("remove the folder %s: all of it is read anew from the directories", store)
			}
			out = append(out, p)
		}
		return out
	})
}

// walkEngines calls look for every file and folder of the engines, and collects the problems.
func walkEngines(dir string, look func(path string, d fs.DirEntry) []state.Problem) (problems []state.Problem) {
	root := filepath.Join(dir, enginesDir)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			problems = append(problems, look(path, d)...)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problems = append(problems, state.Problem{File: root, Err: err, Next: "see that this user may read the folder"})
	}
	return problems
}
