package orchestrator

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
	"github.com/tandem-sync/tandem/orchestrator/host"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
)

// identityFile contains the state folder's random id, and the path at which the folder was used last. A backup does not contain it, so a restored folder gets another id.
const identityFile = "identity.json"

// MachineVariable is the environment variable that replaces the operating system's machine id, for containers that get another id with each start.
const MachineVariable = "TANDEM_MACHINE_ID"

type identityRecord struct {
	Folder string `json:"folder"`
	Path   string `json:"path"`
}

// identify returns this host's identity: the machine, and the state folder on it. A folder that was moved keeps its id. A copied folder is recognized as long as the original is
// still there; then CopyOf names that.
func identify(o Options) (tenancy.Identity, error) {
	me := tenancy.Identity{Machine: machineID(o)}
	me.Name, _ = os.Hostname() // for people only
	dir, err := filepath.Abs(o.StateDir)
	if err != nil {
		return me, fmt.Errorf("the state folder's path: %w", err)
	}
	r, err := readIdentity(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newIdentity(me, dir)
	case err != nil:
		return me, err
	}
	me.Folder = r.Folder
	if r.Path == dir {
		return me, nil
	}
	if copied(r, dir) {
		me.CopyOf = r.Path
		return me, nil
	}
	r.Path = dir // it was moved
	return me, writeIdentity(dir, r)
}

// recognize is identify for a process that changes nothing. It fails if the folder has no id yet, or was moved or copied.
func recognize(o Options) (tenancy.Identity, error) {
	me := tenancy.Identity{Machine: machineID(o)}
	me.Name, _ = os.Hostname() // for people only
	dir, err := filepath.Abs(o.StateDir)
	if err != nil {
		return me, fmt.Errorf("the state folder's path: %w", err)
	}
	r, err := readIdentity(dir)
	if err == nil && r.Path != dir {
		err = fmt.Errorf("%w: the state folder was at %s", host.ErrGlance, r.Path)
	}
	me.Folder = r.Folder
	return me, err
}

// newIdentity writes a new id into a folder, and returns the identity with it.
func newIdentity(me tenancy.Identity, dir string) (tenancy.Identity, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return me, fmt.Errorf("making an id for the state folder: %w", err)
	}
	me.Folder, me.CopyOf = hex.EncodeToString(id[:8]), ""
	return me, writeIdentity(dir, identityRecord{Folder: me.Folder, Path: dir})
}

// copied reports whether the folder at r.Path has the same id as dir and is another folder: then dir is a copy.
func copied(r identityRecord, dir string) bool {
	first, err := readIdentity(r.Path)
	if err != nil || first.Folder != r.Folder {
		return false
	}
	a, errA := os.Stat(filepath.Join(r.Path, identityFile))
	b, errB := os.Stat(filepath.Join(dir, identityFile))
	return errA == nil && errB == nil && !os.SameFile(a, b) // otherwise they are one folder with two paths
}

func readIdentity(dir string) (r identityRecord, err error) {
	b, err := os.ReadFile(filepath.Join(dir, identityFile))
	if err != nil {
		return r, fmt.Errorf("the state folder's identity: %w", err)
	}
	if err := json.Unmarshal(b, &r); err != nil || r.Folder == "" {
		return r, fmt.Errorf("the state folder's identity: %s is damaged: remove it, and `tandem takeover` if this host is then taken for another", filepath.Join(dir, identityFile))
	}
	return r, nil
}

func writeIdentity(dir string, r identityRecord) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding the state folder's identity: %w", err)
	}
	name := filepath.Join(dir, identityFile)
	if err := os.WriteFile(name+".new", b, 0o600); err != nil {
		return fmt.Errorf("writing the state folder's identity: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fmt.Errorf("writing the state folder's identity: %w", err)
	}
	return nil
}

// machineID returns an id of this machine; empty: there is none. The operating system's id is confidential (machine-id(5)), so this is a hash of it.
func machineID(o Options) string {
	id := o.Machine
	if id == "" {
		id = o.Getenv(MachineVariable)
	}
	for _, f := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		if b, err := os.ReadFile(f); err == nil && id == "" {
			id = strings.TrimSpace(string(b))
		}
	}
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("tandem machine " + id))
	return hex.EncodeToString(sum[:8])
}

// renew writes a new id into the state folder, so that it no longer counts as a copy.
func (x *Orchestrator) renew() (tenancy.Identity, error) {
	dir, err := filepath.Abs(x.options.StateDir)
	if err != nil {
		return x.identity, fmt.Errorf("the state folder's path: %w", err)
	}
	me, err := newIdentity(x.identity, dir)
	if err == nil {
		x.identity = me
	}
	return me, err
}

// identify returns what the configuration contains about tenant and directories that can be compared without asking them.
func (c *Config) identify() tenancy.Configured {
	out := tenancy.Configured{Bases: map[string]string{}}
	if id, err := uuid.Parse(c.Tenant.TenantID); err == nil {
		out.TenantID = id.String()
	}
	for _, d := range c.Directories {
		out.Bases[d.Name] = d.Base
	}
	return out
}
