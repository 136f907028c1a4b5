package tenant_test

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/plugins/secret"
)

// staff is a tenant with a user of a directory, one of its own, and an administrator who has signed in.
type staff struct {
	*world
	ann, bob    string
	admin, self string // the administrator's token and id
}

func newStaff(t *testing.T) *staff {
	t.Helper()
	s := &staff{world: newWorld(t)}
	s.ann, s.bob = s.plain("ann", "onPremisesImmutableId", "QUJD"), s.plain("bob")
	s.upload(s.item(s.ann, "old password", 1))
	o, err := s.model.AddAdministrator("admin@contoso.test", "Admin", secret.Take([]byte("Correct-Horse-1")))
	if err != nil {
		t.Fatal(err)
	}
	s.self = o.ID
	s.admin, _ = s.personally("admin@contoso.test", "Correct-Horse-1")
	return s
}

// poll asks the relay as the application.
func (w *world) poll() []map[string]any {
	w.t.Helper()
	out := []map[string]any{}
	for _, e := range w.do(200, "GET", w.door("/writeback"), nil)["events"].([]any) {
		out = append(out, e.(map[string]any))
	}
	return out
}

// posted waits until so many events were posted.
func (w *world) posted(n int) {
	for len(w.server.WritebackEvents()) < n {
		runtime.Gosched()
	}
}

// one waits for one event.
func (w *world) one() map[string]any {
	w.t.Helper()
	events := w.do(200, "GET", w.door("/writeback?wait=30"), nil)["events"].([]any)
	if len(events) != 1 {
		w.t.Fatalf("%d events", len(events))
	}
	return events[0].(map[string]any)
}

func (w *world) answerEvent(want int, id any, code string) map[string]any {
	w.t.Helper()
	return w.do(want, "POST", w.door("/writeback/"+id.(string)), map[string]any{"code": code, "message": "for the journal"})
}

// asking calls the portal without waiting; the answer comes over the channel as status and code.
func (w *world) asking(op string, body map[string]any) <-chan string {
	out := make(chan string, 1)
	go func() {
		resp, err := w.send("POST", w.door("/sspr/"+op), body, "Authorization", "Bearer "+w.server.LabToken)
		if err != nil {
			out <- err.Error()
			return
		}
		e, _ := decoded(w.t, resp)["error"].(map[string]any)
		out <- strings.TrimSpace(fmt.Sprintf("%d %v", resp.StatusCode, strings.ReplaceAll(fmt.Sprint(e["code"], "|", e["message"]), "<nil>", "")))
	}()
	return out
}

func (w *world) answered(answer <-chan string, want string) string {
	w.t.Helper()
	got := <-answer
	if !strings.HasPrefix(got, want) {
		w.t.Errorf("the portal answers %q, want %q", got, want)
	}
	return got
}

func TestAResetInThePortalGoesOverTheRelayAndIsStoredWhenTheDirectoryTookIt(t *testing.T) {
	s := newStaff(t)
	s.do(204, "PATCH", "/servicePrincipals(appId='"+s.server.ClientID+"')", map[string]any{"tags": []string{"other", "TandemInstallation:the-one:3", "TandemHost:x"}})
	answer := s.asking("reset", map[string]any{"user": "ann@contoso.test", "newPassword": "näw \"one\" \\ 1"})
	e := s.one()
	for field, want := range map[string]any{"tenant": s.server.TenantID, "installation": "the-one", "user": s.ann, "op": "reset", "newPassword": "näw \"one\" \\ 1",
		"mustChange": false, "oldPassword": nil, "deadline": s.clock.now().Add(30 * time.Second).Format(time.RFC3339)} {
		if e[field] != want {
			t.Errorf("%s: %v, want %v", field, e[field], want)
		}
	}
	s.signsIn(0, "ann@contoso.test", "old password")
	s.answerEvent(204, e["id"], "ok")
	s.answered(answer, "200")
	s.signsIn(0, "ann@contoso.test", "näw \"one\" \\ 1")
	s.signsIn(50126, "ann@contoso.test", "old password")
	if got := s.lab(200, "GET", "/credentials/"+s.ann, nil); got["by"] != "writeback" || got["mustChange"] != false || got["changedAt"] != s.clock.now().Format(time.RFC3339) {
		t.Errorf("credential: %v", got)
	}
	if got := s.upload(s.item(s.ann, "the hash follows", 2)); got != "200 ok" {
		t.Error(got)
	}
	s.signsIn(0, "ann@contoso.test", "the hash follows")
}

