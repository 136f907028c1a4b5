package tenant_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	lab "github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/tenant"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

func pemOf(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }

func TestEveryKindOfWriteTakesEffect(t *testing.T) {
	w := newWorld(t)
	s := w.scene()
	for i, x := range s.writes[:9] {
		if r := w.send(x); r.Status != cloud.Done || r.CloudID == "" {
			t.Fatalf("write %d, %s: %+v", i, x.Op, r)
		}
	}
	ann := w.one(cloud.Key{Kind: scoping.User, ID: s.user})
	want := cloud.Values{cloud.UPN: {"ann@contoso.test"}, cloud.DisplayName: {"Ann B"}, cloud.Nickname: {"ann"}, cloud.Enabled: {"false"},
		cloud.ImmutableID: {anchorOf("ann")}, "userType": {"Member"}}
	if !cloud.Equal(ann.Values, want) || ann.Manager != s.boss {
		t.Errorf("ann is %+v", ann)
	}
	if g := w.one(cloud.Key{Kind: scoping.Group, Anchor: anchorOf("staff")}); !slices.Equal(g.Members, []string{s.boss}) || g.Values.First("description") != "all staff" {
		t.Errorf("staff is %+v", g)
	}
	if b := w.one(cloud.Key{Kind: scoping.User, UPN: "bob@contoso.test"}); b.Manager != "" || b.Values.First("extensionAttribute3") != "three" {
		t.Errorf("bob is %+v", b)
	}
	if len(w.find(cloud.Key{Kind: scoping.User, ID: s.gone})) != 1 {
		t.Error("the restored user does not live")
	}
	for _, x := range s.writes[9:] {
		w.done(x)
	}
	if gone := w.one(cloud.Key{Kind: scoping.User, ID: s.user, Deleted: true}); !gone.Deleted || len(w.find(cloud.Key{Kind: scoping.User, ID: s.user})) != 0 {
		t.Errorf("the deleted user is %+v", gone)
	}
	for _, k := range []cloud.Key{{Kind: scoping.User, Anchor: anchorOf("ann"), Deleted: true}, {Kind: scoping.User, UPN: "ann@contoso.test", Deleted: true},
		{Kind: scoping.Group, Anchor: anchorOf("staff"), Deleted: true}} {
		w.one(k)
	}
}

func TestEveryWriteCanBeRepeatedWithoutHarm(t *testing.T) {
	w := newWorld(t)
	for _, x := range w.scene().writes {
		first := w.send(x)
		again := w.send(x)
		switch {
		case first.Status != cloud.Done:
			t.Errorf("%s %s: %+v", x.Op, x.Kind, first)
		case x.Op == cloud.Create && x.Kind == scoping.User:
			if !again.Conflict || again.CloudID != first.CloudID {
				t.Errorf("a second create does not find the first: %+v", again)
			}
		case x.Op == cloud.AddMembers:
			if again.Code != cloud.CodeAlreadyMember {
				t.Errorf("adding again: %+v", again)
			}
		case again.Status != cloud.Done || again.CloudID != first.CloudID:
			t.Errorf("%s %s again: %+v", x.Op, x.Kind, again)
		}
	}
}

