package tenant

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// The relay's times, on the model's clock.
const (
	writebackLife = 30 * time.Second // from an event to its deadline
	redelivery    = 10 * time.Second // an event without an answer is handed out again
	pollLimit     = time.Minute      // the longest wait of one poll
)

const (
	pollEvents   = 30    // the most events of one poll
	eventHistory = 10000 // events and operations that are remembered
)

// The operations of an event.
const (
	opReset  = "reset"
	opChange = "change"
	opUnlock = "unlock"
)

// relay stands for the Service Bus relay over which Entra hands password changes to Microsoft's engines, which write them into the directory.
// An event is posted, handed out at least once, and ends with its first answer or at its deadline, whichever comes first.
// The effect of an answer happens with it, also when the portal no longer waits. The lock of the model is taken inside the
// relay's and never the other way round.
type relay struct {
	after func(time.Duration) <-chan time.Time

	mu         sync.Mutex
	events     []*event // oldest first
	operations []*operation
	faults     []*standingWritebackFault
	changed    chan struct{} // closed when there may be something to hand out
}

func newRelay(after func(time.Duration) <-chan time.Time) *relay {
	return &relay{after: after, changed: make(chan struct{})}
}

type eventState uint8

const (
	open eventState = iota
	answered
	expired
)

// event is one change on its way to the directory. Its mutable fields are under the relay's lock.
type event struct {
	id, tenant, installation, user, op string
	oldPassword, newPassword           *secret.Value // nil where the operation has none
	mustChange                         bool
	created, deadline                  time.Time
	forged                             bool // by a fault: its answer has no effect

	state         eventState
	from          time.Time // not handed out before
	handed        int       // how often it was
	repeats       int       // how often it is handed out after its end
	repeatDelay   time.Duration
	code, message string // of the answer
	acted         time.Time
	ended         chan struct{} // closed when it is answered or expired
}

// operation is what an administrator's reset is polled by.
type operation struct {
	id, user string
	created  time.Time
	event    *event // nil: it was done at once
}

// post adds an event that lives until its deadline.
func (r *relay) post(e *event, now time.Time) {
	e.id, e.created, e.deadline, e.acted, e.ended = uuid.NewString(), now, now.Add(writebackLife), now, make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.faults {
		f.strike(e, now)
	}
	r.add(e, now)
}

// add takes an event in and wakes waiting polls. The lock is held.
func (r *relay) add(e *event, now time.Time) {
	r.sweep(now)
	r.events = append(r.events, e)
	r.wake()
}

func (r *relay) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// sweep ends what is past its deadline and forgets what is long over. The lock is held.
func (r *relay) sweep(now time.Time) {
	for _, e := range r.events {
		if e.state == open && !now.Before(e.deadline) {
			r.end(e, expired, now)
		}
	}
	if extra := len(r.events) - eventHistory; extra > 0 {
		seen := 0
		r.events = slices.DeleteFunc(r.events, func(e *event) bool {
			seen++
			return seen <= extra && e.state != open && e.repeats == 0
		})
	}
	r.operations = r.operations[max(0, len(r.operations)-eventHistory):]
}

// end closes an event; its passwords live on only where a fault is to hand it out again. The lock is held.
func (r *relay) end(e *event, how eventState, now time.Time) {
	e.state, e.acted = how, now
	close(e.ended)
	if e.repeats > 0 {
		e.from = now.Add(e.repeatDelay)
		r.wake()
		return
	}
	e.wipe()
}

func (e *event) wipe() {
	e.oldPassword.Wipe()
	e.newPassword.Wipe()
}

// due reports whether an event is to be handed out, if not yet then from when; a zero time is never.
func (e *event) due(now time.Time) (bool, time.Time) {
	if e.state != open && e.repeats == 0 {
		return false, time.Time{}
	}
	return !now.Before(e.from), e.from
}

// take hands out what is due, as the elements of a JSON array, and returns when more will be, and a channel that is closed
// when that may be sooner.
func (r *relay) take(now time.Time, most int) (document *secret.Buffer, count int, next time.Time, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep(now)
	document = &secret.Buffer{}
	for _, e := range r.events {
		due, from := e.due(now)
		switch {
		case due && count < most:
			if count++; count > 1 {
				document.WriteString(",")
			}
			e.write(document)
			e.hand(now)
		case !from.IsZero() && (next.IsZero() || from.Before(next)):
			next = from
		}
	}
	return document, count, next, r.changed
}