func TestAChangeIsCheckedByTheTenantBeforeItGoesOut(t *testing.T) {
	s := newStaff(t)
	change := func(old string) map[string]any {
		return map[string]any{"user": s.ann, "oldPassword": old, "newPassword": "new password"}
	}
	for range 10 {
		s.answered(s.asking("change", change("wrong")), "400 wrong-old-password|")
	}
	s.answered(s.asking("change", change("old password")), "403 locked|")
	s.signsIn(50053, "ann@contoso.test", "old password") // one count for both
	if got := s.server.WritebackEvents(); len(got) != 0 {
		t.Fatalf("events: %v", got)
	}
	s.clock.pass(time.Minute)
	s.upload(s.item(s.ann, "temporary", 2, "mustChange", true))
	answer := s.asking("change", change("temporary"))
	e := s.one()
	if e["op"] != "change" || e["oldPassword"] != "temporary" || e["newPassword"] != "new password" || e["mustChange"] != false || e["installation"] != "" {
		t.Errorf("event: %v", e)
	}
	s.answerEvent(204, e["id"], "ok")
	s.answered(answer, "200")
	s.signsIn(0, "ann@contoso.test", "new password")
}

func TestRefusalsReachTheUserAsWhatTheyAre(t *testing.T) {
	s := newStaff(t)
	for code, want := range map[string]string{
		"history": "400 history|You have used this password before", "length": "400 length|This password is shorter", "complexity": "400 complexity|This password is too easy",
		"minimum-age": "400 minimum-age|Your password was changed too recently", "wrong-old-password": "400 wrong-old-password|Your current password is wrong",
		"not-allowed": "403 not-allowed|Your password can't be changed here", "not-in-scope": "403 not-in-scope|Your password can't be changed here",
		"no-agent": "409 no-agent|Your organization's directory can't take the change", "stopped": "409 stopped|", "busy": "409 busy|", "failed": "409 failed|",
		"in-doubt": "408 in-doubt|Your password may have been changed. Try to sign in with the new password first",
	} {
		t.Run(code, func(t *testing.T) {
			answer := s.asking("reset", map[string]any{"user": s.ann, "newPassword": "new password"})
			s.answerEvent(204, s.one()["id"], code)
			if got := s.answered(answer, want); strings.Contains(got, "for the journal") {
				t.Errorf("the user reads the journal's words: %s", got)
			}
			s.signsIn(0, "ann@contoso.test", "old password")
		})
	}
	s.refused(400, "BadRequest", "code", "POST", s.door("/writeback/"+s.ann), map[string]any{"code": "perhaps"})
	s.refused(400, "BadRequest", "code", "POST", s.door("/writeback/"+s.ann), map[string]any{"code": "unanswered"})
	if log := s.server.WritebackEvents(); len(log) != 12 || log[0].Message != "for the journal" || log[0].State != "answered" || log[0].Handed != 1 {
		t.Errorf("log: %+v", log)
	}
}

func TestAnEventWithoutAnAnswerMayHaveHappened(t *testing.T) {
	s := newStaff(t)
	answer := s.asking("reset", map[string]any{"user": s.ann, "newPassword": "new password"})
	e := s.one()
	s.clock.pass(30 * time.Second)
	s.answered(answer, "408 unanswered|Your password may have been changed. Try to sign in with the new password first")
	s.answerEvent(410, e["id"], "ok")
	s.signsIn(0, "ann@contoso.test", "old password")
	if got := s.poll(); len(got) != 0 {
		t.Errorf("after its deadline: %v", got)
	}
	s.answerEvent(404, "00000000-0000-4000-8000-000000000000", "ok")
}

