package orchestrator_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/metrics"
	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
)

const writebackPolicy = `version: 1
features: [users, groups, password-writeback]
assignments:
  - {name: everything, under: %q, engine: connect, features: [users, groups, password-writeback]}
  - {name: pilot, under: "OU=Lab,%s", engine: cloudsync, features: [users, groups, password-writeback]}
`

// words are all passwords of a story: none of them may be found in any file afterwards.
type words []string

func (w *words) word(s string) string {
	*w = append(*w, s)
	return s
}

// clerk is a world with writeback: an account that resets passwords below two containers, and an administrator of the tenant.
type clerk struct {
	*world
	said  words
	admin string // a token
	http  *http.Client
}

func newClerk(t *testing.T, s site) *clerk {
	w := &clerk{world: emptyWorld(t, s)}
	w.keep = &kept{}
	t.Cleanup(func() { // whatever host, engines and agents log at all
		for _, word := range w.said {
			if strings.Contains(w.keep.String(), word) {
				t.Errorf("the log has %q in it", word)
			}
		}
		if t.Failed() {
			t.Log(w.keep.String())
		}
	})
	for _, ou := range []string{"Sales", "Lab"} {
		w.add("OU="+ou+","+s.base, map[string][]string{"objectClass": {"organizationalUnit"}})
	}
	_, sid, err := delegation.Account(w.conn, "CN=Users,"+s.base, "svc-reset", w.said.word("Resetting-Passw0rd!"))
	w.must(err)
	for _, ou := range []string{"Sales", "Lab"} {
		for _, e := range delegation.Reset {
			w.must(delegation.Grant(w.conn, "OU="+ou+","+s.base, sid, e))
		}
	}
	w.file("reset-password", "Resetting-Passw0rd!\n")
	w.more = "    reset: {user: svc-reset@" + s.domain + ", passwordFile: ./reset-password}\n"
	w.write()
	w.open()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(w.graph.CAPEM())
	w.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	t.Cleanup(w.http.CloseIdleConnections)
	word := w.said.word("Correct-Horse-1")
	_, err = w.model.AddAdministrator("boss@"+s.domain, "Boss", secret.Take([]byte(word)))
	w.must(err)
	answer := w.post(200, w.graph.Authority()+"/"+w.graph.TenantID+"/oauth2/v2.0/token", "", url.Values{"grant_type": {"password"}, "client_id": {w.graph.ClientID},
		"client_secret": {w.graph.ClientSecret}, "scope": {"User.Read"}, "username": {"boss@" + s.domain}, "password": {word}})
	w.admin = answer["access_token"].(string)
	return w
}

// starts puts the policy in force and brings everybody into the tenant; whatever is linked can be written back from then on.
func (w *clerk) starts() {
	w.t.Helper()
	w.importText(fmt.Sprintf(writebackPolicy, w.site.base, w.site.base))
	for _, e := range []string{"connect", "cloudsync"} {
		r, err := w.tandem.Host().SyncAll(w.t.Context(), e, run.SyncOptions{})
		if err != nil || !r.Complete || r.Failed > 0 {
			w.t.Fatalf("%v %+v", err, r)
		}
	}
}

// post sends a form or a JSON body and returns the answer.
func (w *clerk) post(status int, address, token string, body any) map[string]any {
	w.t.Helper()
	got, answer := w.try(address, token, body)
	if got != status {
		w.t.Fatalf("POST %s: %d %v, not %d", address, got, answer, status)
	}
	return answer
}

func (w *clerk) try(address, token string, body any) (int, map[string]any) {
	var b io.Reader
	kind := "application/x-www-form-urlencoded"
	if form, is := body.(url.Values); is {
		b = strings.NewReader(form.Encode())
	} else {
		j, err := json.Marshal(body)
		w.must(err)
		b, kind = bytes.NewReader(j), "application/json"
	}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, address, b)
	w.must(err)
	r.Header.Set("Content-Type", kind)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := w.http.Do(r)
	w.must(err)
	defer res.Body.Close()
	answer := map[string]any{}
	if raw, err := io.ReadAll(res.Body); err == nil && len(raw) > 0 {
		_ = json.Unmarshal(raw, &answer) // what is no JSON is shown empty
	}
	if at := res.Header.Get("Location"); at != "" {
		answer["location"] = at
	}
	return res.StatusCode, answer
}

// portal does in the portal what a person does for himself, and returns the code of the refusal; empty: it was done.
func (w *clerk) portal(op string, body map[string]any) string {
	w.t.Helper()
	status, answer := w.try(w.graph.GraphEndpoint()+"/lab/sspr/"+op, w.graph.LabToken, body)
	if status == http.StatusOK {
		return ""
	}
	e, _ := answer["error"].(map[string]any)
	return fmt.Sprint(e["code"])
}

