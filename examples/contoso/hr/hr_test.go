package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
)

// office is a tenant and the file that says where it is.
type office struct {
	*testing.T
	server *tenant.Server
	model  *tenant.Model
	dir    string
	lab    string
	clock  *clock
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

// newOffice opens a tenant that carries out at once, unless delays say otherwise.
func newOffice(t *testing.T, d tenant.Delays) *office {
	t.Helper()
	o := &office{T: t, dir: t.TempDir(), clock: &clock{at: time.Now().Truncate(time.Second)}}
	o.model = tenant.NewModel(tenant.Options{Clock: o.clock.now})
	var err error
	if o.server, err = tenant.Serve(context.Background(), o.model, tenant.ServeOptions{Provisioning: d}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.server.Close(); err != nil {
			t.Error(err)
		}
	})
	o.lab = o.settings("lab.json", o.server.ClientSecret)
	return o
}

func (o *office) settings(name, secret string) string {
	o.Helper()
	s := o.server
	raw, err := json.Marshal(settings{s.Authority(), s.TenantID, s.ClientID, secret, o.write("ca.pem", string(s.CAPEM())), s.BulkUpload()})
	if err != nil {
		o.Fatal(err)
	}
	return o.write(name, string(raw))
}

func (o *office) write(name, text string) string {
	o.Helper()
	file := filepath.Join(o.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		o.Fatal(err)
	}
	return file
}

// hr runs the program, some while after it ran last, and returns what it printed.
func (o *office) hr(args ...string) (code int, out, errs string) {
	o.Helper()
	o.clock.pass(time.Minute)
	var a, b bytes.Buffer
	code = run(o.Context(), append([]string{"-tenant", o.lab}, args...), &a, &b)
	return code, a.String(), b.String()
}

func (o *office) prints(want string, code int, args ...string) {
	o.Helper()
	got, out, errs := o.hr(args...)
	if got != code || strings.TrimSpace(out) != strings.TrimSpace(want) {
		o.Errorf("%v: exit %d, want %d; printed\n%s\nwant\n%s\n%s", args, got, code, out, want, errs)
	}
}

const head = "employeeId,givenName,surname,userName,start,end,manager,jobTitle\n"

func TestPeopleComeChangeAndGo(t *testing.T) {
	o := newOffice(t, tenant.Delays{Cycle: -1, Log: -1})
	people := o.write("people.csv", head+"1,Nadia,Hassan,nadia@contoso.test,2026-11-02,,,Head\n2,Jonas,Öberg,jonas@contoso.test,2026-11-02,2026-12-31,1,Technician\n3,Mei,Lin,mei@contoso.test,2027-01-04,,9,Planner\n")
	o.prints(`1        Nadia Hassan             created as nadia@contoso.test
2        Jonas Öberg              created as jonas@contoso.test
3        Mei Lin                  created as mei@contoso.test (without a manager until 9 is there)`, 0, "-today", "2026-12-01", people)
	o.prints(`1        Nadia Hassan             nothing to do
2        Jonas Öberg              nothing to do
3        Mei Lin                  nothing to do (without a manager until 9 is there)`, 0, "-today", "2026-12-31", people)
	o.write("people.csv", head+"1,Nadia,Hassan,nadia@contoso.test,2026-11-02,,,Director\n2,Jonas,Öberg,jonas@contoso.test,2026-11-02,2026-12-31,1,Technician\n3,Mei,Lin,mei@contoso.test,2027-01-04,,1,Planner\n")
	o.prints(`1        Nadia Hassan             changed: jobTitle
2        Jonas Öberg              disabled
3        Mei Lin                  enabled; changed: manager`, 0, "-today", "2027-01-04", people)
	jonas, err := o.model.Get(tenant.User, "jonas@contoso.test")
	if err != nil || jonas.Properties["accountEnabled"] != false {
		t.Errorf("%v %v", jonas, err)
	}
	mei, err := o.model.Get(tenant.User, "mei@contoso.test")
	nadia, _ := o.model.Get(tenant.User, "nadia@contoso.test")
	if err != nil || mei.Manager != nadia.ID || nadia.ID == "" {
		t.Errorf("%v %v", mei, err)
	}
}