// TestAnswersOfEveryKindOfWriteAreClassified goes through every kind of write and every way in which its part may be answered.
func TestAnswersOfEveryKindOfWriteAreClassified(t *testing.T) {
	part := `^/v1.0/(users|groups|directory)`
	whole := `^/v1.0/\$batch`
	none := func(cloud.Write, cloud.Result) bool { return true }
	cases := map[string]struct {
		fault  lab.Fault
		status cloud.Status
		also   func(cloud.Write, cloud.Result) bool
	}{
		"429 of the part": {lab.Fault{Kind: lab.Throttled, Path: part, RetryAfter: "0.249"}, cloud.Throttled,
			func(_ cloud.Write, r cloud.Result) bool { return r.RetryAfter == 249*time.Millisecond && r.HTTP == 429 }},
		"429 of the batch": {lab.Fault{Kind: lab.Throttled, Path: whole, RetryAfter: "7"}, cloud.Throttled,
			func(_ cloud.Write, r cloud.Result) bool { return r.RetryAfter == 7*time.Second }},
		"503 of the part": {lab.Fault{Kind: lab.Status, Status: 503, Path: part}, cloud.Throttled,
			func(_ cloud.Write, r cloud.Result) bool { return r.RetryAfter > 0 }},
		"503 of the batch":  {lab.Fault{Kind: lab.Status, Status: 503, Path: whole, RetryAfter: "1.5"}, cloud.Throttled, none},
		"a proxy's 503":     {lab.Fault{Kind: lab.Garbage, Status: 503, Path: whole}, cloud.InDoubt, none},
		"500 of the part":   {lab.Fault{Kind: lab.Status, Status: 500, Path: part}, cloud.InDoubt, none},
		"504 after effect":  {lab.Fault{Kind: lab.Status, Status: 504, Path: part, Effect: true}, cloud.InDoubt, none},
		"502 of the batch":  {lab.Fault{Kind: lab.Status, Status: 502, Path: whole}, cloud.InDoubt, none},
		"lost before":       {lab.Fault{Kind: lab.LostBefore, Path: part}, cloud.InDoubt, none},
		"lost after":        {lab.Fault{Kind: lab.LostAfter, Path: part}, cloud.InDoubt, none},
		"garbage":           {lab.Fault{Kind: lab.Garbage, Path: whole}, cloud.InDoubt, none},
		"garbage, effect":   {lab.Fault{Kind: lab.Garbage, Path: whole, Effect: true}, cloud.InDoubt, none},
		"401 of the batch":  {lab.Fault{Kind: lab.Status, Status: 401, Path: whole}, cloud.NotSent, none},
		"403 of the part":   {lab.Fault{Kind: lab.Status, Status: 403, Path: part}, cloud.Rejected, func(_ cloud.Write, r cloud.Result) bool { return strings.Contains(r.Message, "permission") }},
		"403 of the batch":  {lab.Fault{Kind: lab.Status, Status: 403, Path: whole}, cloud.Rejected, none},
		"400 of the part":   {lab.Fault{Kind: lab.Status, Status: 400, Path: part}, cloud.Rejected, func(_ cloud.Write, r cloud.Result) bool { return r.Code == "Request_BadRequest" && !r.Conflict }},
		"409 of the part":   {lab.Fault{Kind: lab.Status, Status: 409, Path: part}, cloud.Rejected, func(_ cloud.Write, r cloud.Result) bool { return r.Conflict }},
		"404 of the object": {lab.Fault{Kind: lab.Status, Status: 404, Path: part}, 0, missing},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, x := range w.scene().writes {
				w.server.ResetCounters()
				before := w.client.Counters().Requests
				w.fault(c.fault)
				r := w.send(x)
				w.server.ClearFaults("")
				if c.status != 0 && r.Status != c.status || !c.also(x, r) {
					t.Errorf("%s %s: %+v", x.Op, x.Kind, r)
				}
				if r.Status == cloud.InDoubt && w.client.Counters().Requests != before+1 {
					t.Errorf("%s %s was sent %d times", x.Op, x.Kind, w.client.Counters().Requests-before)
				}
				if log, _ := w.server.Requests(); len(log) > 1 {
					t.Errorf("%s %s reached the tenant %d times", x.Op, x.Kind, len(log))
				}
			}
		})
	}
}

func missing(x cloud.Write, r cloud.Result) bool {
	switch x.Op {
	case cloud.Delete, cloud.RemoveMember, cloud.ClearManager:
		return r.Status == cloud.Done
	}
	return r.Status == cloud.Rejected && r.Missing
}

func TestConflictsNameTheHolder(t *testing.T) {
	w := newWorld(t)
	s := w.scene()
	other := createUser("eve")
	other.Set[cloud.UPN] = []string{"ann@contoso.test"}
	if r := w.send(other); r.Status != cloud.Rejected || !r.Conflict || r.CloudID != s.user || r.Code != "conflict:userPrincipalName" {
		t.Errorf("create under another's UPN: %+v", r)
	}
	rename := cloud.Write{Op: cloud.Update, Kind: scoping.User, CloudID: s.boss, Set: cloud.Values{cloud.UPN: {"ann@contoso.test"}}}
	if r := w.send(rename); !r.Conflict || r.CloudID != s.user {
		t.Errorf("rename to another's UPN: %+v", r)
	}
}