func TestEventsAreHandedOutAgainUntilTheFirstAnswer(t *testing.T) {
	s := newStaff(t)
	answer := s.asking("reset", map[string]any{"user": s.ann, "newPassword": "new password"})
	id := s.one()["id"]
	if got := s.poll(); len(got) != 0 {
		t.Errorf("at once: %v", got)
	}
	s.clock.pass(10 * time.Second)
	if got := s.poll(); len(got) != 1 || got[0]["id"] != id || got[0]["newPassword"] != "new password" {
		t.Errorf("after 10 s: %v", got)
	}
	s.answerEvent(204, id, "ok")
	s.answered(answer, "200")
	s.answerEvent(409, id, "history")
	s.signsIn(0, "ann@contoso.test", "new password")
	s.clock.pass(10 * time.Second)
	if got := s.poll(); len(got) != 0 {
		t.Errorf("after its answer: %v", got)
	}
}

func TestAPollWaitsForEvents(t *testing.T) {
	s := newStaff(t)
	got := make(chan int, 1)
	go func() { got <- len(s.do(200, "GET", s.door("/writeback?wait=20"), nil)["events"].([]any)) }()
	answer := s.asking("unlock", map[string]any{"user": s.ann})
	if n := <-got; n != 1 {
		t.Errorf("%d events", n)
	}
	id := s.server.WritebackEvents()[0].ID
	s.answerEvent(204, id, "ok")
	s.answered(answer, "200")
	for _, bad := range []string{"x", "-1", "1.5"} {
		s.refused(400, "BadRequest", "wait", "GET", s.door("/writeback?wait="+bad), nil)
	}
	go func() { got <- len(s.do(200, "GET", s.door("/writeback?wait=5"), nil)["events"].([]any)) }()
	s.clock.passAwaited(5 * time.Second)
	if n := <-got; n != 0 {
		t.Errorf("%d events", n)
	}
	var answers []<-chan string
	for range 31 {
		answers = append(answers, s.asking("unlock", map[string]any{"user": s.ann}))
	}
	s.posted(32)
	first, second := s.poll(), s.poll()
	if len(first) != 30 || len(second) != 1 {
		t.Errorf("%d and %d events", len(first), len(second))
	}
	for _, e := range append(first, second...) {
		s.answerEvent(204, e["id"], "ok")
	}
	for _, a := range answers {
		s.answered(a, "200")
	}
}

func TestUnlockEndsTheTenantsLockoutToo(t *testing.T) {
	s := newStaff(t)
	for range 10 {
		s.signsIn(50126, "ann@contoso.test", "wrong")
		s.signsIn(50126, "bob@contoso.test", "wrong")
	}
	answer := s.asking("unlock", map[string]any{"user": s.ann})
	e := s.one()
	if e["op"] != "unlock" || e["newPassword"] != nil || e["oldPassword"] != nil {
		t.Errorf("event: %v", e)
	}
	s.signsIn(50053, "ann@contoso.test", "old password")
	s.answerEvent(204, e["id"], "ok")
	s.answered(answer, "200")
	s.signsIn(0, "ann@contoso.test", "old password")
	s.signsIn(50053, "bob@contoso.test", "Passw0rd!bob")
	s.lab(200, "POST", "/sspr/unlock", map[string]any{"user": s.bob}) // a user of the tenant's own: no event
	s.signsIn(0, "bob@contoso.test", "Passw0rd!bob")
}

func TestUsersOfTheTenantsOwnAreServedAtOnce(t *testing.T) {
	s := newStaff(t)
	s.lab(200, "POST", "/sspr/change", map[string]any{"user": s.bob, "oldPassword": "Passw0rd!bob", "newPassword": "Another-One1"})
	s.signsIn(0, "bob@contoso.test", "Another-One1")
	s.lab(200, "POST", "/sspr/reset", map[string]any{"user": "bob@contoso.test", "newPassword": "And-A-Third1"})
	s.signsIn(0, "bob@contoso.test", "And-A-Third1")
	s.lab(400, "POST", "/sspr/reset", map[string]any{"user": s.bob, "newPassword": "weak"})
	if n := len(s.server.WritebackEvents()); n != 0 {
		t.Errorf("%d events", n)
	}
}

