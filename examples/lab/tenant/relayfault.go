package tenant

import (
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// WritebackFault is an order for the relay to misbehave.
//
//   - repeat: the next Count events are handed out Times more after they have ended, DelayMillis after that;
//   - delay: the next Count events are handed out DelayMillis late, their deadlines being what they are;
//   - forge: an event that no person asked for is posted now, with the fields given. Fields that are not given are right: tenant,
//     installation, a new id, a deadline that lies DeadlineMillis ahead (30 s). An id that was used before makes it a replay.
//     Its answer has no effect; for a replay it is the original's.
type WritebackFault struct {
	Kind        string `json:"kind"`
	Count       int    `json:"count,omitempty"` // 0 is 1
	Times       int    `json:"times,omitempty"` // 0 is 1
	DelayMillis int    `json:"delayMillis,omitempty"`

	ID             string  `json:"id,omitempty"`
	Tenant         string  `json:"tenant,omitempty"`
	Installation   *string `json:"installation,omitempty"` // may be given as empty
	User           string  `json:"user,omitempty"`
	Op             string  `json:"op,omitempty"` // default reset
	OldPassword    string  `json:"oldPassword,omitempty"`
	NewPassword    string  `json:"newPassword,omitempty"`
	MustChange     bool    `json:"mustChange,omitempty"`
	DeadlineMillis *int    `json:"deadlineMillis,omitempty"` // from now; negative lies in the past
}

// The kinds.
const (
	repeatEvents = "repeat"
	delayEvents  = "delay"
	forgeEvent   = "forge"
)

type standingWritebackFault struct {
	WritebackFault
	left int
}

// strike changes an event that is being posted, while the fault lasts.
func (f *standingWritebackFault) strike(e *event, now time.Time) {
	if f.left == 0 {
		return
	}
	f.left--
	delay := time.Duration(f.DelayMillis) * time.Millisecond
	if f.Kind == delayEvents {
		e.from = now.Add(delay)
		return
	}
	e.repeats, e.repeatDelay = max(1, f.Times), delay
}

// misbehave puts a fault in force, or its event on the relay.
func (f *front) misbehave(w WritebackFault) (id string, err error) {
	if !slices.Contains([]string{repeatEvents, delayEvents, forgeEvent}, w.Kind) || w.Count < 0 || w.Times < 0 || w.DelayMillis < 0 {
		return "", badRequest("A fault of the relay is of kind repeat, delay or forge, and its numbers are not negative.")
	}
	now := f.model.now()
	var e *event
	if w.Kind == forgeEvent {
		if e, err = f.forged(w, now); err != nil {
			return "", err
		}
	}
	f.relay.mu.Lock()
	defer f.relay.mu.Unlock()
	if e != nil {
		f.relay.add(e, now)
		return e.id, nil
	}
	f.relay.faults = append(f.relay.faults, &standingWritebackFault{w, max(1, w.Count)})
	return "", nil
}

func (f *front) forged(w WritebackFault, now time.Time) (*event, error) {
	e := &event{id: w.ID, tenant: w.Tenant, installation: f.model.installation(f.clientID), user: w.User, op: w.Op, mustChange: w.MustChange,
		created: now, acted: now, deadline: now.Add(writebackLife), ended: make(chan struct{}), forged: true}
	if e.id == "" {
		e.id = uuid.NewString()
	}
	if e.tenant == "" {
		e.tenant = f.tenantID
	}
	if w.Installation != nil {
		e.installation = *w.Installation
	}
	if e.op == "" {
		e.op = opReset
	}
	if !slices.Contains([]string{opReset, opChange, opUnlock}, e.op) {
		return nil, badRequest("An event's op is reset, change or unlock.")
	}
	if w.OldPassword != "" {
		e.oldPassword = secret.Take([]byte(w.OldPassword))
	}
	if w.NewPassword != "" {
		e.newPassword = secret.Take([]byte(w.NewPassword))
	}
	if w.DeadlineMillis != nil {
		e.deadline = now.Add(time.Duration(*w.DeadlineMillis) * time.Millisecond)
	}
	if !now.Before(e.deadline) {
		e.repeats = max(1, w.Times) // else it would never be handed out
	}
	return e, nil
}

// EventRecord describes an event without its passwords.
type EventRecord struct {
	ID         string    `json:"id"`
	User       string    `json:"user"`
	Op         string    `json:"op"`
	MustChange bool      `json:"mustChange"`
	Created    time.Time `json:"created"`
	Deadline   time.Time `json:"deadline"`
	Handed     int       `json:"handed"`  // how often it was handed out
	State      string    `json:"state"`   // open, answered or expired
	Code       string    `json:"code"`    // of the answer
	Message    string    `json:"message"` // of the answer
	Forged     bool      `json:"forged,omitempty"`
}

func (r *relay) records(now time.Time) []EventRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep(now)
	out := []EventRecord{}
	for _, e := range r.events {
		state := map[eventState]string{open: "open", answered: "answered", expired: "expired"}[e.state]
		out = append(out, EventRecord{e.id, e.user, e.op, e.mustChange, e.created, e.deadline, e.handed, state, e.code, e.message, e.forged})
	}
	return out
}

// WritebackEvents lists the relay's events, oldest first, without their passwords.
func (s *Server) WritebackEvents() []EventRecord { return s.front.relay.records(s.front.model.now()) }

// AddWritebackFault lets the relay misbehave; of a forged event it returns the id.
func (s *Server) AddWritebackFault(f WritebackFault) (id string, err error) {
	return s.front.misbehave(f)
}

func labWritebackFault(f *front, _ *http.Request, _ string, body []byte) (any, error) {
	var w WritebackFault
	if err := readSecrets(body, &w); err != nil {
		return nil, err
	}
	id, err := f.misbehave(w)
	return map[string]any{"id": id}, err
}

func labClearWritebackFaults(f *front, _ *http.Request, _ string, _ []byte) (any, error) {
	f.relay.mu.Lock()
	defer f.relay.mu.Unlock()
	f.relay.faults = nil
	return nil, nil
}
