package api

import (
	"context"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/answer"
)

// Mark is what is known of the tenant's mark. Problem is why this host may not write, or why the mark could not be read.
type Mark struct {
	Installation string `json:"installation"` // "" if the tenant has no mark
	Incarnation  uint64 `json:"incarnation"`
	Host         string `json:"host"` // the machine's name; "" in a mark of an older version
	At           string `json:"at"`   // when that host began to write; RFC 3339, "" if unknown
	Ours         bool   `json:"ours"`
	Kept         bool   `json:"kept"`            // false: the application may not keep a mark, so that clones are not noticed
	Read         string `json:"read"`            // when it was last read; "" if not by this process
	Waits        string `json:"waits,omitempty"` // until when nothing is written, since another host may still write
	Problem      string `json:"problem,omitempty"`
}

// Limits for reading the tenant's mark: the time that it may take, and the age of a reading that suffices.
const (
	lookPatience = 5 * time.Second
	statusLook   = 5 * time.Second
	readyLook    = 30 * time.Second
)

// look reads the tenant's mark if the last reading is older; it returns why it could not.
func (h *Handler) look(ctx context.Context, older time.Duration) string {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	if err := h.o.Host().Look(ctx, older); err != nil {
		return err.Error()
	}
	return ""
}

func markOf(s answer.Status, unread string) Mark {
	m := s.Mark
	out := Mark{Kept: m.Permitted, Read: stampTime(m.Read), Waits: stampTime(m.NotBefore), Problem: m.Refused}
	if m.Found {
		out.Installation, out.Incarnation, out.Host, out.At = m.Installation, m.Incarnation, m.Name, stampTime(m.At)
		out.Ours = m.Refused == "" && m.Installation == s.Installation
	}
	if out.Problem == "" {
		out.Problem = unread
	}
	return out
}

func stampTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// TakeoverRequest is why the tenant is taken over.
type TakeoverRequest struct {
	Reason string `json:"reason"`
}

// Takeover is a finished take-over: from now on this host may write to the tenant, once a person activates its state.
type Takeover struct {
	From string   `json:"from"`
	Next []string `json:"next"` // commands
}

func takeover(ctx context.Context, c *call, q TakeoverRequest) (any, Outcome, error) {
	h := c.h.o.Host()
	from, err := h.TakeOver(ctx, c.by, q.Reason)
	if err != nil {
		return nil, Outcome{}, err
	}
	out := Takeover{From: from, Next: []string{}}
	if _, err := h.Partition(); err != nil {
		out.Next = append(out.Next, "tandem import POLICY")
	}
	for _, n := range c.h.o.Engines() {
		out.Next = append(out.Next, "tandem sync "+n+" --profile full")
	}
	out.Next = append(out.Next, "tandem state restore --activate --reason R")
	return out, Outcome{}, nil
}
