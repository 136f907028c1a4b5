package api

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
)

type callerKey struct{}

// caller is the person at the other end of a connection.
type caller struct {
	name  string
	uid   int
	local bool // the operating system names the user: on a local socket, or for this process itself
	owns  bool // the user owns the state, or may do everything on this machine
}

// withCaller adds the caller at the other end of a connection: the user that the operating system names, or this process's own.
func withCaller(ctx context.Context, c net.Conn) context.Context {
	who := caller{uid: os.Getuid(), local: true, owns: true}
	switch u := c.(type) {
	case *net.UnixConn:
		id, err := peerUID(u)
		if err != nil {
			return context.WithValue(ctx, callerKey{}, caller{name: "unknown"})
		}
		who.uid, who.owns = id, id == os.Getuid() || id == 0
	case *net.TCPConn, *tls.Conn:
		return context.WithValue(ctx, callerKey{}, caller{name: "unknown"})
	}
	who.name = nameOf(who.uid)
	return context.WithValue(ctx, callerKey{}, who)
}

func callerOf(ctx context.Context) caller {
	by, _ := ctx.Value(callerKey{}).(caller)
	return by
}

// is reports whether a person is one of some users, or in one of some groups, of the operating system.
func (c caller) is(names []string) bool {
	if !c.local || len(names) == 0 {
		return false
	}
	u, err := user.LookupId(strconv.Itoa(c.uid))
	if err != nil {
		return false
	}
	if slices.Contains(names, u.Username) {
		return true
	}
	groups, err := u.GroupIds()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(groups, func(id string) bool {
		g, err := user.LookupGroupId(id)
		return err == nil && slices.Contains(names, g.Name)
	})
}

// nameOf returns a user's name with the number that identifies it.
func nameOf(uid int) string {
	id := "uid " + strconv.Itoa(uid)
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username + " (" + id + ")"
	}
	return id
}
