package api

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// namesPeers is whether the kernel tells which user is at the other end of a socket.
const namesPeers = true

// peerUID asks the kernel which user connected (SO_PEERCRED, unix(7)).
func peerUID(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("the socket's peer: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, fmt.Errorf("the socket's peer: %w", err)
	}
	if credErr != nil {
		return 0, fmt.Errorf("the socket's peer: %w", credErr)
	}
	return int(cred.Uid), nil
}

// ours reports whether this user owns a file.
func ours(i os.FileInfo) bool {
	s, ok := i.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Getuid()
}