func TestConflictWithADeletedAnchorNamesTheDeleted(t *testing.T) {
	w := newWorld(t, func(o *lab.Options) { o.DeletedAnchorBlocks = true })
	s := w.scene()
	again := createUser("cyd")
	again.Set[cloud.UPN] = []string{"cyd2@contoso.test"}
	if r := w.send(again); !r.Conflict || r.CloudID != s.gone {
		t.Errorf("create with a deleted user's anchor: %+v", r)
	}
}

func TestMissingReferencesAreToldFromMissingObjects(t *testing.T) {
	w := newWorld(t)
	s := w.scene()
	nobody := "00000000-0000-4000-8000-00000000dead"
	if r := w.send(cloud.Write{Op: cloud.AddMembers, Kind: scoping.Group, CloudID: s.group, Refs: []string{s.boss, nobody}}); r.Missing || r.Code != cloud.CodeReferenceMissing {
		t.Errorf("a member that is not there: %+v", r)
	}
	if r := w.send(cloud.Write{Op: cloud.SetManager, Kind: scoping.User, CloudID: s.user, Refs: []string{nobody}}); r.Missing || r.Code != cloud.CodeReferenceMissing {
		t.Errorf("a manager that is not there: %+v", r)
	}
	if r := w.send(cloud.Write{Op: cloud.AddMembers, Kind: scoping.Group, CloudID: nobody, Refs: []string{s.boss}}); !r.Missing {
		t.Errorf("a group that is not there: %+v", r)
	}
	if g := w.one(cloud.Key{Kind: scoping.Group, ID: s.group}); !slices.Equal(g.Members, []string{s.user}) {
		t.Errorf("members after refused additions: %v", g.Members)
	}
}

func TestImpossibleWritesAreRefusedUnsent(t *testing.T) {
	w := newWorld(t)
	many := make([]string, cloud.MaxMembers+1)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for _, x := range []cloud.Write{
		{Op: cloud.Create, Kind: scoping.User, Set: cloud.Values{cloud.UPN: {"x@contoso.test"}}},
		{Op: cloud.Create, Kind: scoping.Group, Set: cloud.Values{cloud.DisplayName: {"x"}}},
		{Op: cloud.Create, Kind: scoping.Group, Key: "k", Set: cloud.Values{"mailEnabled": {"true"}}},
		{Op: cloud.Create, Kind: scoping.Contact, Anchor: "QQ=="},
		{Op: cloud.Update, Kind: scoping.User, CloudID: "x", Set: cloud.Values{"proxyAddresses": {"smtp:x@x"}}},
		{Op: cloud.Update, Kind: scoping.User, CloudID: "x"},
		{Op: cloud.Update, Kind: scoping.User, Set: cloud.Values{cloud.DisplayName: {"x"}}},
		{Op: cloud.Update, Kind: scoping.User, CloudID: "x", Set: cloud.Values{cloud.Enabled: {"yes"}}},
		{Op: cloud.Update, Kind: scoping.User, CloudID: "x", Set: cloud.Values{cloud.DisplayName: {"x", "y"}}},
		{Op: cloud.AddMembers, Kind: scoping.Group, CloudID: "x", Refs: many},
		{Op: cloud.RemoveMember, Kind: scoping.Group, CloudID: "x", Refs: many[:2]},
		{Op: cloud.SetManager, Kind: scoping.User, CloudID: "x"},
		{Op: "explode", Kind: scoping.User, CloudID: "x"},
	} {
		if r := w.send(x); r.Status != cloud.Rejected || r.Code != cloud.CodeImpossible {
			t.Errorf("%+v: %+v", x, r)
		}
	}
	if n := w.client.Counters(); n.Requests != 0 || n.Writes != 0 {
		t.Errorf("something was sent: %+v", n)
	}
}

func TestManyWritesGoInBatchesOfTwentyAndKeepTheirOrder(t *testing.T) {
	w := newWorld(t)
	var writes []cloud.Write
	for i := range 65 {
		writes = append(writes, createUser(fmt.Sprintf("u%02d", i)))
	}
	results := w.client.Send(w.ctx, append(writes, writes[0]))
	for i, r := range results[:65] {
		if r.Status != cloud.Done {
			t.Fatalf("write %d: %+v", i, r)
		}
		if o := w.one(cloud.Key{Kind: scoping.User, ID: r.CloudID}); o.Values.First(cloud.DisplayName) != fmt.Sprintf("u%02d", i) {
			t.Fatalf("result %d is that of %s", i, o.Values.First(cloud.DisplayName))
		}
	}
	if results[65].Status != cloud.NotSent {
		t.Errorf("a second write of the same object: %+v", results[65])
	}
	if n := w.client.Counters(); n.Writes != 65 {
		t.Errorf("%+v", n)
	}
}

