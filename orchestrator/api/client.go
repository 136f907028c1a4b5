package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/google/uuid"
)

// Client sends commands to the process that holds the state.
type Client struct {
	http *http.Client
	// Progress receives progress; may be nil.
	Progress func(Progress)
	// Warn receives the reason why the holder of the state writes nothing at all; may be nil.
	Warn func(message string)
}

func newClient(dial func(ctx context.Context) (net.Conn, error)) *Client {
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableCompression: true,
	}}}
}

// errGone means that the holder could not be reached, so that the command did not begin.
var errGone = errors.New("the holder of the state is gone")

// hello asks for the holder's Info.
func (c *Client) hello(ctx context.Context) (Info, error) {
	var i Info
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://tandem/v1/hello", nil)
	if err != nil {
		return i, err
	}
	res, err := c.http.Do(r)
	if err != nil {
		return i, fmt.Errorf("%w: %w", errGone, err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&i); err != nil {
		return i, fmt.Errorf("%w: %w", errGone, err)
	}
	return i, nil
}

// Call carries out a command. The answer is decoded into out, which may be a *json.RawMessage; nil drops it. When ctx ends the command is asked to
// stop at its next durable step, and Call waits for it.
func (c *Client) Call(ctx context.Context, name string, request, out any) (Outcome, error) {
	return c.Stream(ctx, name, request, out, nil)
}

// Stream is Call for commands that return many items.
func (c *Client) Stream(ctx context.Context, name string, request, out any, item func(json.RawMessage) error) (Outcome, error) {
	b, err := encode(request)
	if err != nil {
		return Outcome{}, err
	}
	return c.send(ctx, name, b, out, item)
}

// send sends a command whose request is encoded.
func (c *Client) send(ctx context.Context, name string, b []byte, out any, item func(json.RawMessage) error) (Outcome, error) {
	id := uuid.NewString()
	r, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, "http://tandem/v1/"+name, bytes.NewReader(b))
	if err != nil {
		return Outcome{}, err
	}
	r.Header.Set(callHeader, id)
	defer context.AfterFunc(ctx, func() { c.cancel(id) })()
	res, err := c.http.Do(r)
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return Outcome{}, fmt.Errorf("%w: %w", errGone, err)
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("talking to the holder of the state: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return Outcome{}, fmt.Errorf("the holder of the state answered %s to %s: is it another version of tandem?", res.Status, name)
	}
	return c.read(res.Body, out, item)
}

// cancel asks for a call to end. The call's answer shows whether it did.
func (c *Client) cancel(id string) {
	r, err := http.NewRequest(http.MethodPost, "http://tandem/v1/cancel", nil)
	if err != nil {
		return
	}
	r.Header.Set(callHeader, id)
	if res, err := c.http.Do(r); err == nil {
		_ = res.Body.Close()
	}
}

func (c *Client) read(body io.Reader, out any, item func(json.RawMessage) error) (Outcome, error) {
	lines := bufio.NewReaderSize(body, 1<<16)
	for {
		b, err := lines.ReadBytes('\n')
		if err != nil {
			return Outcome{}, fmt.Errorf("the holder of the state ended before it answered: %w", err)
		}
		var l line
		if err := json.Unmarshal(b, &l); err != nil {
			return Outcome{}, fmt.Errorf("the holder's answer is not understood: %w", err)
		}
		if l.Warning != "" && c.Warn != nil {
			c.Warn("nothing is written to the tenant: " + l.Warning)
		}
		switch {
		case l.Error != nil:
			return Outcome{Exit: l.Error.Exit}, l.Error
		case l.Result != nil:
			if out == nil {
				return l.Result.Outcome, nil
			}
			return l.Result.Outcome, json.Unmarshal(l.Result.Value, out)
		case l.Item != nil && item != nil:
			if err := item(l.Item); err != nil {
				return Outcome{}, err
			}
		case l.Progress != nil && c.Progress != nil:
			c.Progress(*l.Progress)
		}
	}
}
