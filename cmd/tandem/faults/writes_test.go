package faults_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
)

// run is what sync says of a run.
type run struct {
	Applied, Failed, Deferred int
	Errors                    []struct{ Object, Code, Message string }
}

// makes are requests that create users.
func makes(f tenant.Fault) tenant.Fault {
	f.Methods, f.Path, f.Count = []string{"POST"}, `^/v1.0/users$`, max(2, f.Count)
	return f
}

func status(code int, graph, message string) tenant.Fault {
	return tenant.Fault{Kind: tenant.Status, Status: code, Code: graph, Message: message}
}

func TestObjectsThatGraphRefusesAreNamedAndTheNextRunFinishes(t *testing.T) {
	t.Parallel()
	w := alone(t, 40)
	w.done("import", "policy.yaml")
	w.fault(makes(status(400, "Request_BadRequest", "Invalid value specified for property 'x'.")), makes(status(403, "Authorization_RequestDenied", "Insufficient privileges.")),
		makes(status(404, "Request_ResourceNotFound", "It is not there.")), makes(status(409, "Conflict", "Another object has it.")))
	var r run
	w.answers(1, []string{"8 objects failed; they are tried again with the next run", "→ tandem errors list"}, &r, "sync", "connect", "--profile", "full")
	w.calm()
	if r.Failed != 8 || len(r.Errors) != 8 {
		t.Errorf("%d failed and %d are named, want 8: %+v", r.Failed, len(r.Errors), r.Errors)
	}
	said := fmt.Sprint(r.Errors)
	for _, x := range []string{"HTTP 400: Invalid value", "HTTP 403: Insufficient privileges", "User.ReadWrite.All", "HTTP 404: It is not there", "HTTP 409: Another object has it", "DC=contoso,DC=test"} {
		if !strings.Contains(said, x) {
			t.Errorf("%q is not among the errors: %s", x, said)
		}
	}
	for _, e := range r.Errors {
		if !strings.Contains(e.Message, "request-id ") || e.Code == "" {
			t.Errorf("no code or request id: %+v", e)
		}
	}
	if owed := w.done("errors", "list"); !strings.Contains(owed, "Request_BadRequest") && !strings.Contains(owed, "HTTP 400") {
		t.Errorf("the errors do not tell why: %s", owed)
	}
	w.done("sync", "connect")
	w.settled()
}

func TestPassingTroubleIsWaitedForWithoutLoss(t *testing.T) {
	t.Parallel()
	w := alone(t, 20)
	w.done("import", "policy.yaml")
	busy := makes(tenant.Fault{Kind: tenant.Throttled, RetryAfter: "2"})
	w.fault(busy)
	var r run
	took := w.answers(0, nil, &r, "sync", "connect", "--profile", "full").took
	w.calm()
	if r.Failed+r.Deferred > 0 || took < 2*time.Second {
		t.Errorf("a throttled run: %+v in %s", r, took)
	}
	w.settled()
}

func TestAnswersThatAreGarbageOrLostDoubleNothing(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]tenant.Fault{
		"garbage after the effect": {Kind: tenant.Garbage, Effect: true},
		"garbage without effect":   {Kind: tenant.Garbage},
		"503 after the effect":     {Kind: tenant.Status, Status: 503, Code: "serviceUnavailable", Message: "Busy.", Effect: true},
		"lost before the effect":   {Kind: tenant.LostBefore},
		"lost after the effect":    {Kind: tenant.LostAfter},
		"a late effect":            {Kind: tenant.Ghost, DelayMillis: 1500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := alone(t, 20)
			w.edit("tandem.yaml", `ghostLife: 10s`, "ghostLife: 3s")
			w.done("import", "policy.yaml")
			whole := f
			whole.Path, whole.Methods, whole.Count = `^/v1.0/\$batch`, []string{"POST"}, 1
			part := makes(f)
			if f.Kind == tenant.LostBefore || f.Kind == tenant.LostAfter || f.Kind == tenant.Ghost {
				w.fault(part)
			} else {
				w.fault(part)
			}
			r := w.run("--output", "json", "sync", "connect", "--profile", "full")
			t.Logf("%d %s%s", r.code, r.out, r.err)
			w.calm()
			if r.code > 1 {
				t.Errorf("exit code %d", r.code)
			}
			until := time.Now().Add(20 * time.Second)
			for r.code = 1; r.code != 0 || owing(w); r = w.run("sync", "connect") {
				if time.Now().After(until) {
					t.Fatalf("it does not end: %s%s%s", r.out, r.err, w.done("errors", "list"))
				}
			}
			w.settled()
		})
	}
}

func owing(w *world) bool {
	var e struct{ Errors []any }
	w.answers(0, nil, &e, "errors", "list")
	return len(e.Errors) > 0
}

func TestReadsThatFailEndTheRunAndTheNextOneGoesOn(t *testing.T) {
	t.Parallel()
	w := synced(t, 20)
	for _, c := range []struct {
		fault tenant.Fault
		words []string
	}{
		{status(400, "Request_BadRequest", "Bad."), []string{"read the changes of all users: Bad. (HTTP 400, Request_BadRequest, request-id "}},
		{status(403, "Authorization_RequestDenied", "No."), []string{"HTTP 403", "→ grant the application permission User.ReadWrite.All"}},
		{status(404, "Request_ResourceNotFound", "Gone."), []string{"HTTP 404", "request-id"}},
		{status(409, "Conflict", "Conflict."), []string{"HTTP 409", "request-id"}},
		{tenant.Fault{Kind: tenant.Garbage}, []string{"the answer cannot be read as Graph's", "request-id", "→ look for a proxy or a captive portal"}},
		{status(503, "serviceUnavailable", "Busy."), []string{"HTTP 503", "request-id"}},
		{tenant.Fault{Kind: tenant.LostBefore}, []string{"no answer from 127.0.0.1:", "the connection was cut"}},
	} {
		c.fault.Path, c.fault.Count = "/delta", -1
		w.fault(c.fault)
		if r := w.fails(1, c.words, "sync", "connect"); len(r.err) > 1000 {
			t.Errorf("a page of a message: %s", r.err)
		}
		w.calm()
	}
	w.fault(tenant.Fault{Kind: tenant.Throttled, RetryAfter: "1", Path: "/delta", Count: 2})
	w.done("sync", "connect")
	w.calm()
	w.fault(tenant.Fault{Kind: tenant.ExpiredDelta, Path: "/delta"})
	w.done("sync", "connect")
	w.calm()
	w.settled()
}
