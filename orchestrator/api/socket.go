package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	socketName = "tandem.sock"
	// pathFile, in the state folder, has the path of the socket if it cannot be in the folder.
	pathFile = "socket-path"
	// maxSocketPath is the longest path that every system takes for a socket: BSD's sun_path holds 104 bytes.
	maxSocketPath = 100
)

// socketPath returns the path of a state folder's socket.
func socketPath(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("the state folder's path: %w", err)
	}
	if p := filepath.Join(abs, socketName); len(p) <= maxSocketPath {
		return p, nil
	}
	sum := sha256.Sum256([]byte(abs))
	return filepath.Join(os.TempDir(), fmt.Sprintf("tandem-%d-%s", os.Getuid(), hex.EncodeToString(sum[:8])), "sock"), nil
}

// listen opens the socket of a state folder that this process holds, replacing one that an ended process left.
func listen(dir string) (net.Listener, error) {
	path, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	if err := prepareSocket(dir, path); err != nil {
		return nil, fmt.Errorf("making room for the socket %s: %w", path, err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("opening the socket of the state folder: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("closing the socket to others: %w", err), l.Close())
	}
	return l, nil
}

// cleanSocket removes pathFile; the socket itself went with its listener.
func cleanSocket(dir string) error {
	path, err := socketPath(dir)
	if err != nil || filepath.Base(path) == socketName {
		return err
	}
	err = os.Remove(filepath.Join(dir, pathFile))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.Remove(filepath.Dir(path)))
}

func prepareSocket(dir, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	if filepath.Base(path) == socketName {
		return nil
	}
	if err := ownFolder(filepath.Dir(path)); err != nil {
		return err
	}
	err := os.WriteFile(filepath.Join(dir, pathFile), []byte(path), 0o600)
	if errors.Is(err, syscall.ENOSPC) { // on a full disk processes with the same temporary folder still find the socket
		return os.Remove(filepath.Join(dir, pathFile))
	}
	return err
}

// ownFolder makes a folder that only this user can enter, and refuses one that belongs to another user.
func ownFolder(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	i, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !i.IsDir() || i.Mode().Perm()&0o077 != 0 || !ours(i) {
		return fmt.Errorf("%s is not a folder of this user alone", dir)
	}
	return nil
}

// dialState connects to the holder of a state folder.
func dialState(ctx context.Context, dir string) (net.Conn, error) {
	path, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	// The holder may have another temporary folder than this process.
	if b, err := os.ReadFile(filepath.Join(dir, pathFile)); err == nil && len(b) > 0 && filepath.Base(path) != socketName {
		path = strings.TrimSpace(string(b))
	}
	d := net.Dialer{Timeout: 2 * time.Second}
	return d.DialContext(ctx, "unix", path)
}

// memory is a listener inside the process: the same handler without a socket.
type memory struct {
	conns chan net.Conn
	done  chan struct{}
}

func newMemory() *memory { return &memory{conns: make(chan net.Conn), done: make(chan struct{})} }

// Accept implements net.Listener.
func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It is called once.
func (m *memory) Close() error {
	close(m.done)
	return nil
}

// Addr implements net.Listener.
func (m *memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (m *memory) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case m.conns <- there:
		return here, nil
	case <-m.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