// resets lets the tenant's administrator reset a password by Graph, and returns how the operation ended.
func (w *clerk) resets(upn, password string) string {
	w.t.Helper()
	answer := w.post(202, w.graph.GraphEndpoint()+"/v1.0/users/"+w.mustUser(upn).ID+"/authentication/methods/28c10230-6103-485e-b985-444c60001490/resetPassword", w.admin,
		map[string]any{"newPassword": password})
	ended := ""
	w.eventually("the reset has ended", 40*time.Second, func() bool {
		r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, answer["location"].(string), nil)
		w.must(err)
		r.Header.Set("Authorization", "Bearer "+w.admin)
		res, err := w.http.Do(r)
		w.must(err)
		defer res.Body.Close()
		var o struct{ Status, StatusDetail string }
		w.must(json.NewDecoder(res.Body).Decode(&o))
		ended = strings.TrimSpace(o.Status + " " + o.StatusDetail)
		return o.Status == "succeeded" || o.Status == "failed"
	})
	return ended
}

// binds says how a sign-in at the directory ends: "yes", "must change", "locked", "no".
func (w *world) binds(upn, password string) string {
	w.t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(w.site.ca)
	conn, err := ldap.DialURL(w.site.url, ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool}))
	w.must(err)
	defer conn.Close()
	switch err := conn.Bind(upn, password); {
	case err == nil:
		return "yes"
	case strings.Contains(err.Error(), "data 773"):
		return "must change"
	case strings.Contains(err.Error(), "data 775"):
		return "locked"
	}
	return "no"
}

// rules are the domain's rules for passwords from now on.
func (w *world) rules(of map[string]string) {
	w.t.Helper()
	for attr, value := range of {
		w.modify(w.site.base, attr, value)
	}
}

func (w *clerk) is(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: %q, not %q", what, got, want)
	}
}

// deliveries are the records about deliveries.
func (w *world) deliveries() (out []ledger.Record) {
	w.t.Helper()
	w.must(w.tandem.Host().Audit(w.t.Context(), answer.AuditFilter{}, func(e answer.AuditEntry) error {
		if e.Record.Type == ledger.DeliveryType {
			out = append(out, e.Record)
		}
		return nil
	}))
	return out
}

