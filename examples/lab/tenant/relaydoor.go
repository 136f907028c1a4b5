package tenant

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/secret"
)

// pollWriteback answers with the events that are due, or waits for some for up to the given seconds.
func pollWriteback(f *front, c *call) (reply, error) {
	patience, err := patienceOf(c)
	if err != nil {
		return reply{}, err
	}
	if c.ghost {
		patience = 0 // what it takes reaches no client, and another request waits for it
	}
	for until := f.model.now().Add(patience); ; {
		now := f.model.now()
		events, count, next, changed := f.relay.take(now, pollEvents)
		if count > 0 || !now.Before(until) || c.ctx.Err() != nil {
			return eventsReply(events), nil
		}
		sleep := until.Sub(now)
		if !next.IsZero() && next.Sub(now) < sleep {
			sleep = next.Sub(now)
		}
		select {
		case <-c.ctx.Done():
		case <-changed:
		case <-f.relay.after(sleep):
		}
	}
}

func patienceOf(c *call) (time.Duration, error) {
	text := c.query.Get("wait")
	if text == "" {
		return 0, nil
	}
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 0 {
		return 0, plainBadRequest("wait is a number of seconds.")
	}
	return min(time.Duration(seconds)*time.Second, pollLimit), nil
}

func eventsReply(events *secret.Buffer) reply {
	defer events.Wipe()
	raw := make([]byte, 0, len(events.Bytes())+16)
	raw = append(raw, `{"events":[`...)
	raw = append(raw, events.Bytes()...)
	return reply{status: http.StatusOK, raw: append(raw, `]}`...)}
}

func answerWriteback(f *front, c *call) (reply, error) {
	var in struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	if err := readSecrets(c.body, &in); err != nil {
		return reply{}, err
	}
	if _, known := portalWords[in.Code]; !known || in.Code == codeUnanswered {
		return reply{}, plainBadRequest("The code is none that answers an event.")
	}
	return answer(f.relay.answer(strings.ToLower(c.args[0]), in.Code, in.Message, f.model.now(), func(e *event) error {
		if in.Code != codeOK {
			return nil
		}
		return f.model.writtenBack(e.user, e.newPassword, e.mustChange)
	}))
}

// writtenBack makes a password that the directory has taken the user's, and ends the tenant's lock-out. A user who was
// deleted meanwhile gets it as well, for a restore.
func (m *Model) writtenBack(user string, password *secret.Value, mustChange bool) error {
	var k kept
	if password != nil {
		c, err := derive(m.opts.Salts, password, credential.Iterations)
		if err != nil {
			return err
		}
		k = kept{credential: c, mustChange: mustChange, by: byWriteback}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.objects[user]
	switch {
	case o == nil || o.latest().life == purged:
		k.credential.Wipe()
	case password == nil:
		o.passwords.wrong, o.passwords.locked = 0, time.Time{}
	default:
		k.stored, k.changed = m.now(), m.now()
		o.passwords.upload(k)
	}
	return nil
}

// installationTag begins the tag of the application's service principal that names which installation feeds the tenant.
const installationTag = "TandemInstallation:"

// installation is the installation that the mark in the tenant names, "" without one.
func (m *Model) installation(appID string) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, o := range m.lookup(ServicePrincipal, "appId", appID, m.head()) {
		for _, tag := range texts(o.latest().props["tags"]) {
			if rest, ok := strings.CutPrefix(tag, installationTag); ok {
				if i := strings.LastIndexByte(rest, ':'); i >= 0 {
					rest = rest[:i]
				}
				return rest
			}
		}
	}
	return ""
}