func TestWithoutTokenOrConnectionNothingIsSent(t *testing.T) {
	w := newWorld(t)
	x := createUser("ann")
	w.server.RevokeTokens()
	bad := w.open(func(c *tenant.Config) { c.ClientSecret = "wrong" })
	if r := bad.Send(w.ctx, []cloud.Write{x})[0]; r.Status != cloud.NotSent || !strings.Contains(r.Message, "7000215") {
		t.Errorf("with a wrong secret: %+v", r)
	}
	dead, stop := context.WithCancel(w.ctx)
	stop()
	if r := w.client.Send(dead, []cloud.Write{x})[0]; r.Status != cloud.NotSent {
		t.Errorf("with a dead context: %+v", r)
	}
	if err := w.server.Close(); err != nil {
		t.Fatal(err)
	}
	if r := w.client.Send(w.ctx, []cloud.Write{x})[0]; r.Status != cloud.NotSent {
		t.Errorf("without a server: %+v", r)
	}
}

func TestRefusedTokenIsRenewedForTheNextAttempt(t *testing.T) {
	w := newWorld(t)
	w.done(createUser("ann"))
	w.server.RevokeTokens()
	if r := w.send(createUser("bob")); r.Status != cloud.NotSent {
		t.Fatalf("with a revoked token: %+v", r)
	}
	w.done(createUser("bob"))
	w.server.RevokeTokens()
	if len(w.find(cloud.Key{Kind: scoping.User, UPN: "bob@contoso.test"})) != 1 {
		t.Error("a read with a revoked token does not recover by itself")
	}
}

// TestNothingBelowSendsTwice counts at the server, for every answer that the SDK or net/http might want to repeat.
func TestNothingBelowSendsTwice(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"429": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "0"); w.WriteHeader(429) },
		"503": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "0"); w.WriteHeader(503) },
		"504": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(504) },
		"401 with claims": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="`)
			w.WriteHeader(401)
		},
		"307": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/v1.0/$batch")
			w.WriteHeader(307)
		},
		"cut": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"cut half-way": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			_, _ = w.Write([]byte(`{"resp`))
		},
		"empty":        func(http.ResponseWriter, *http.Request) {},
		"no responses": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) },
		"answered twice": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"responses":[{"id":"0","status":204},{"id":"0","status":404}]}`))
		},
		"other part": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"responses":[{"id":"9","status":204}]}`))
		},
	}
	want := map[string]cloud.Status{"429": cloud.Throttled, "503": cloud.Throttled, "401 with claims": cloud.NotSent, "307": cloud.NotSent}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			s, client := newScripted(t, answer)
			warm := client.Counters().Requests
			r := client.Send(t.Context(), []cloud.Write{{Op: cloud.Update, Kind: scoping.User, CloudID: "u", Set: cloud.Values{cloud.DisplayName: {"x"}}}})[0]
			status := want[name]
			if status == 0 {
				status = cloud.InDoubt
			}
			if r.Status != status {
				t.Errorf("%+v", r)
			}
			if got := s.got(); len(got) != 1 || client.Counters().Requests != warm+1 {
				t.Errorf("the tenant got %d requests, the client counts %d", len(got), client.Counters().Requests-warm)
			}
		})
	}
}

