package agent

import (
	"context"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory/password"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// writerOf sets passwords with the account for that, if the agent holds one.
func writerOf(id Identity, now func() time.Time) *password.Writer {
	w := &password.Writer{Directory: id.Connection, Account: id.Accounts[scoping.Reset], Now: now}
	for _, a := range id.Accounts {
		w.Own = append(w.Own, a.User)
	}
	return w
}

// deliver carries one write out. Its error says that the line broke, or that the request is none.
func deliver(ctx context.Context, w *password.Writer, d *linepb.Deliver, permit <-chan *linepb.Permit, p *parts) error {
	user, err := scoping.GUIDFromBytes(d.Guid)
	if err != nil {
		return errRequest
	}
	order := password.Order{User: user, Op: password.Op(d.Op), MustChange: d.MustChange, Unlock: d.Unlock, Own: d.Own}
	r := w.Carry(ctx, order, func(ctx context.Context) (password.Permit, error) {
		if err := p.send(&linepb.Part{Is: &linepb.Part_Ready{Ready: &linepb.Ready{}}}); err != nil {
			return password.Permit{}, err
		}
		got, err := await(ctx, permit)
		if err != nil {
			return password.Permit{}, err
		}
		return permitOf(got), nil
	})
	return p.send(&linepb.Part{Is: &linepb.Part_Written{Written: &linepb.Written{Code: string(r.Code), Reason: valid(r.Why()), Diagnostic: valid(r.Diagnostic)}}})
}

// await waits for the permit of a write that said that it is ready.
func await(ctx context.Context, permit <-chan *linepb.Permit) (*linepb.Permit, error) {
	select {
	case got := <-permit:
		return got, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// permitOf takes the secrets over from the message.
func permitOf(p *linepb.Permit) password.Permit {
	out := password.Permit{Refused: p.Refused, Remaining: time.Duration(p.RemainingMillis) * time.Millisecond}
	if len(p.New) > 0 {
		out.New = secret.Take(p.New)
	}
	if len(p.Old) > 0 {
		out.Old = secret.Take(p.Old)
	}
	return out
}

// forget clears the secrets of a permit that is not used.
func forget(p *linepb.Permit) {
	clear(p.New)
	clear(p.Old)
}

// valid is a text as protobuf takes it: a controller may say anything.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
