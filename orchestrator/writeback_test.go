package orchestrator_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/writeback"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
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
			for end, n := range map[string]int{"permitted ": 7, "ended ok": 4, "ended history": 1, "ended length": 1, "ended complexity": 1} {
				if said[by+" "+end] != n {
					t.Errorf("%s %s: %d, not %d (%v)", by, end, said[by+" "+end], n, said)
				}
			}
		}
		w.close()
		w.noSecretIn(w.state(), w.said...)
	})
}

// state is the folder of state, engines and agents; the configuration's own files beside it hold passwords.
func (w *world) state() string { return w.dir + "/state" }

var _ = []any{slices.Sort[[]string], tenant.User, writeback.ErrNotSet, engine.DeliveryOK, scoping.Users}