func TestThePortalRefusesWhatItCannotDo(t *testing.T) {
	s := newStaff(t)
	for name, c := range map[string]struct {
		status int
		op     string
		body   map[string]any
	}{
		"unknown user": {404, "reset", map[string]any{"user": "nobody@contoso.test", "newPassword": "x"}}, "no old password": {400, "change", map[string]any{"user": s.ann, "newPassword": "x"}},
		"old password too many": {400, "reset", map[string]any{"user": s.ann, "oldPassword": "x", "newPassword": "x"}}, "no password": {400, "reset", map[string]any{"user": s.ann}},
		"empty": {400, "reset", map[string]any{"user": s.ann, "newPassword": ""}}, "endless": {400, "reset", map[string]any{"user": s.ann, "newPassword": strings.Repeat("x", 1025)}},
		"number": {400, "reset", map[string]any{"user": s.ann, "newPassword": 12345678}}, "password to unlock": {400, "unlock", map[string]any{"user": s.ann, "newPassword": "x"}},
		"another op": {404, "delete", map[string]any{"user": s.ann}}, "another field": {400, "unlock", map[string]any{"user": s.ann, "colour": "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			if e := s.lab(c.status, "POST", "/sspr/"+c.op, c.body)["error"].(map[string]any); e["message"] == "" || strings.Contains(fmt.Sprint(e), "12345678") {
				t.Errorf("%v", e)
			}
		})
	}
	s.do(204, "PATCH", "/users/"+s.ann, map[string]any{"accountEnabled": false})
	s.lab(403, "POST", "/sspr/reset", map[string]any{"user": s.ann, "newPassword": "new password"})
	s.refused(401, "InvalidAuthenticationToken", "", "POST", s.door("/sspr/unlock"), map[string]any{"user": s.ann}) // it is the lab's, not the application's
}

func (s *staff) reset(want int, user string, body any, token string) *http.Response {
	s.t.Helper()
	resp, err := s.send("POST", "/users/"+user+"/authentication/methods/28c10230-6103-485e-b985-444c60001490/resetPassword", body, "Authorization", "Bearer "+token)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode != want {
		s.t.Fatalf("resetting %s: %d %v", user, resp.StatusCode, decoded(s.t, resp))
	}
	return resp
}

// operation reads the operation that a reset's Location names.
func (s *staff) operation(location string) string {
	s.t.Helper()
	o := s.do(200, "GET", location, nil, "Authorization", "Bearer "+s.admin)
	if o["createdDateTime"] == nil || o["lastActionDateTime"] == nil || !strings.HasSuffix(location, o["id"].(string)) {
		s.t.Errorf("operation: %v", o)
	}
	return strings.TrimSpace(fmt.Sprint(o["status"], " ", o["statusDetail"]))
}

func TestAnAdministratorsResetGoesOverTheRelayAndMustBeChanged(t *testing.T) {
	s := newStaff(t)
	resp := s.reset(202, "ann@contoso.test", map[string]any{"newPassword": "Temporary-1"}, s.admin)
	at := resp.Header.Get("Location")
	if body := decoded(t, resp); body["newPassword"] != nil || !strings.HasPrefix(at, s.server.GraphEndpoint()+"/v1.0/users/"+s.ann+"/authentication/operations/") {
		t.Errorf("%s %v", at, body)
	}
	if got := s.operation(at); got != "notStarted" {
		t.Error(got)
	}
	e := s.one()
	if e["op"] != "reset" || e["mustChange"] != true || e["newPassword"] != "Temporary-1" {
		t.Errorf("event: %v", e)
	}
	if got := s.operation(at); got != "running" {
		t.Error(got)
	}
	s.answerEvent(204, e["id"], "ok")
	if got := s.operation(at); got != "succeeded" {
		t.Error(got)
	}
	s.signsIn(50055, "ann@contoso.test", "Temporary-1")
	failed := s.reset(202, s.ann, map[string]any{"newPassword": "Temporary-2"}, s.admin).Header.Get("Location")
	s.answerEvent(204, s.one()["id"], "history")
	if got := s.operation(failed); !strings.HasPrefix(got, "failed history: ") {
		t.Error(got)
	}
	silent := s.reset(202, s.ann, map[string]any{"newPassword": "Temporary-3"}, s.admin).Header.Get("Location")
	s.clock.pass(30 * time.Second)
	if got := s.operation(silent); !strings.HasPrefix(got, "failed unanswered: Your password may have been changed") {
		t.Error(got)
	}
	s.signsIn(50055, "ann@contoso.test", "Temporary-1")
}

