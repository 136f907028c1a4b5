package api

import (
	"context"
	"net"
	"os"
	"os/user"
	"strconv"
)

type callerKey struct{}

// withCaller notes who is at the other end of a connection: the user that the operating system names, or this process's own.
func withCaller(ctx context.Context, c net.Conn) context.Context {
	uid := os.Getuid()
	if u, ok := c.(*net.UnixConn); ok {
		id, err := peerUID(u)
		if err != nil {
			return context.WithValue(ctx, callerKey{}, "unknown")
		}
		uid = id
	}
	return context.WithValue(ctx, callerKey{}, nameOf(uid))
}

func callerOf(ctx context.Context) string {
	by, _ := ctx.Value(callerKey{}).(string)
	return by
}

// nameOf gives a user's name with the number that identifies it.
func nameOf(uid int) string {
	id := "uid " + strconv.Itoa(uid)
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username + " (" + id + ")"
	}
	return id
}
