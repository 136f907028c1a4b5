package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Alive asks the process that serves a state folder, by its socket, for /healthz; nil: it is healthy.
func Alive(ctx context.Context, socket string) error {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://tandem/healthz", nil)
	if err != nil {
		return err
	}
	res, err := c.Do(r)
	if err != nil {
		return fmt.Errorf("ask whether the daemon lives: %w", err)
	}
	defer res.Body.Close()
	why, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if res.StatusCode != http.StatusOK {
		return errors.New(strings.TrimSpace(string(why)))
	}
	return err
}
