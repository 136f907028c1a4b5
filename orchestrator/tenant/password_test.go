package tenant_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	lab "github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/tenant"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
	"github.com/tandem-sync/tandem/scoping"
)

func word(s string) *secret.Value { return secret.Take([]byte(s)) }

func (w *world) item(id, password string, number int64) cloud.CredentialItem {
	w.Helper()
	hash, err := credential.NTHash(word(password))
	if err != nil {
		w.Fatal(err)
	}
	salt := make([]byte, credential.SaltSize)
	_, _ = rand.Read(salt)
	c, err := credential.Derive(hash, salt)
	if err != nil {
		w.Fatal(err)
	}
	return cloud.CredentialItem{CloudID: id, Credential: c, ChangedAt: w.clock.now(), By: "connect", Log: "here", Number: number}
}

func (w *world) sendCredentials(items ...cloud.CredentialItem) []cloud.Result {
	w.Helper()
	r, err := w.client.SendCredentials(w.ctx, items)
	if err != nil || len(r) != len(items) {
		w.Fatalf("%d results of %d credentials: %v", len(r), len(items), err)
	}
	return r
}

func (w *world) signsIn(id, password string) bool {
	w.Helper()
	_, err := w.model.SignIn(id, word(password))
	var refused *lab.SignInError
	if err != nil && !errors.As(err, &refused) {
		w.Fatal(err)
	}
	return err == nil
}

func (w *world) people(names ...string) (ids []string) {
	w.Helper()
	for _, n := range names {
		ids = append(ids, w.done(createUser(n)))
	}
	return ids
}

func TestCredentialsBecomePasswordsAndTellWhoSentThem(t *testing.T) {
	w := newWorld(t)
	ids := w.people("ann", "bob")
	if _, found, err := w.client.Credential(w.ctx, ids[0]); found || err != nil {
		t.Fatalf("before: %v, %v", found, err)
	}
	second := w.item(ids[1], "of bob", 2)
	second.By, second.MustChange = "cloudsync", true
	first := w.item(ids[0], "of ann, \"quoted\"", 1)
	for i, r := range w.sendCredentials(first, second) {
		if r.Status != cloud.Done || r.CloudID != ids[i] {
			t.Errorf("%+v", r)
		}
	}
	if !w.signsIn(ids[0], "of ann, \"quoted\"") || w.signsIn(ids[0], "of bob") {
		t.Error("ann's password is not the one that was sent")
	}
	s, found, err := w.client.Credential(w.ctx, ids[1])
	if want := (cloud.CredentialState{ChangedAt: w.clock.now().UTC(), By: "cloudsync", MustChange: true, Log: "here", Number: 2}); err != nil || !found || s != want {
		t.Errorf("%+v, %v, %v; want %+v", s, found, err, want)
	}
	if err := first.Credential.Use(func([]byte) error { return nil }); err != nil {
		t.Errorf("the credential is the sender's still: %v", err)
	}
}

func TestEachCredentialEndsInItsOwnWay(t *testing.T) {
	w := newWorld(t)
	ids := w.people("ann", "bob")
	w.sendCredentials(w.item(ids[0], "newer", 5))
	bad := w.item(ids[1], "x", 1)
	bad.Credential = word("v1;PPH1_MD4,nonsense;")
	got := w.sendCredentials(w.item(ids[0], "older", 4), w.item("00000000-0000-4000-8000-000000000000", "x", 1), bad, w.item(ids[0], "the same number", 5), w.item(ids[1], "right", 1))
	want := []cloud.Result{{Status: cloud.Rejected, Code: cloud.CodeOlder}, {Status: cloud.Rejected, Missing: true, Code: "no-user"}, {Status: cloud.Rejected, Code: "credential"},
		{Status: cloud.Done}, {Status: cloud.Done}}
	for i, r := range got {
		if r.Status != want[i].Status || r.Code != want[i].Code || r.Missing != want[i].Missing || (r.Message == "") != (r.Status == cloud.Done) {
			t.Errorf("%d: %+v, want %+v", i, r, want[i])
		}
	}
	if !w.signsIn(ids[0], "newer") || !w.signsIn(ids[1], "right") {
		t.Error("what was refused took effect, or what was taken did not")
	}
}