func TestAResetOfAUserOfTheTenantsOwnIsDoneAtOnce(t *testing.T) {
	s := newStaff(t)
	at := s.reset(202, s.bob, map[string]any{"newPassword": "Temporary-1"}, s.admin).Header.Get("Location")
	if got := s.operation(at); got != "succeeded" {
		t.Error(got)
	}
	s.signsIn(50055, "bob@contoso.test", "Temporary-1")
	made := decoded(t, s.reset(202, s.bob, nil, s.admin))["newPassword"].(string)
	s.signsIn(50055, "bob@contoso.test", made)
	s.upload(s.item(s.bob, "uploaded", 1))
	s.reset(202, s.bob, map[string]any{"newPassword": "Temporary-2"}, s.admin)
	s.signsIn(50055, "bob@contoso.test", "Temporary-2")
	if n := len(s.server.WritebackEvents()); n != 0 {
		t.Errorf("%d events", n)
	}
	s.reset(400, s.bob, map[string]any{"newPassword": "weak"}, s.admin)
	s.reset(400, s.ann, nil, s.admin) // a directory's passwords are not made up by the tenant
	s.reset(404, "nobody@contoso.test", map[string]any{"newPassword": "Temporary-1"}, s.admin)
}

func TestOnlyAPersonWithTheRoleResetsOthersPasswords(t *testing.T) {
	s := newStaff(t)
	body := map[string]any{"newPassword": "Temporary-1"}
	s.reset(403, s.bob, body, s.token)
	s.reset(403, s.self, body, s.admin)
	plain, _ := s.personally("bob@contoso.test", "Passw0rd!bob")
	s.reset(403, s.ann, body, plain)
	at := s.reset(202, s.ann, body, s.admin).Header.Get("Location")
	for _, token := range []string{plain, s.token} {
		s.refused(403, "Authorization_RequestDenied", "", "GET", at, nil, "Authorization", "Bearer "+token)
	}
	s.refused(404, "Request_ResourceNotFound", "", "GET", strings.Replace(at, s.ann, s.bob, 1), nil, "Authorization", "Bearer "+s.admin)
	role := s.group("admins", "isAssignableToRole", true)
	s.do(204, "POST", "/groups/"+role+"/members/$ref", s.link(s.ann))
	s.lab(200, "POST", "/roles", map[string]any{"principalId": role, "roleId": "88d8e3e3-8f55-4a1e-953a-9b9898b8876b"})
	s.reset(403, s.ann, body, s.admin) // who has a role needs a stronger one
	s.lab(200, "POST", "/roles", map[string]any{"principalId": s.self, "roleId": tenant.GlobalAdministrator})
	s.reset(202, s.ann, body, s.admin)
}