func (e *event) hand(now time.Time) {
	e.handed++
	e.from = now.Add(redelivery)
	if e.state == open {
		e.acted = now
		return
	}
	if e.repeats--; e.repeats == 0 {
		e.wipe()
	}
}

// write appends the event as a poll returns it.
func (e *event) write(to *secret.Buffer) {
	plain := encode(struct {
		ID           string    `json:"id"`
		Tenant       string    `json:"tenant"`
		Installation string    `json:"installation"`
		User         string    `json:"user"`
		Op           string    `json:"op"`
		MustChange   bool      `json:"mustChange"`
		Deadline     time.Time `json:"deadline"`
	}{e.id, e.tenant, e.installation, e.user, e.op, e.mustChange, e.deadline.UTC()})
	_, _ = to.Write(plain[:len(plain)-1]) // a buffer never fails
	e.writeSecret(to, "oldPassword", e.oldPassword)
	e.writeSecret(to, "newPassword", e.newPassword)
	to.WriteString("}")
}

func (e *event) writeSecret(to *secret.Buffer, name string, v *secret.Value) {
	if v == nil {
		return
	}
	to.WriteString(`,"` + name + `":`)
	if err := to.WriteSecret(v); err != nil {
		panic("tenant: an event's password cannot be written: " + err.Error()) // it was text when it came, and is wiped only with the event
	}
}

// answer ends an event with an answer. effect is called for one that counts, before anybody hears of it.
func (r *relay) answer(id, code, message string, now time.Time, effect func(*event) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep(now)
	at := slices.IndexFunc(r.events, func(e *event) bool { return e.id == id })
	if at < 0 {
		return notFound(id)
	}
	e := r.events[at]
	switch e.state {
	case answered:
		return &Error{Status: http.StatusConflict, Code: "answered", Message: "The event was answered already."}
	case expired:
		return &Error{Status: http.StatusGone, Code: "expired", Message: "The event's deadline is past; its answer has no effect."}
	}
	if !e.forged {
		if err := effect(e); err != nil {
			return err
		}
	}
	e.code, e.message = code, message
	r.end(e, answered, now)
	return nil
}

// giveUp ends an event whose waiter is out of patience, unless it has ended.
func (r *relay) giveUp(e *event, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.state == open {
		r.end(e, expired, now)
	}
}

// outcome is how an event ended: the code of its answer, or codeUnanswered.
func (r *relay) outcome(e *event) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.state == answered {
		return e.code
	}
	return codeUnanswered
}

// operate remembers an operation, done at once or by an event.
func (r *relay) operate(user string, e *event, now time.Time) *operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := &operation{id: uuid.NewString(), user: user, created: now, event: e}
	r.operations = append(r.operations, o)
	return o
}

// operationStatus is what of an operation is told.
type operationStatus struct {
	created, acted time.Time
	status, detail string
}

// status looks an operation of a user up.
func (r *relay) status(user, id string, now time.Time) (operationStatus, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep(now)
	at := slices.IndexFunc(r.operations, func(o *operation) bool { return strings.EqualFold(o.id, id) && o.user == user })
	if at < 0 {
		return operationStatus{}, false
	}
	o := r.operations[at]
	s := operationStatus{created: o.created, acted: o.created, status: "succeeded"}
	if e := o.event; e != nil {
		s.acted = e.acted
		s.status, s.detail = e.progress()
	}
	return s, true
}

// progress is a status of Graph's longRunningOperation and what it says beside.
// See https://learn.microsoft.com/graph/api/resources/longrunningoperation.
func (e *event) progress() (status, detail string) {
	switch {
	case e.state == open && e.handed == 0:
		return "notStarted", ""
	case e.state == open:
		return "running", ""
	case e.state == answered && e.code == codeOK:
		return "succeeded", ""
	case e.state == answered:
		return "failed", e.code + ": " + portalWords[e.code].message
	}
	return "failed", codeUnanswered + ": " + portalWords[codeUnanswered].message
}