func TestACallThatIsWrongSendsNothing(t *testing.T) {
	w := newWorld(t)
	ids := w.people("ann")
	w.server.ResetCounters()
	if _, err := w.client.SendCredentials(w.ctx, make([]cloud.CredentialItem, cloud.MaxCredentials+1)); err == nil {
		t.Error("51 at once")
	}
	wiped := w.item(ids[0], "x", 1)
	wiped.Credential.Wipe()
	if _, err := w.client.SendCredentials(w.ctx, []cloud.CredentialItem{wiped}); !errors.Is(err, secret.ErrWiped) {
		t.Errorf("wiped: %v", err)
	}
	if r, err := w.client.SendCredentials(w.ctx, nil); len(r) != 0 || err != nil {
		t.Errorf("none: %v, %v", r, err)
	}
	if _, n := w.server.Requests(); n.Writes != 0 {
		t.Errorf("%d writes", n.Writes)
	}
}

func TestACredentialIsSentOnceAndItsEndIsToldAsItIs(t *testing.T) {
	const path = "^/lab/credentials$"
	for name, c := range map[string]struct {
		fault  lab.Fault
		status cloud.Status
		shown  bool
	}{
		"the answer is lost":       {lab.Fault{Kind: lab.LostAfter, Path: path}, cloud.InDoubt, true},
		"the request is lost":      {lab.Fault{Kind: lab.LostBefore, Path: path}, cloud.InDoubt, false},
		"it comes later":           {lab.Fault{Kind: lab.Ghost, Path: path, DelayMillis: 3600000}, cloud.InDoubt, false},
		"throttled":                {lab.Fault{Kind: lab.Throttled, Path: path, RetryAfter: "3"}, cloud.Throttled, false},
		"unavailable":              {lab.Fault{Kind: lab.Status, Status: 503, Path: path, RetryAfter: "3"}, cloud.Throttled, false},
		"trouble after all":        {lab.Fault{Kind: lab.Status, Status: 500, Path: path, Effect: true}, cloud.InDoubt, true},
		"a proxy answers":          {lab.Fault{Kind: lab.Garbage, Path: path, Effect: true}, cloud.InDoubt, true},
		"refused whole":            {lab.Fault{Kind: lab.Status, Status: 400, Path: path}, cloud.Rejected, false},
		"a gateway loses patience": {lab.Fault{Kind: lab.Status, Status: 408, Message: "Request timeout", Path: path, Effect: true}, cloud.InDoubt, true},
		"the token is refused":     {lab.Fault{Kind: lab.Status, Status: 401, Path: path}, cloud.NotSent, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ids := w.people("ann")
			if open, err := w.client.Door(w.ctx, tenant.DoorCredentials); !open || err != nil {
				t.Fatal(open, err)
			}
			w.fault(c.fault)
			w.server.ResetCounters()
			r := w.sendCredentials(w.item(ids[0], "right", 1))[0]
			if r.Status != c.status || r.Message == "" || (r.Status == cloud.Throttled) != (r.RetryAfter == 3*time.Second) {
				t.Errorf("%+v", r)
			}
			records, _ := w.server.Requests()
			if len(records) != 1 {
				t.Errorf("sent %d times", len(records))
			}
			if s, found, err := w.client.Credential(w.ctx, ids[0]); err != nil || found != c.shown || found && s.Number != 1 {
				t.Errorf("afterwards: %+v, %v, %v", s, found, err)
			}
		})
	}
}

func TestCredentialsToATenantThatIsAwayNeverLeft(t *testing.T) {
	w := newWorld(t)
	ids := w.people("ann")
	if open, err := w.client.Door(w.ctx, tenant.DoorCredentials); !open || err != nil {
		t.Fatal(open, err)
	}
	if err := w.server.Close(); err != nil {
		t.Fatal(err)
	}
	if r := w.sendCredentials(w.item(ids[0], "right", 1))[0]; r.Status != cloud.NotSent && r.Status != cloud.InDoubt {
		t.Errorf("%+v", r) // on a connection that was open a write may have begun
	}
	if r := w.sendCredentials(w.item(ids[0], "right", 1))[0]; r.Status != cloud.NotSent {
		t.Errorf("%+v", r)
	}
}