func TestTheRelayMisbehavesWhenTold(t *testing.T) {
	s := newStaff(t)
	s.lab(200, "POST", "/writeback-faults", map[string]any{"kind": "repeat", "times": 2, "delayMillis": 60000})
	answer := s.asking("reset", map[string]any{"user": s.ann, "newPassword": "new password"})
	id := s.one()["id"]
	s.answerEvent(204, id, "ok")
	s.answered(answer, "200")
	if got := s.poll(); len(got) != 0 {
		t.Errorf("too early: %v", got)
	}
	for range 2 {
		s.clock.pass(time.Minute)
		if got := s.poll(); len(got) != 1 || got[0]["id"] != id || got[0]["newPassword"] != "new password" {
			t.Errorf("repeated: %v", got)
		}
		s.answerEvent(409, id, "ok")
	}
	s.clock.pass(time.Minute)
	if got := s.poll(); len(got) != 0 {
		t.Errorf("repeated too often: %v", got)
	}
	s.lab(200, "POST", "/writeback-faults", map[string]any{"kind": "delay", "delayMillis": 29000})
	answer = s.asking("reset", map[string]any{"user": s.ann, "newPassword": "late password"})
	s.posted(2)
	if got := s.poll(); len(got) != 0 {
		t.Errorf("not delayed: %v", got)
	}
	s.clock.pass(29 * time.Second)
	late := s.poll()
	if len(late) != 1 || late[0]["deadline"] != s.clock.now().Add(time.Second).Format(time.RFC3339) {
		t.Fatalf("late: %v", late)
	}
	s.answerEvent(204, late[0]["id"], "ok")
	s.answered(answer, "200")
	s.lab(200, "POST", "/writeback-faults", map[string]any{"kind": "delay", "count": 5, "delayMillis": 1000})
	s.lab(204, "DELETE", "/writeback-faults", nil)
	answer = s.asking("unlock", map[string]any{"user": s.ann})
	s.answerEvent(204, s.one()["id"], "ok")
	s.answered(answer, "200")
	s.lab(400, "POST", "/writeback-faults", map[string]any{"kind": "gremlin"})
	s.lab(400, "POST", "/writeback-faults", map[string]any{"kind": "forge", "op": "delete"})
}

func TestForgedEventsHaveNoEffectWhateverTheyAreAnswered(t *testing.T) {
	s := newStaff(t)
	forge := func(more ...any) map[string]any {
		body := map[string]any{"kind": "forge", "user": s.ann, "newPassword": "Forged-Passw0rd"}
		for i := 0; i+1 < len(more); i += 2 {
			body[more[i].(string)] = more[i+1]
		}
		s.lab(200, "POST", "/writeback-faults", body)
		return s.one()
	}
	other := forge("tenant", "another", "installation", "strange")
	if other["tenant"] != "another" || other["installation"] != "strange" || other["newPassword"] != "Forged-Passw0rd" || other["op"] != "reset" {
		t.Errorf("%v", other)
	}
	s.answerEvent(204, other["id"], "ok")
	s.signsIn(0, "ann@contoso.test", "old password")
	late := forge("deadlineMillis", -1000)
	s.answerEvent(410, late["id"], "ok")
	if got := s.poll(); len(got) != 0 {
		t.Errorf("more: %v", got)
	}
	replay := forge("id", other["id"])
	if replay["id"] != other["id"] {
		t.Errorf("%v", replay)
	}
	s.answerEvent(409, replay["id"], "ok")
	s.signsIn(0, "ann@contoso.test", "old password")
	if log := s.server.WritebackEvents(); len(log) != 3 || !slices.ContainsFunc(log, func(e tenant.EventRecord) bool { return e.Forged && e.State == "expired" }) {
		t.Errorf("%+v", log)
	}
}

func TestAnAnswerThatIsLostHasItsEffectAndASecondIsRefused(t *testing.T) {
	s := newStaff(t)
	s.lab(200, "POST", "/faults", []any{map[string]any{"kind": "lost-after", "methods": []string{"GET"}, "path": "^/lab/writeback"}, map[string]any{"kind": "lost-after", "methods": []string{"POST"}, "path": "^/lab/writeback/"}})
	answer := s.asking("reset", map[string]any{"user": s.ann, "newPassword": "new password"})
	s.posted(1)
	s.lost("GET", s.door("/writeback"), nil)
	s.clock.pass(10 * time.Second)
	id := s.one()["id"].(string)
	s.lost("POST", s.door("/writeback/"+id), map[string]any{"code": "ok"})
	s.answered(answer, "200")
	s.answerEvent(409, id, "ok")
	s.signsIn(0, "ann@contoso.test", "new password")
}

func TestClosingTheServerEndsWhoWaits(t *testing.T) {
	s := newStaff(t)
	done := make(chan error, 2)
	go func() { _, err := s.send("GET", s.door("/writeback?wait=60"), nil); done <- err }()
	go func() {
		_, err := s.send("POST", s.door("/sspr/unlock"), map[string]any{"user": s.ann}, "Authorization", "Bearer "+s.server.LabToken)
		done <- err
	}()
	s.posted(1)
	if err := s.server.Close(); err != nil {
		t.Error(err)
	}
	<-done
	<-done
}
