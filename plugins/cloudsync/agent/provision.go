package agent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory"
	sink "github.com/tandem-sync/tandem/plugins/directory/provision"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// sinkOf writes objects of the tenant with the account for that, if the agent holds one.
func sinkOf(id Identity, now func() time.Time) *sink.Sink {
	k := &sink.Sink{Directory: id.Connection, Account: id.Accounts[scoping.Provision], Now: now, Random: rand.Reader}
	for _, a := range id.Accounts {
		k.Own = append(k.Own, a.User)
	}
	return k
}

// write carries one write out. Its error says that the line broke, or that the request is none.
func write(ctx context.Context, k *sink.Sink, w *linepb.Provision, permit <-chan *linepb.Permit, p *parts) error {
	var target provision.Target
	if err := json.Unmarshal(w.Target, &target); err != nil {
		return fmt.Errorf("%w (%w)", errRequest, err)
	}
	o := k.Carry(ctx, target, w.Own, func(ctx context.Context) (sink.Permit, error) {
		if err := p.send(&linepb.Part{Is: &linepb.Part_Ready{Ready: &linepb.Ready{}}}); err != nil {
			return sink.Permit{}, err
		}
		got, err := await(ctx, permit)
		if err != nil {
			return sink.Permit{}, err
		}
		out := sink.Permit{Refused: got.Refused, Remaining: time.Duration(got.RemainingMillis) * time.Millisecond}
		if out.Refused == "" {
			err = json.Unmarshal(got.Values, &out.Values)
		}
		return out, err
	})
	return p.send(&linepb.Part{Is: &linepb.Part_Written{Written: written(o)}})
}

// look asks the session's controller. An error says that this agent, or this session, could not; another one may.
func look(ctx context.Context, s *directory.Session, own []string, l *linepb.Look, p *parts) error {
	var asked provision.Look
	if err := json.Unmarshal(l.Look, &asked); err != nil {
		return fmt.Errorf("%w (%w)", errRequest, err)
	}
	o := sink.Look(ctx, s, slices.Concat(own, l.Own), asked)
	if o.Code == provision.Unreachable {
		return o
	}
	return p.send(&linepb.Part{Is: &linepb.Part_Written{Written: written(o)}})
}

// written is an outcome as it crosses the line.
func written(o sink.Outcome) *linepb.Written {
	w := &linepb.Written{Code: string(o.Code), Reason: valid(o.Why()), Diagnostic: valid(o.Diagnostic)}
	switch o.Code {
	case provision.Done, provision.Exists, provision.InDoubt:
		w.Result, _ = json.Marshal(o.Result) // it holds texts and numbers only
	}
	return w
}