func TestTheTenantSaysWhatItCanDo(t *testing.T) {
	w := newWorld(t)
	for _, f := range []scoping.Feature{scoping.PasswordHash, scoping.PasswordWriteback} {
		if why := w.client.Refused(w.ctx)[f]; why != "" || !w.client.Can(w.ctx, f) {
			t.Errorf("the lab refuses %s: %s", f, why)
		}
	}
	_, client := newScripted(t, func(http.ResponseWriter, *http.Request) {})
	for range 3 {
		refused := client.Refused(w.ctx)
		if !strings.Contains(refused[scoping.PasswordHash], "Entra Connect Sync or Cloud Sync send them") || !strings.Contains(refused[scoping.PasswordWriteback], "write them back") ||
			client.Can(w.ctx, scoping.PasswordHash) || !client.Can(w.ctx, scoping.Users) || refused[scoping.Users] != "" {
			t.Errorf("%v", refused)
		}
	}
	if n := client.Counters().Requests; n != 1 {
		t.Errorf("asked %d times for its doors", n)
	}
	r, err := client.SendCredentials(w.ctx, []cloud.CredentialItem{w.item("x", "x", 1)})
	if err != nil || r[0].Status != cloud.Rejected || r[0].Code != cloud.CodeImpossible {
		t.Errorf("%+v, %v", r, err)
	}
	_, _, read := client.Credential(w.ctx, "x")
	_, poll := client.PasswordEvents(w.ctx, 0)
	answer := client.AnswerPasswordEvent(w.ctx, "x", cloud.PasswordDone, "")
	for _, err := range []error{read, poll, answer} {
		if !errors.Is(err, tenant.ErrNoDoor) {
			t.Errorf("%v", err)
		}
	}
}

func TestMicrosoftsOwnCloudsAreNotAskedForDoors(t *testing.T) {
	client, err := tenant.Open(t.Context(), tenant.Config{TenantID: "t", ClientID: "c", ClientSecret: "s"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if open, err := client.Door(t.Context(), tenant.DoorCredentials); open || err != nil {
		t.Errorf("%v, %v", open, err)
	}
	if n := client.Counters().Requests; n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestATenantThatDoesNotAnswerIsAskedAgainForItsDoors(t *testing.T) {
	w := newWorld(t)
	w.fault(lab.Fault{Kind: lab.LostBefore, Path: "^/lab/$", Count: -1}) // net/http repeats a read on its own
	if why := w.client.Refused(w.ctx)[scoping.PasswordHash]; !strings.Contains(why, "could not be asked") {
		t.Errorf("%q", why)
	}
	w.server.ClearFaults("")
	if !w.client.Can(w.ctx, scoping.PasswordHash) {
		t.Error("it is remembered that no answer came")
	}
}

// asks lets a person ask the portal for something; the status comes over the channel.
func (w *world) asks(op string, body map[string]any) <-chan string {
	w.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		w.Fatal(err)
	}
	r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.server.GraphEndpoint()+"/lab/sspr/"+op, bytes.NewReader(raw))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.server.LabToken)
	out := make(chan string, 1)
	client := w.server.HTTPClient()
	go func() {
		defer client.CloseIdleConnections()
		a, err := client.Do(r)
		if err != nil {
			out <- err.Error()
			return
		}
		defer a.Body.Close()
		said, _ := io.ReadAll(a.Body)
		out <- fmt.Sprint(a.StatusCode, " ", string(said))
	}()
	return out
}

func (w *world) event() cloud.PasswordEvent {
	w.Helper()
	events, err := w.client.PasswordEvents(w.ctx, 20*time.Second)
	if err != nil || len(events) != 1 {
		w.Fatalf("%d events, %v", len(events), err)
	}
	return events[0]
}

