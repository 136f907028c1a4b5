package writeback

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// Desk carries out changes of passwords. It is safe for concurrent use.
type Desk struct {
	o Options

	mu     sync.Mutex
	taken  map[string]bool // ids of events under way in this process
	tenant string          // the tenant's id; empty: not read yet
	off    string          // why the relay is not asked; empty: it is
}

// New returns a desk.
func New(o Options) *Desk {
	if o.Alive == nil {
		o.Alive = func(context.Context) {}
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	return &Desk{o: o, taken: map[string]bool{}}
}

// pollWait is how long one request to the relay waits for changes.
const pollWait = 20 * time.Second

// answerTime bounds sending the result of a change to the tenant.
const answerTime = 10 * time.Second

// mostAtOnce is the most changes that are carried out at the same time: each needs a connection to a controller.
const mostAtOnce = 16

// Off returns why the last Poll did not ask the relay; empty: it did.
func (d *Desk) Off() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.off
}

// Poll takes changes from the relay until none comes for pollWait, and returns when those that came are answered. It returns at once if the relay may not be asked.
func (d *Desk) Poll(ctx context.Context) error {
	why, err := d.closed(ctx)
	d.mu.Lock()
	d.off = why
	d.mu.Unlock()
	if err != nil || why != "" {
		return err
	}
	var work sync.WaitGroup
	defer work.Wait()
	room := make(chan struct{}, mostAtOnce)
	failed := make(chan error, 1)
	for {
		d.o.Alive(ctx)
		if err := d.o.Entitle(ctx); err != nil {
			return err
		}
		events, err := d.o.Relay.PasswordEvents(ctx, pollWait)
		if err != nil {
			return fmt.Errorf("ask the tenant for changed passwords: %w", err)
		}
		for _, e := range events {
			room <- struct{}{}
			work.Go(func() {
				defer func() { <-room }()
				if err := d.Take(ctx, e); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			})
		}
		select {
		case err := <-failed:
			return err
		default:
		}
		if len(events) == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// closed returns why the relay may not be asked; empty: it may.
func (d *Desk) closed(ctx context.Context) (string, error) {
	a := d.o.Gate.Authority()
	switch {
	case d.o.Relay == nil || a.Partition == nil || !a.Partition.On(scoping.PasswordWriteback):
		return "password-writeback is not switched on", nil
	case a.ReadOnly != "":
		return a.ReadOnly, nil
	}
	open, err := d.o.Relay.Open(ctx)
	if err != nil {
		return "the tenant could not be asked: " + err.Error(), fmt.Errorf("ask the tenant whether it hands out changed passwords: %w", err)
	}
	if !open {
		return "the tenant hands out no changed passwords", nil
	}
	if err := d.o.Entitle(ctx); err != nil {
		return err.Error(), err
	}
	return "", nil
}

// home returns the tenant and installation whose events are taken.
func (d *Desk) home(ctx context.Context) (home, error) {
	d.mu.Lock()
	id := d.tenant
	d.mu.Unlock()
	if id == "" {
		var err error
		if id, err = d.o.Relay.TenantID(ctx); err != nil {
			return home{}, fmt.Errorf("reading which tenant this is: %w", err)
		}
		d.mu.Lock()
		d.tenant = id
		d.mu.Unlock()
	}
	return home{tenant: id, installation: d.o.Gate.Authority().Installation}, nil
}

// Take carries out one event and answers it, unless it is not to be taken. An error means that the tenant's id cannot be read, that ctx ended, or that the state failed.
func (d *Desk) Take(ctx context.Context, e cloud.PasswordEvent) error {
	defer e.Wipe()
	if !d.take(e.ID) {
		return nil // the tenant sent it again while it is under way
	}
	defer d.leave(e.ID)
	h, err := d.home(ctx)
	if err != nil {
		return err
	}
	if why := judge(e, h, d.o.Clock.Now()); why != "" {
		d.o.Log("a password event is not taken", "event", cutID(e.ID), "because", why)
		return nil
	}
	out, answer, err := d.carry(ctx, e)
	if err != nil || !answer {
		return err
	}
	d.o.Log("a changed password", "event", e.ID, "op", string(e.Op), "user", e.CloudID, "engine", out.Engine, "ended", out.Code, "reason", out.Reason)
	code, told := answerOf(out.Code)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime) // a person waits, so the answer is sent even while this process ends
	defer cancel()
	if err := d.o.Relay.AnswerPasswordEvent(ctx, e.ID, code, told); err != nil {
		d.o.Log("the tenant could not be told how a password event ended: it hands it out again", "event", e.ID, "ended", out.Code, "error", err)
	}
	return nil
}

// carry carries out an event, or finds its earlier result. answer is false if the event is not answered.
func (d *Desk) carry(ctx context.Context, e cloud.PasswordEvent) (out Outcome, answer bool, err error) {
	before, seen := d.o.Gate.Permitted(e.ID)
	var row *ledger.Row
	d.o.Gate.Read(func(s *ledger.State) {
		if r, linked := s.ByCloud(e.CloudID); linked && r.Kind == scoping.User && r.State == ledger.Live {
			copied := *r
			row = &copied
		}
	})
	if seen {
		code, ok := repeated(e, before)
		return Outcome{Engine: before.Engine, Code: code, Reason: "it was handed out again"}, ok, nil
	}
	if row == nil && d.o.Gate.Forgotten(e.Deadline) { // it may have been carried out while the user was linked
		return Outcome{Code: string(gate.DeniedOld), Reason: "it is so old that it may have been carried out before"}, true, nil
	}
	if row == nil {
		return Outcome{Code: string(cloud.PasswordNotInScope), Reason: "no living user of a directory is linked to it"}, true, nil
	}
	o := orderOf(e)
	o.Object = row.Object
	out, err = d.Deliver(ctx, o)
	return out, true, err
}

func cutID(id string) string { return id[:min(len(id), maxID)] }

// take reports whether an event is not under way yet, and notes that it is.
func (d *Desk) take(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.taken[id] {
		return false
	}
	d.taken[id] = true
	return true
}

func (d *Desk) leave(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.taken, id)
}

// commandLife bounds a change that a command asks for.
const commandLife = 30 * time.Second

// Set carries out the change of an administrator's command. The owner of the user's base feature sets the password, regardless of password-writeback and of what the tenant can.
// An outcome that is no success is also an error, a *[NotSetError].
func (d *Desk) Set(ctx context.Context, o Order) (Outcome, error) {
	o.ID, o.Feature, o.Deadline = d.o.NewID(), fromCommand, d.o.Clock.Now().Add(commandLife)
	d.o.Gate.Read(func(s *ledger.State) { o.CloudID, _ = s.Linked(o.Object) })
	out, err := d.Deliver(ctx, o)
	if err == nil {
		err = out.Err()
	}
	return out, err
}