// metricsAre fails the test if what monitoring is told, or what status is made of, has one of some passwords in it.
func (w *clerk) metricsAre(without ...string) {
	w.t.Helper()
	said := httptest.NewRecorder()
	metrics.Handler(metrics.Registry(func() (metrics.Snapshot, error) { return w.tandem.Snapshot(w.t.Context()) })).ServeHTTP(said, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if said.Code != http.StatusOK || !strings.Contains(said.Body.String(), "tandem_") {
		w.t.Fatalf("%d %.200s", said.Code, said.Body)
	}
	st, err := w.tandem.Host().Status(w.t.Context())
	w.must(err)
	all := fmt.Appendf(said.Body.Bytes(), "%+v", st)
	for _, word := range without {
		if len(word) >= 8 {
			secrettest.Absent(w.t, all, []byte(word))
		}
	}
}

func TestPasswordsOfTheTenantAreWrittenIntoTheDirectoryByBothEngines(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newClerk(t, s)
		w.said.word("Some-Passw0rd!")
		w.rules(map[string]string{"minPwdAge": "0", "minPwdLength": "8", "pwdProperties": "1", "pwdHistoryLength": "5", "lockoutThreshold": "3", "lockoutDuration": "-18000000000",
			"lockOutObservationWindow": "-18000000000"})
		users := map[string]string{}
		for _, who := range []struct{ name, ou, engine string }{{"ann", "Sales", "connect"}, {"ben", "Lab", "cloudsync"}} {
			_, users[who.engine] = w.person(who.name, "OU="+who.ou+","+s.base)
		}
		w.starts()
		stop := w.serves()
		for by, upn := range users {
			w.is(by+": an administrator's reset", w.resets(upn, w.said.word("First-Passw0rd!"+by)), "succeeded")
			w.is(by+": signs in with it", w.binds(upn, "First-Passw0rd!"+by), "must change")
			w.signsIn(upn, "First-Passw0rd!"+by, "50055")
			w.is(by+": the user's own reset", w.portal("reset", map[string]any{"user": upn, "newPassword": w.said.word("Second-Passw0rd!" + by)}), "")
			w.is(by+": signs in with it", w.binds(upn, "Second-Passw0rd!"+by), "yes")
			w.signsIn(upn, "Second-Passw0rd!"+by, "")
			w.is(by+": the user's own change", w.portal("change", map[string]any{"user": upn, "oldPassword": "Second-Passw0rd!" + by, "newPassword": w.said.word("Third-Passw0rd!" + by)}), "")
			w.is(by+": signs in with it", w.binds(upn, "Third-Passw0rd!"+by), "yes")
			w.is(by+": the same again", w.portal("change", map[string]any{"user": upn, "oldPassword": "Third-Passw0rd!" + by, "newPassword": "Second-Passw0rd!" + by}), "history")
			w.is(by+": too short", w.portal("reset", map[string]any{"user": upn, "newPassword": w.said.word("Sh0rt!" + by[:1])}), "length")
			w.is(by+": too simple", w.portal("reset", map[string]any{"user": upn, "newPassword": w.said.word("alllowercaseletters")}), "complexity")
			w.rules(map[string]string{"minPwdAge": "-864000000000"}) // a day
			w.is(by+": again on the same day", w.portal("change", map[string]any{"user": upn, "oldPassword": "Third-Passw0rd!" + by, "newPassword": w.said.word("Early-Passw0rd!" + by)}), "minimum-age")
			w.rules(map[string]string{"minPwdAge": "0"})
			for range 3 { // the tenant looks at the old password first, so that nobody locks the account in the directory from there
				w.is(by+": a wrong old password", w.portal("change", map[string]any{"user": upn, "oldPassword": w.said.word("Wrong-Passw0rd!"), "newPassword": w.said.word("Fourth-Passw0rd!")}), "wrong-old-password")
			}
			w.is(by+": signs in as before", w.binds(upn, "Third-Passw0rd!"+by), "yes")
			for range 3 {
				w.is(by+": a wrong sign-in", w.binds(upn, "Wrong-Passw0rd!"), "no")
			}
			w.is(by+": signs in", w.binds(upn, "Third-Passw0rd!"+by), "locked")
			w.is(by+": unlock", w.portal("unlock", map[string]any{"user": upn}), "")
			w.is(by+": signs in again", w.binds(upn, "Third-Passw0rd!"+by), "yes")
			w.signsIn(upn, "Third-Passw0rd!"+by, "")
		}
		stop()
		// Who carried what out stands in the journal, with what came of it.
		said := map[string]int{}
		for _, r := range w.deliveries() {
			if r.Engine != w.owner(strings.ToLower(strings.TrimPrefix(strings.SplitN(r.Name, ",", 2)[0], "CN="))+"@"+s.domain) {
				t.Errorf("%s carried out a delivery to %s", r.Engine, r.Name)
			}
			said[r.Engine+" "+string(r.Delivery.Step)+" "+r.Code]++
		}
		for _, by := range []string{"connect", "cloudsync"} {
			for end, n := range map[string]int{"permitted ": 8, "ended ok": 4, "ended history": 1, "ended minimum-age": 1, "ended length": 1, "ended complexity": 1} {
				if said[by+" "+end] != n {
					t.Errorf("%s %s: %d, not %d (%v)", by, end, said[by+" "+end], n, said)
				}
			}
		}
		w.metricsAre(w.said...)
		w.close()
		w.noSecretIn(w.state(), w.said...)
	})
}

// A wave whose target could not sign in to set passwords says so before it begins, and one whose target can says nothing of it.
func TestAPlanNamesTheAccountThatItsTargetLacks(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newClerk(t, s)
		w.said.word("Some-Passw0rd!")
		w.person("ann", "OU=Sales,"+s.base)
		w.starts()
		lacks := func() (out []string) {
			text := strings.Replace(fmt.Sprintf(writebackPolicy, s.base, s.base), `"OU=Lab,`, `"OU=Sales,`, 1)
			p, err := w.tandem.Host().Plan(t.Context(), plan.PlanOptions{File: "policy.yaml", Text: []byte(text)})
			w.must(err)
			for _, x := range p.Waves {
				for _, f := range x.Findings {
					if f.Code == "no-account" {
						out = append(out, x.To+": "+string(f.Severity)+" "+f.Message)
					}
				}
			}
			return out
		}
		if got := lacks(); len(got) > 0 {
			t.Errorf("with accounts: %q", got)
		}
		w.more = ""
		w.again()
		got := lacks()
		if len(got) != 2 { // Sales goes to cloudsync, and Lab goes back
			t.Fatalf("%q", got)
		}
		for _, line := range got {
			if !strings.Contains(line, "warning nobody holds an account for password-writeback") || !strings.Contains(line, "--reset-user") {
				t.Errorf("%q", line)
			}
		}
	})
}