func TestPasswordChangesComeOverTheRelayAndAreAnswered(t *testing.T) {
	w := newWorld(t)
	id := w.people("ann")[0]
	if _, err := w.client.SetMarker(w.ctx, tenant.Mark{Installation: "the-one", Incarnation: 1}); err != nil {
		t.Fatal(err)
	}
	w.sendCredentials(w.item(id, "old password", 1))
	answer := w.asks("change", map[string]any{"user": id, "oldPassword": "old password", "newPassword": "näw \"pass\" \\ word"})
	e := w.event()
	if e.ID == "" || e.Tenant != w.server.TenantID || e.Installation != "the-one" || e.CloudID != id || e.Op != cloud.ChangePassword || e.MustChange ||
		!e.Deadline.Equal(w.clock.now().Add(30*time.Second)) || !e.OldPassword.Equal(word("old password")) || !e.NewPassword.Equal(word("näw \"pass\" \\ word")) {
		t.Errorf("%+v", e)
	}
	e.Wipe()
	if err := w.client.AnswerPasswordEvent(w.ctx, e.ID, cloud.PasswordDone, "written"); err != nil {
		t.Fatal(err)
	}
	if got := <-answer; !strings.HasPrefix(got, "200") || !w.signsIn(id, "näw \"pass\" \\ word") {
		t.Error(got)
	}
	if err := w.client.AnswerPasswordEvent(w.ctx, e.ID, cloud.PasswordDone, "written"); !errors.Is(err, tenant.ErrEventAnswered) {
		t.Errorf("again: %v", err)
	}
	if err := w.client.AnswerPasswordEvent(w.ctx, "00000000-0000-4000-8000-000000000000", cloud.PasswordDone, ""); !errors.Is(err, tenant.ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
	answer = w.asks("unlock", map[string]any{"user": id})
	e = w.event()
	if e.Op != cloud.UnlockAccount || e.OldPassword != nil || e.NewPassword != nil {
		t.Errorf("%+v", e)
	}
	if err := w.client.AnswerPasswordEvent(w.ctx, e.ID, cloud.PasswordNoAgent, "none is connected"); err != nil {
		t.Fatal(err)
	}
	if got := <-answer; !strings.HasPrefix(got, "409") || !strings.Contains(got, "no-agent") {
		t.Error(got)
	}
	late := -1000
	if _, err := w.server.AddWritebackFault(lab.WritebackFault{Kind: "forge", User: id, NewPassword: "x", DeadlineMillis: &late}); err != nil {
		t.Fatal(err)
	}
	if err := w.client.AnswerPasswordEvent(w.ctx, w.event().ID, cloud.PasswordDone, ""); !errors.Is(err, tenant.ErrEventExpired) {
		t.Errorf("late: %v", err)
	}
}

func TestEveryAnswerIsOneThatTheTenantKnows(t *testing.T) {
	w := newWorld(t)
	for _, a := range []cloud.PasswordAnswer{cloud.PasswordDone, cloud.PasswordHistory, cloud.PasswordLength, cloud.PasswordComplexity, cloud.PasswordMinimumAge, cloud.PasswordWrongOld,
		cloud.PasswordNotAllowed, cloud.PasswordNotInScope, cloud.PasswordNoAgent, cloud.PasswordStopped, cloud.PasswordBusy, cloud.PasswordInDoubt, cloud.PasswordFailed} {
		id, err := w.server.AddWritebackFault(lab.WritebackFault{Kind: "forge", User: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.client.AnswerPasswordEvent(w.ctx, id, a, ""); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	var e *tenant.GraphError
	if err := w.client.AnswerPasswordEvent(w.ctx, "x", "perhaps", ""); !errors.As(err, &e) || e.HTTP != 400 {
		t.Errorf("%v", err)
	}
}

func TestAnAnswerWhoseAnswerIsLostHasBeenGiven(t *testing.T) {
	w := newWorld(t)
	for _, f := range []lab.Fault{{Kind: lab.LostAfter, Path: "^/lab/writeback/"}, {Kind: lab.LostBefore, Path: "^/lab/writeback/"}, {Kind: lab.Throttled, Path: "^/lab/writeback/", RetryAfter: "1"},
		{Kind: lab.Status, Status: 500, Effect: true, Path: "^/lab/writeback/"}} {
		id, err := w.server.AddWritebackFault(lab.WritebackFault{Kind: "forge", User: "x"})
		if err != nil {
			t.Fatal(err)
		}
		w.fault(f)
		if err := w.client.AnswerPasswordEvent(w.ctx, id, cloud.PasswordHistory, ""); err != nil {
			t.Errorf("%s: %v", f.Kind, err)
		}
	}
	for _, e := range w.server.WritebackEvents() {
		if e.Code != "history" {
			t.Errorf("%+v", e)
		}
	}
}

func TestAPollEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	if events, err := w.client.PasswordEvents(w.ctx, 0); err != nil || len(events) != 0 {
		t.Fatal(events, err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan error, 1)
	go func() { _, err := w.client.PasswordEvents(ctx, time.Minute); done <- err }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestNeitherLogNorErrorsShowASecret(t *testing.T) {
	w := newWorld(t)
	var out bytes.Buffer
	w.client = w.open(func(c *tenant.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	id := w.people("ann")[0]
	item, password := w.item(id, "x", 1), "correct horse battery staple"
	var text []byte
	if err := item.Credential.Use(func(b []byte) error { text = bytes.Clone(b); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, f := range []lab.Fault{{Kind: lab.LostAfter}, {Kind: lab.Throttled}, {Kind: lab.Garbage}, {Kind: lab.Garbage, Body: string(text)}, {Kind: lab.Status, Status: 400}} {
		f.Path = "^/lab/credentials$"
		w.fault(f)
		fmt.Fprintf(&out, "%+v\n", w.sendCredentials(item))
	}
	fmt.Fprintf(&out, "%+v %#v %v\n", item, item, item)
	if _, err := w.server.AddWritebackFault(lab.WritebackFault{Kind: "forge", User: id, NewPassword: password}); err != nil {
		t.Fatal(err)
	}
	for _, f := range []lab.Fault{{Kind: lab.Throttled}, {Kind: lab.Garbage, Body: `{"events":[{"id":1,"newPassword":"` + password + `"}]}`}} {
		f.Path = "^/lab/writeback"
		w.fault(f)
	}
	_, err := w.client.PasswordEvents(w.ctx, 0)
	if !errors.Is(err, tenant.ErrGarbage) {
		t.Errorf("%v", err)
	}
	e := w.event()
	fmt.Fprintf(&out, "%v %+v %#v\n", err, e, e)
	if out.Len() < 1000 {
		t.Errorf("only this came out: %s", &out)
	}
	secrettest.Absent(t, out.Bytes(), text, text[12:32], []byte(password))
}

// late closes the body of a request only when it is told to, as net/http may after the answer.
type late struct{ body io.Closer }

func (l *late) RoundTrip(r *http.Request) (*http.Response, error) {
	l.body = r.Body
	return &http.Response{StatusCode: http.StatusOK}, nil
}

func TestABodyIsHeldUntilNobodyReadsIt(t *testing.T) {
	ctx, released := tenant.GuardBody(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://lab.test", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	l := &late{}
	if _, err := l.RoundTrip(tenant.Watch(r)); err != nil {
		t.Fatal(err)
	}
	free := make(chan struct{})
	go func() { released(); close(free) }()
	select {
	case <-free:
		t.Fatal("the body was let go while it may be read")
	default:
	}
	for range 2 { // closing twice is allowed
		if err := l.body.Close(); err != nil {
			t.Fatal(err)
		}
	}
	<-free
	plain, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://lab.test", strings.NewReader("x"))
	if tenant.Watch(plain) != plain {
		t.Error("a body without a guard is watched")
	}
	_, released = tenant.GuardBody(t.Context())
	released() // nothing was sent
}