// TestConnectionThatDiedIdleIsToldFromALostAnswer: a connection that the server closed between two requests is found dead before
// anything is written, or at least never carries a write twice.
func TestConnectionThatDiedIdleIsToldFromALostAnswer(t *testing.T) {
	s, client := newScripted(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"responses":[{"id":"0","status":204}]}`))
	})
	x := []cloud.Write{{Op: cloud.Update, Kind: scoping.User, CloudID: "u", Set: cloud.Values{cloud.DisplayName: {"x"}}}}
	sent := 0
	for range 20 {
		if r := client.Send(t.Context(), x)[0]; r.Status != cloud.Done && r.Status != cloud.NotSent && r.Status != cloud.InDoubt {
			t.Fatalf("%+v", r)
		} else if r.Status == cloud.Done {
			sent++
		}
		s.CloseClientConnections()
	}
	if got := len(s.got()); got != sent || sent == 0 {
		t.Errorf("%d writes were answered as done, the tenant got %d", sent, got)
	}
}

func TestBodiesOfAllWritesArriveWholeAndPasswordsDiffer(t *testing.T) {
	s, client := newScripted(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) })
	w := []cloud.Write{createUser("ann"), createUser("bob"), createGroup("staff"),
		{Op: cloud.Update, Kind: scoping.User, CloudID: "u1", Set: cloud.Values{cloud.DisplayName: {"x"}, "otherMails": nil, "city": nil, "extensionAttribute1": nil}},
		{Op: cloud.AddMembers, Kind: scoping.Group, CloudID: "g1", Refs: []string{"m1", "m2"}},
		{Op: cloud.RemoveMember, Kind: scoping.Group, CloudID: "g2", Refs: []string{"m 3"}},
		{Op: cloud.SetManager, Kind: scoping.User, CloudID: "u2", Refs: []string{"m4"}},
		{Op: cloud.ClearManager, Kind: scoping.User, CloudID: "u3"},
		{Op: cloud.Restore, Kind: scoping.User, CloudID: "u4", Set: cloud.Values{cloud.UPN: {"n@x"}}},
		{Op: cloud.Delete, Kind: scoping.Group, CloudID: "g3"}}
	client.Send(t.Context(), w)
	client.Send(t.Context(), w) // after a throttled answer the bodies are as whole as before
	got := s.got()
	if len(got) != 2 {
		t.Fatalf("%d requests", len(got))
	}
	passwords := map[string]bool{}
	for _, body := range got {
		requests := partsOf(t, body)
		for i, p := range requests {
			if profile, ok := p.Body["passwordProfile"].(map[string]any); ok {
				passwords[profile["password"].(string)] = true
				delete(p.Body, "passwordProfile")
			}
			text, _ := json.Marshal(p.Body)
			if line := p.Method + " " + p.URL + " " + strings.ReplaceAll(string(text), s.URL, ""); line != wantParts[i] {
				t.Errorf("part %d is\n%s, want\n%s", i, line, wantParts[i])
			}
		}
		if requests[2].Headers["Prefer"] != "create-if-missing" {
			t.Error("the upsert does not ask to create")
		}
	}
	if len(passwords) != 4 {
		t.Errorf("%d different passwords in 4 creates", len(passwords))
	}
}

type sentPart struct {
	Method, URL string
	Headers     map[string]string
	Body        map[string]any
}

func partsOf(t *testing.T, body string) []sentPart {
	t.Helper()
	var doc struct{ Requests []sentPart }
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return doc.Requests
}

var wantParts = []string{
	`POST /users {"accountEnabled":true,"businessPhones":["+1 1"],"department":"Sales","displayName":"ann","mailNickname":"ann","onPremisesExtensionAttributes":{"extensionAttribute3":"three"},"onPremisesImmutableId":"YW5uLi4uLi4uLi4uLi4uLg==","userPrincipalName":"ann@contoso.test"}`,
	`POST /users {"accountEnabled":true,"businessPhones":["+1 1"],"department":"Sales","displayName":"bob","mailNickname":"bob","onPremisesExtensionAttributes":{"extensionAttribute3":"three"},"onPremisesImmutableId":"Ym9iLi4uLi4uLi4uLi4uLg==","userPrincipalName":"bob@contoso.test"}`,
	`PATCH /groups(uniqueName='tandem-73746166662e2e2e2e2e2e2e2e2e2e2e') {"displayName":"staff","mailEnabled":false,"mailNickname":"staff","securityEnabled":true}`,
	`PATCH /users/u1 {"city":null,"displayName":"x","onPremisesExtensionAttributes":{"extensionAttribute1":null},"otherMails":[]}`,
	`PATCH /groups/g1 {"members@odata.bind":["/v1.0/directoryObjects/m1","/v1.0/directoryObjects/m2"]}`,
	`DELETE /groups/g2/members/m%203/$ref null`,
	`PUT /users/u2/manager/$ref {"@odata.id":"/v1.0/directoryObjects/m4"}`,
	`DELETE /users/u3/manager/$ref null`,
	`POST /directory/deletedItems/u4/restore {"newUserPrincipalName":"n@x"}`,
	`DELETE /groups/g3 null`,
}