func TestWhosePasswordIsNeverSetAndWhatIsNoEventOfOurs(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newClerk(t, s)
		first := w.said.word("Some-Passw0rd!")
		_, ann := w.person("ann", "OU=Sales,"+s.base)
		bossDN, boss := w.person("chief", "OU=Lab,"+s.base)
		_, cid := w.person("cid", "OU=Sales,"+s.base)
		inner, outer := "CN=inner,OU=Lab,"+s.base, "CN=outer,OU=Lab,"+s.base
		w.add(inner, map[string][]string{"objectClass": {"group"}, "sAMAccountName": {"inner"}, "member": {bossDN}})
		w.add(outer, map[string][]string{"objectClass": {"group"}, "sAMAccountName": {"outer"}, "member": {inner}})
		r := ldap.NewModifyRequest("CN=Domain Admins,CN=Users,"+s.base, nil)
		r.Add("member", []string{outer})
		w.must(w.conn.Modify(r))
		w.starts()
		_, err := w.model.AssignRole(w.mustUser(cid).ID, tenant.GlobalAdministrator, false)
		w.must(err)
		stop := w.serves()

		w.is("a Domain Admin by nested groups", w.portal("reset", map[string]any{"user": boss, "newPassword": w.said.word("Second-Passw0rd!")}), "not-allowed")
		w.is("a Global Administrator of the tenant", w.portal("reset", map[string]any{"user": cid, "newPassword": "Second-Passw0rd!"}), "not-allowed")
		if u, linked := w.user("svc-reset@" + s.domain); linked && u.Properties["accountEnabled"] == true {
			w.is("Tandem's own account", w.portal("reset", map[string]any{"user": "svc-reset@" + s.domain, "newPassword": "Second-Passw0rd!"}), "not-allowed")
			w.is("it signs in as before", w.binds("svc-reset@"+s.domain, "Resetting-Passw0rd!"), "yes")
		}
		for _, e := range w.graph.WritebackEvents() {
			if e.Code != "not-allowed" && e.Code != "not-in-scope" || e.Message != "This is not allowed." {
				t.Errorf("the tenant reads %q of %s", e.Message, e.Code)
			}
		}
		for _, upn := range []string{boss, cid} {
			w.is(upn+" signs in as before", w.binds(upn, first), "yes")
		}
		why := ""
		for _, r := range w.deliveries() {
			why += r.Reason + "\n"
		}
		if !strings.Contains(why, "Domain Admins") || !strings.Contains(why, "it holds power in the tenant") {
			t.Errorf("the journal does not say why: %s", why)
		}

		// Events that nobody may carry out, and one that comes again and again.
		id, past := w.mustUser(ann).ID, -1000
		other := "another-installation"
		var forged []string
		for _, f := range []tenant.WritebackFault{{Installation: &other}, {Tenant: "another-tenant"}, {DeadlineMillis: &past}, {User: "nobody"}} {
			f.Kind, f.NewPassword = "forge", w.said.word("Forged-Passw0rd!")
			if f.User == "" {
				f.User = id
			}
			at, err := w.graph.AddWritebackFault(f)
			w.must(err)
			forged = append(forged, at)
		}
		_, err = w.graph.AddWritebackFault(tenant.WritebackFault{Kind: "repeat", Times: 1})
		w.must(err)
		w.is("a reset that comes twice", w.portal("reset", map[string]any{"user": ann, "newPassword": w.said.word("Third-Passw0rd!")}), "")
		var real tenant.EventRecord
		w.eventually("everything was handed out", 30*time.Second, func() bool {
			handed := true
			for _, e := range w.graph.WritebackEvents() {
				if e.State == "answered" && e.Code == "ok" {
					real = e
				}
				handed = handed && (e.Handed > 0 || e.State == "expired")
			}
			return handed && real.Handed == 2
		})
		replay, err := w.graph.AddWritebackFault(tenant.WritebackFault{Kind: "forge", ID: real.ID, User: id, NewPassword: "Forged-Passw0rd!"})
		w.must(err)
		w.eventually("the replay was handed out", 30*time.Second, func() bool {
			return slices.ContainsFunc(w.graph.WritebackEvents(), func(e tenant.EventRecord) bool { return e.ID == replay && e.Forged && e.Handed > 0 })
		})
		w.is("a last reset", w.portal("reset", map[string]any{"user": ann, "newPassword": w.said.word("Fourth-Passw0rd!")}), "")
		w.is("signs in with the last password", w.binds(ann, "Fourth-Passw0rd!"), "yes")
		for _, e := range w.graph.WritebackEvents() {
			if e.Forged && slices.Contains(forged[:3], e.ID) && e.State == "answered" {
				t.Errorf("a forged event was answered: %+v", e)
			}
		}
		permits := 0
		for _, r := range w.deliveries() {
			if r.Delivery.Step == ledger.Permitted {
				permits++
			}
		}
		if permits != 2 {
			t.Errorf("%d permits for two resets", permits)
		}
		stop()
		w.close()
		w.noSecretIn(w.state(), w.said...)
	})
}