func TestWhoIsRefusedIsToldInWordsAndNobodyElseIsHeldUp(t *testing.T) {
	o := newOffice(t, tenant.Delays{Cycle: -1, Log: -1})
	people := o.write("people.csv", head+"1,Nadia,Hassan,nadia@elsewhere.test,2026-11-02,,,Head\n2,Jonas,Öberg,jonas@contoso.test,2026-11-02,,1,Technician\n")
	code, out, _ := o.hr(people)
	if code != 1 || !strings.Contains(out, "Nadia Hassan             FAILED: The domain portion of the userPrincipalName") || !strings.Contains(out, "created as jonas@contoso.test (without a manager until 1 is there)") {
		t.Errorf("%d\n%s", code, out)
	}
}

// More people than one request holds, a log that comes late, and a tenant that asks for patience.
func TestManyAreSentInPartsAndFollowedToTheEnd(t *testing.T) {
	o := newOffice(t, tenant.Delays{Cycle: time.Minute, Log: 5 * time.Minute})
	text := head
	for i := range 120 {
		text += fmt.Sprintf("%d,A%d,B,a%d@contoso.test,2026-11-02,,%d,\n", i, i, i, max(0, i-1))
	}
	people, err := parsePeople("people.csv", strings.NewReader(strings.Replace(text, ",0,\n", ",,\n", 1)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := connect(o.lab)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	waits := 0
	c.wait = func(ctx context.Context, d time.Duration) error { waits++; o.clock.pass(d); return ctx.Err() }
	if _, err := o.server.AddFault(tenant.Fault{Kind: tenant.Throttled, Path: "bulkUpload", Nth: 2, RetryAfter: "7"}); err != nil {
		t.Fatal(err)
	}
	outcomes, err := c.provision(t.Context(), people, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range people {
		if got := outcomes[p.ID].String(); got != "created as "+p.UserName {
			t.Errorf("%s: %s", p.ID, got)
		}
	}
	records, _ := o.server.Requests()
	sent := len(slices.DeleteFunc(records, func(r tenant.RequestRecord) bool { return r.Status != 202 }))
	if sent != 3 || waits < 10 {
		t.Errorf("%d requests, %d waits", sent, waits)
	}
	last, err := o.model.Get(tenant.User, "a119@contoso.test")
	before, _ := o.model.Get(tenant.User, "a118@contoso.test")
	if err != nil || last.Manager != before.ID {
		t.Errorf("the last one's manager: %v %v", last.Manager, err)
	}
}

func TestALogThatStaysSilentIsSaidSo(t *testing.T) {
	o := newOffice(t, tenant.Delays{Cycle: time.Hour})
	people := o.write("people.csv", head+"1,Nadia,Hassan,nadia@contoso.test,2026-11-02,,,Head\n")
	code, out, errs := o.hr("-wait", "1s", people)
	if code != 1 || out != "" || !strings.Contains(errs, "1 of 1 people in time") {
		t.Errorf("%d %q %q", code, out, errs)
	}
}

func TestWhatIsWrongIsSaidBeforeAnythingIsSent(t *testing.T) {
	o := newOffice(t, tenant.Delays{})
	row := "1,Nadia,Hassan,nadia@contoso.test,2026-11-02,,,Head\n"
	for name, c := range map[string]struct{ text, want string }{
		"nothing":             {"", "people.csv:1: the file is empty"},
		"a column":            {"employeeId,givenName,surname,userName,start,shoeSize\n", `people.csv:1: there is no column "shoeSize"`},
		"a column twice":      {"employeeId,givenName,surname,userName,start,start\n", "people.csv:1: the column start stands twice"},
		"a missing column":    {"employeeId,givenName,surname,userName\n", "people.csv:1: the column start is missing"},
		"a missing value":     {head + "1,,Hassan,nadia@contoso.test,2026-11-02,,,\n", "people.csv:2: givenName has no value"},
		"no day":              {head + "1,Nadia,Hassan,nadia@contoso.test,02.11.2026,,,\n", `people.csv:2: start "02.11.2026" is no day`},
		"an end before":       {head + "1,Nadia,Hassan,nadia@contoso.test,2026-11-02,2026-11-01,,\n", "people.csv:2: the contract ends before it begins"},
		"a number twice":      {head + row + strings.Replace(row, "nadia@", "other@", 1), "people.csv:3: the employeeId 1 is that of line 2 too"},
		"a name twice":        {head + row + strings.Replace(strings.Replace(row, "1,", "2,", 1), "nadia@", "Nadia@", 1), "people.csv:3: the userName Nadia@contoso.test is that of line 2 too"},
		"a circle":            {head + "1,A,B,a@x.test,2026-11-02,,2,\n2,C,D,c@x.test,2026-11-02,,1,\n", "people.csv:2: 1 is above himself or herself, by way of 2 people"},
		"too few fields":      {head + "1,Nadia\n", "people.csv:2: wrong number of fields"},
		"a quote":             {head + "1,Na\"dia,Hassan,nadia@contoso.test,2026-11-02,,,\n", "people.csv:2: bare"},
		"everything at once":  {head + "1,,Hassan,nadia@contoso.test,2026-11-02,,,\n2,A,B,a@x.test,tomorrow,,,\n", "people.csv:2: givenName has no value\nhr: "},
		"and that it is this": {head + "1,,Hassan,nadia@contoso.test,2026-11-02,,,\n", "nothing was sent"},
	} {
		file := o.write("people.csv", c.text)
		code, out, errs := o.hr(file)
		if code != 2 || out != "" || !strings.Contains(strings.ReplaceAll(errs, o.dir+"/", ""), c.want) {
			t.Errorf("%s: exit %d, %s, want %s", name, code, errs, c.want)
		}
	}
	file := o.write("people.csv", "\ufeff"+head+row)
	for _, c := range []struct {
		want string
		code int
		args []string
	}{
		{"the CSV file of people is missing", 2, nil}, {"no such file", 2, []string{filepath.Join(o.dir, "none.csv")}}, {`"soon" is no day`, 2, []string{"-today", "soon", file}},
		{"-nothing", 2, []string{"-nothing", file}}, {"no such file", 2, []string{"-tenant", filepath.Join(o.dir, "none.json"), file}},
		{"bulkUpload is missing", 2, []string{"-tenant", o.write("half.json", `{"authority":"x","tenantId":"x","clientId":"x","clientSecret":"x"}`), file}},
		{"invalid character", 2, []string{"-tenant", o.write("no.json", `x`), file}},
		{"AADSTS7000215", 1, []string{"-tenant", o.settings("wrong.json", "not the secret"), file}},
	} {
		code, _, errs := o.hr(c.args...)
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit %d, %s, want %s", c.args, code, errs, c.want)
		}
	}
	o.server.SetPermissions("AuditLog.Read.All")
	if code, _, errs := o.hr(file); code != 1 || !strings.Contains(errs, "403 Forbidden: The principal does not have required Microsoft Graph permission(s): SynchronizationData-User.Upload") {
		t.Errorf("without the right: %d %s", code, errs)
	}
	if _, n := o.server.Requests(); n.ByStatus[202] > 0 {
		t.Error("something was sent")
	}
}

// Whatever the file is, it gives people that a request can be made of, or says where it is wrong.
func FuzzPeople(f *testing.F) {
	text, err := os.ReadFile("people.csv")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add(head + "1,Nadia,Hassan,nadia@contoso.test,2026-11-02,,,Head\n")
	f.Add("employeeId\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		people, err := parsePeople("people.csv", strings.NewReader(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "people.csv:") {
				t.Fatal(err)
			}
			return
		}
		seen := map[string]bool{}
		for _, p := range people {
			if p.ID == "" || seen[p.ID] {
				t.Fatalf("%+v", p)
			}
			seen[p.ID] = true
		}
		if _, err := json.Marshal(bulk(people, time.Now())); err != nil {
			t.Fatal(err)
		}
	})
}
