package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator"
)

// role is what a person may do with Tandem.
type role string

// The roles. Operating and approving include reading; passwords includes nothing else.
const (
	reads     role = "read"      // look without changing anything
	operates  role = "operate"   // run engines and waves, stop and start
	approves  role = "approve"   // answer what waits for a person
	passwords role = "passwords" // set passwords in a directory
)

// KindNotGranted is the kind of the error of a person without the role that a command needs.
const KindNotGranted = "not-granted"

// granted returns the users and groups that tandem.yaml names for a role.
func granted(a orchestrator.AccessConfig, r role) []string {
	switch r {
	case reads:
		return slices.Concat(a.Read, a.Operate, a.Approve)
	case operates:
		return a.Operate
	case approves:
		return a.Approve
	case passwords:
		return a.Passwords
	}
	return nil
}

// may refuses a person who does not have a role. The user who owns the state could do everything that the first three roles allow without the socket;
// passwords are set only by users who are named for it.
func (c *call) may(r role) error {
	names := granted(c.h.o.Config().Access, r)
	if c.who.owns && r != passwords || c.who.is(names) {
		return nil
	}
	does := map[role]string{reads: "look at this state", operates: "operate Tandem", approves: "answer what waits for a person", passwords: "set passwords"}[r]
	e := &Error{Kind: KindNotGranted, Message: c.by + " may not " + does, Exit: ExitFailed,
		Hint: fmt.Sprintf("access.%s in tandem.yaml names the users and groups of the operating system who may; whoever serves reads it at its start", r)}
	if len(names) == 0 {
		e.Message = fmt.Sprintf("nobody may %s: access.%s in tandem.yaml names nobody", does, r)
		if r != passwords {
			e.Message = fmt.Sprintf("nobody but the owner of the state may %s: access.%s in tandem.yaml names nobody", does, r)
		}
	}
	return e
}

// listenOthers opens the socket for users who do not own the state. All users can connect: roles are checked for each command.
func listenOthers(path string) (net.Listener, error) {
	if !namesPeers {
		return nil, &Error{Kind: KindUsage, Exit: ExitUsage, Message: "access.socket: this operating system does not tell who is at the other end of a socket", Hint: "leave it out, and let people run tandem as the user who owns the state"}
	}
	if i, err := os.Stat(filepath.Dir(path)); err != nil || i.Mode().Perm()&0o022 != 0 || !ours(i) {
		return nil, fmt.Errorf("access.socket: the folder %s has to be there, and only this user may write into it: others could put their own socket in its place", filepath.Dir(path))
	}
	if i, err := os.Lstat(path); err == nil && i.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("access.socket: %s is there and is no socket", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("access.socket: making room for %s: %w", path, err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("access.socket: %w", err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(fmt.Errorf("access.socket: opening %s to others: %w", path, err), l.Close())
	}
	return l, nil
}

// elsewhere reports whether a state belongs to another user and may be reached by a socket that its owner opens to others.
func elsewhere(c orchestrator.Config, dir string) bool {
	if c.SocketPath() == "" {
		return false
	}
	f, err := os.Open(dir)
	if err == nil {
		_ = f.Close() // it was opened only to see whether that is allowed
		i, statErr := os.Stat(dir)
		return statErr == nil && !ours(i) && os.Getuid() != 0
	}
	return errors.Is(err, fs.ErrPermission)
}

// errNoDaemon is the error of users who may only ask a daemon.
func errNoDaemon(path string, cause error) error {
	return &Error{Kind: KindFailed, Exit: ExitFailed, Message: fmt.Sprintf("nobody serves at %s: %s", path, strings.TrimPrefix(cause.Error(), "dial unix "+path+": ")),
		Hint: "the state belongs to another user: `tandem serve` has to run as that user for you to use it"}
}