// A host that is killed right after it permitted a write, or right after that has ended, never lets it be carried out a second time, whatever the engine still did.
func TestAHostThatIsKilledAfterThePermitNeverPermitsAgain(t *testing.T) {
	overSamba(t, func(s site) {
		w := newClerk(t, s)
		w.said.word("Some-Passw0rd!")
		_, upn := w.person("ann", "OU=Sales,"+s.base)
		w.starts()
		w.close()
		for n, step := range []ledger.Step{ledger.Ended, ledger.Permitted} {
			word := w.said.word(fmt.Sprintf("Killed-Passw0rd!%d", n))
			c := w.spawn("serve", fmt.Sprintf("\"step\":%q", step))
			if !c.until("serves") {
				t.Fatal(c.last)
			}
			told := make(chan string, 1)
			go func() { told <- w.portal("reset", map[string]any{"user": upn, "newPassword": word}) }()
			c.until("there is no such line") // until it is dead
			c.kill()
			w.nothingLeft()
			stamp := w.stamp("CN=ann,OU=Sales," + s.base)
			w.open()
			stop := w.serves()
			want := map[ledger.Step]string{ledger.Permitted: "in-doubt", ledger.Ended: ""}[step]
			w.is(string(step)+": the person is told", <-told, want)
			if after := w.stamp("CN=ann,OU=Sales," + s.base); after != stamp {
				t.Errorf("%s: the password was set again: %s, then %s", step, stamp, after)
			}
			if d := w.tandem.Host().Doubtful(nil); len(d) != n || n == 1 && (d[0].Engine != "connect" || d[0].Name == "" || d[0].By != "the tenant") {
				t.Errorf("%s: in doubt: %+v", step, d)
			}
			stop()
			w.close()
		}
		w.noSecretIn(w.state(), w.said...)
	})
}

// stamp is what the directory shows of the last change of a password.
func (w *world) stamp(dn string) string {
	w.t.Helper()
	res, err := w.conn.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"pwdLastSet", "uSNChanged"}, nil))
	w.must(err)
	return res.Entries[0].GetAttributeValue("pwdLastSet") + "/" + res.Entries[0].GetAttributeValue("uSNChanged")
}

// While a wave hands users over and takes them back, every reset is carried out by one engine or refused, and the last that was taken is the password.
func TestResetsWhileAWaveCutsOver(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newClerk(t, s)
		w.said.word("Some-Passw0rd!")
		_, upn := w.person("ann", "OU=Sales,"+s.base)
		w.starts()
		stop := w.serves()
		quit, done := make(chan struct{}), make(chan string, 1)
		taken := 0
		go func() {
			last := "Some-Passw0rd!"
			for n := 0; ; n++ {
				word := fmt.Sprintf("Reset-Passw0rd!%d", n)
				switch code := w.portal("reset", map[string]any{"user": upn, "newPassword": word}); code {
				case "":
					last, taken = word, taken+1
				case "busy", "failed": // the scope changed hands just then
				default:
					t.Errorf("reset %d: %s", n, code)
				}
				select {
				case <-quit:
					done <- last
					return
				default:
				}
			}
		}()
		x := w.migrate("OU=Sales,"+s.base, "cloudsync")
		w.rollback(x)
		close(quit)
		last := <-done
		stop()
		w.is("signs in with the last password that was taken", w.binds(upn, last), "yes")
		by, open := map[string]int{}, map[string]bool{}
		for _, r := range w.deliveries() {
			switch r.Delivery.Step {
			case ledger.Permitted:
				by[r.Engine]++
				open[r.Delivery.ID] = true
			case ledger.Ended:
				delete(open, r.Delivery.ID)
			}
		}
		if len(open) > 0 || taken == 0 {
			t.Errorf("%d taken, %d without an end, by engine: %v", taken, len(open), by)
		}
		t.Logf("%d resets were taken, by engine: %v", taken, by)
		w.close()
		w.noSecretIn(w.state(), append(w.said, "Reset-Passw0rd!")...)
	})
}

// state is the folder of state, engines and agents; the configuration's own files beside it hold passwords.
func (w *world) state() string { return w.dir + "/state" }
