package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/secret"
)

// postman is an engine whose deliveries go as a test says.
type postman struct {
	engine.Engine
	deliver func(ctx context.Context, d engine.Delivery, in <-chan engine.Permit, out chan<- engine.DeliverEvent) error
}

func (p postman) Deliver(ctx context.Context, d engine.Delivery, in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
	return p.deliver(ctx, d, in, out)
}

func ready(id string) engine.DeliverEvent { return engine.DeliverEvent{Ready: &engine.Ready{ID: id}} }

func result(id, code string) engine.DeliverEvent {
	return engine.DeliverEvent{Result: &engine.DeliveryResult{ID: id, Code: code}}
}

var errHost = errors.New("the log is full")

func TestADeliveryIsPermittedOnceAndEndsKnownOrInDoubt(t *testing.T) {
	type says = func(in <-chan engine.Permit, out chan<- engine.DeliverEvent) error
	for name, c := range map[string]struct {
		permit    error
		refused   string
		says      says
		code      string // of the result; empty: an error
		permitted bool   // so that an error is a doubt
		err       error
	}{
		"ready, permit, result": {says: func(in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
			out <- ready("1")
			<-in
			out <- result("1", "ok")
			return nil
		}, code: "ok", permitted: true},
		"a result without a permit asked for": {says: func(_ <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
			out <- result("1", "not-allowed")
			return nil
		}, code: "not-allowed"},
		"success without a permit": {says: func(_ <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
			out <- result("1", "ok")
			return nil
		}, err: engine.ErrContract},
		"success after a refusal": {refused: "stopped", says: func(in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
			out <- ready("1")
			<-in
			out <- result("1", "ok")
			return nil
		}, err: engine.ErrContract},
		"it takes the refusal": {refused: "stopped", says: func(in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
			out <- ready("1")
			out <- result("1", (<-in).Refused)
			return nil
		}, code: "stopped"},
		"the host cannot permit": {permit: errHost, says: func(in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
			out <- ready("1")
			<-in
			return nil
		}, err: errHost},
		"it dies before it asks": {says: func(<-chan engine.Permit, chan<- engine.DeliverEvent) error { return engine.ErrEngineDied }, err: engine.ErrEngineDied},
		"it dies with the permit": {says: func(in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
			out <- ready("1")
			<-in
			return engine.ErrEngineDied
		}, permitted: true, err: engine.ErrEngineDied},
		"it ends without a word": {says: func(in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
			out <- ready("1")
			<-in
			return nil
		}, permitted: true, err: engine.ErrContract},
		"it dies after its result": {says: func(in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
			out <- ready("1")
			<-in
			out <- result("1", "history")
			return engine.ErrEngineDied
		}, code: "history", permitted: true},
		"it asks twice": {says: func(in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
			out <- ready("1")
			<-in
			out <- ready("1")
			<-in
			return nil
		}, permitted: true, err: engine.ErrContract},
		"it asks for another one": {says: func(in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
			out <- ready("2")
			<-in
			return nil
		}, err: engine.ErrContract},
		"it tells of another one": {says: func(in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
			out <- ready("1")
			<-in
			out <- result("2", "ok")
			return nil
		}, permitted: true, err: engine.ErrContract},
	} {
		t.Run(name, func(t *testing.T) {
			word, asked := secret.Take([]byte("Some-Passw0rd!")), 0
			e := postman{deliver: func(ctx context.Context, _ engine.Delivery, in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
				patient := make(chan engine.Permit)
				go func() {
					defer close(patient)
					select {
					case p, ok := <-in:
						if ok {
							patient <- p
						}
					case <-ctx.Done():
					}
				}()
				return c.says(patient, out)
			}}
			r, permitted, err := engine.Deliver(t.Context(), e, engine.Delivery{ID: "1"}, func(context.Context) (engine.Permit, error) {
				asked++
				if c.permit != nil {
					return engine.Permit{}, c.permit
				}
				return engine.Permit{Refused: c.refused, Remaining: time.Second, New: word}, nil
			})
			if r.Code != c.code || permitted != c.permitted || !errors.Is(err, c.err) || asked > 1 {
				t.Errorf("%+v, permitted %v, %v, %d permits", r, permitted, err, asked)
			}
		})
	}
}

func TestAPermitThatNobodyTakesIsWipedAndLongWordsAreCut(t *testing.T) {
	word := secret.Take([]byte("Some-Passw0rd!"))
	e := postman{deliver: func(_ context.Context, _ engine.Delivery, _ <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
		out <- ready("1")
		out <- engine.DeliverEvent{Result: &engine.DeliveryResult{ID: "1", Code: "failed", Reason: strings.Repeat("x", 1<<20)}}
		return nil
	}}
	r, _, err := engine.Deliver(t.Context(), e, engine.Delivery{ID: "1"}, func(context.Context) (engine.Permit, error) { return engine.Permit{New: word}, nil })
	if err != nil || len(r.Reason) > 1<<13 {
		t.Errorf("%d bytes, %v", len(r.Reason), err)
	}
	if !errors.Is(word.Use(func([]byte) error { return nil }), secret.ErrWiped) {
		t.Error("the permit is not wiped")
	}
}

func TestAnIDIsNewOnce(t *testing.T) {
	var o engine.Once
	if !o.First("1") || o.First("1") || !o.First("2") {
		t.Error("an id is taken twice, or a new one is not")
	}
}
