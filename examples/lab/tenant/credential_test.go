package tenant_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/secret"
)

// credentialOf derives what a directory's engine sends for a password.
func credentialOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := credential.NTHash(secret.Take([]byte(password)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := credential.Derive(hash, []byte("0123456789"))
	if err != nil {
		t.Fatal(err)
	}
	out := ""
	if err := c.Use(func(b []byte) error { out = string(b); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) item(user, password string, number int, more ...any) map[string]any {
	w.t.Helper()
	out := map[string]any{"user": user, "credential": credentialOf(w.t, password), "changedAt": w.clock.now().Format(time.RFC3339), "by": "connect",
		"mustChange": false, "log": "here", "number": number}
	for i := 0; i+1 < len(more); i += 2 {
		out[more[i].(string)] = more[i+1]
	}
	return out
}

func (w *world) door(path string) string { return w.server.GraphEndpoint() + "/lab" + path }

// upload sends credentials as the application and returns status and code of each, joined.
func (w *world) upload(items ...map[string]any) string {
	w.t.Helper()
	var out []string
	for _, x := range w.do(200, "POST", w.door("/credentials"), map[string]any{"credentials": items})["results"].([]any) {
		r := x.(map[string]any)
		out = append(out, fmt.Sprint(r["status"], " ", r["code"]))
	}
	return strings.Join(out, ", ")
}

// personally signs a person in, and returns the token or Entra's number.
func (w *world) personally(user, password string) (token string, code int) {
	w.t.Helper()
	status, body := w.grant(url.Values{"grant_type": {"password"}, "client_id": {w.server.ClientID}, "client_secret": {w.server.ClientSecret},
		"scope": {"User.Read openid"}, "username": {user}, "password": {password}}, w.server.TenantID)
	if status == http.StatusOK {
		if body["scope"] != "User.Read openid" || body["token_type"] != "Bearer" {
			w.t.Errorf("token: %v", body)
		}
		return body["access_token"].(string), 0
	}
	codes, _ := body["error_codes"].([]any)
	if status != http.StatusBadRequest || body["error"] != "invalid_grant" || len(codes) != 1 || !strings.HasPrefix(body["error_description"].(string), fmt.Sprintf("AADSTS%v: ", codes[0])) {
		w.t.Fatalf("%d %v", status, body)
	}
	return "", int(codes[0].(float64))
}

func (w *world) signsIn(want int, user, password string) {
	w.t.Helper()
	if _, code := w.personally(user, password); code != want {
		w.t.Errorf("%s signs in with %s: %d, want %d", user, password, code, want)
	}
}

// plain is a user whose cloud password need not be changed.
func (w *world) plain(name string, more ...any) string {
	w.t.Helper()
	return w.user(name, append([]any{"passwordProfile", map[string]any{"password": "Passw0rd!" + name, "forceChangePasswordNextSignIn": false}}, more...)...)
}

func TestAPersonSignsInByTheUploadedCredentialElseByTheCloudPassword(t *testing.T) {
	w := newWorld(t)
	ann := w.plain("ann", "onPremisesImmutableId", "QUJD")
	w.signsIn(0, "ann@contoso.test", "Passw0rd!ann")
	if got := w.upload(w.item(ann, "from the directory", 1)); got != "200 ok" {
		t.Fatal(got)
	}
	w.signsIn(0, "ann@contoso.test", "from the directory")
	w.signsIn(0, "ANN@contoso.test", "from the directory")
	w.signsIn(50126, "ann@contoso.test", "Passw0rd!ann")
	w.do(204, "PATCH", "/users/"+ann, map[string]any{"passwordProfile": map[string]any{"password": "Another-1", "forceChangePasswordNextSignIn": true}})
	w.signsIn(0, "ann@contoso.test", "from the directory")
	w.signsIn(50126, "ann@contoso.test", "Another-1")
}

func TestSignInsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann")
	w.plain("dis", "accountEnabled", false)
	w.lab(200, "POST", "/objects", map[string]any{"kind": "user", "properties": map[string]any{"userPrincipalName": "bare@contoso.test", "accountEnabled": true}})
	w.signsIn(50034, "nobody@contoso.test", "x")
	w.signsIn(50055, "ann@contoso.test", "Passw0rd!ann")
	w.signsIn(50126, "ann@contoso.test", "wrong")
	w.signsIn(50057, "dis@contoso.test", "Passw0rd!dis")
	w.signsIn(50126, "dis@contoso.test", "wrong")
	w.signsIn(50056, "bare@contoso.test", "x")
	w.do(204, "PATCH", "/users/"+ann, map[string]any{"passwordProfile": map[string]any{"forceChangePasswordNextSignIn": false}})
	w.signsIn(0, "ann@contoso.test", "Passw0rd!ann")
	w.upload(w.item(ann, "uploaded", 1, "mustChange", true))
	w.signsIn(50055, "ann@contoso.test", "uploaded")
	form := url.Values{"grant_type": {"password"}, "client_id": {w.server.ClientID}, "client_secret": {"no"}, "scope": {"x"}, "username": {"ann@contoso.test"}, "password": {"x"}}
	if status, body := w.grant(form, w.server.TenantID); status != 401 || !strings.Contains(body["error_description"].(string), "AADSTS7000215") {
		t.Errorf("wrong client: %d %v", status, body)
	}
	form.Set("client_secret", w.server.ClientSecret)
	if status, body := w.grant(form, "common"); status != 400 || !strings.Contains(body["error_description"].(string), "AADSTS9001023") {
		t.Errorf("at /common: %d %v", status, body)
	}
	form.Del("username")
	if status, body := w.grant(form, w.server.TenantID); status != 400 || !strings.Contains(body["error_description"].(string), "AADSTS900144") {
		t.Errorf("no username: %d %v", status, body)
	}
}

func TestTheTenantLocksAfterTenWrongPasswordsForAMinute(t *testing.T) {
	w := newWorld(t)
	ann := w.plain("ann", "onPremisesImmutableId", "QUJD")
	w.upload(w.item(ann, "right", 1))
	for range 9 {
		w.signsIn(50126, "ann@contoso.test", "wrong")
	}
	w.signsIn(0, "ann@contoso.test", "right") // begins the row anew
	for range 10 {
		w.signsIn(50126, "ann@contoso.test", "wrong")
	}
	w.signsIn(50053, "ann@contoso.test", "right")
	w.clock.pass(59 * time.Second)
	w.signsIn(50053, "ann@contoso.test", "right")
	w.clock.pass(time.Second)
	w.signsIn(0, "ann@contoso.test", "right")
}

func TestCloudPasswordsExpireOnlyWhereTheTenantSaysSo(t *testing.T) {
	w := newWorld(t)
	ann := w.plain("ann")
	w.plain("bob", "passwordPolicies", "DisablePasswordExpiration")
	w.clock.pass(1000 * 24 * time.Hour)
	w.signIn()
	w.signsIn(0, "ann@contoso.test", "Passw0rd!ann")
	w.lab(204, "POST", "/settings", map[string]any{"passwordLifeSeconds": 3600})
	w.signsIn(50055, "ann@contoso.test", "Passw0rd!ann")
	w.signsIn(0, "bob@contoso.test", "Passw0rd!bob")
	w.upload(w.item(ann, "of the directory", 1))
	w.clock.pass(30 * time.Minute)
	w.signsIn(0, "ann@contoso.test", "of the directory")
	w.clock.pass(2 * time.Hour)
	w.signsIn(0, "ann@contoso.test", "of the directory")
}

func TestWhoSentACredentialIsToldButNeverItsValue(t *testing.T) {
	w := newWorld(t)
	ann := w.plain("ann")
	w.refused(404, "Request_ResourceNotFound", "", "GET", w.door("/credentials/"+ann), nil)
	w.refused(404, "Request_ResourceNotFound", "", "GET", w.door("/credentials/ann@contoso.test"), nil)
	at := w.clock.now().Add(-time.Hour)
	item := w.item(ann, "right", 7, "by", "cloudsync", "mustChange", true, "changedAt", at.Format(time.RFC3339))
	w.upload(item)
	want := fmt.Sprintf("map[by:cloudsync changedAt:%s log:here mustChange:true number:7]", at.Format(time.RFC3339))
	if got := fmt.Sprint(w.do(200, "GET", w.door("/credentials/"+ann), nil)); got != want {
		t.Errorf("to the application: %s, want %s", got, want)
	}
	for _, ref := range []string{ann, strings.ToUpper(ann), "ann@contoso.test"} {
		if got := fmt.Sprint(w.lab(200, "GET", "/credentials/"+ref, nil)); got != want {
			t.Errorf("to the lab, of %s: %s", ref, got)
		}
	}
	if got := w.do(200, "GET", "/users/"+ann+"?$select=lastPasswordChangeDateTime", nil); got["lastPasswordChangeDateTime"] != at.Format(time.RFC3339) {
		t.Errorf("Graph shows %v", got)
	}
	for _, path := range []string{"/state", "/requests"} {
		raw, _ := json.Marshal(w.lab(200, "GET", path, nil))
		if text := item["credential"].(string); strings.Contains(string(raw), text[12:60]) || strings.Contains(string(raw), "Passw0rd!") {
			t.Errorf("%s shows a secret", path)
		}
	}
}

func TestOlderNumbersOfALogAreRefusedAndTheSameIsNoChange(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.plain("ann"), w.plain("bob")
	for _, c := range []struct{ got, want string }{
		{w.upload(w.item(ann, "five", 5)), "200 ok"}, {w.upload(w.item(ann, "four", 4)), "409 older"}, {w.upload(w.item(ann, "five again", 5)), "200 ok"},
		{w.upload(w.item(bob, "one", 1), w.item(ann, "of another log", 1, "log", "there")), "200 ok, 200 ok"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
	w.signsIn(0, "ann@contoso.test", "of another log")
	if got := w.upload(w.item(ann, "four", 4), w.item(ann, "six", 6)); got != "409 older, 200 ok" {
		t.Error(got)
	}
	w.signsIn(0, "ann@contoso.test", "six")
}

func TestEachItemHasAResultOfItsOwn(t *testing.T) {
	w := newWorld(t)
	ann, gone, group := w.plain("ann"), w.plain("gone"), w.group("g")
	w.do(204, "DELETE", "/users/"+gone, nil)
	bad := w.item(ann, "x", 1)
	bad["credential"] = strings.ToUpper(bad["credential"].(string))
	many := w.item(ann, "x", 1)
	many["credential"] = strings.Replace(many["credential"].(string), ",1000,", ",100000,", 1)
	got := w.upload(bad, many, w.item(ann, "x", 0), w.item(ann, "x", 1, "by", ""), w.item(ann, "x", 1, "by", "writeback"), w.item(ann, "x", 1, "changedAt", "0001-01-01T00:00:00Z"),
		w.item("ann@contoso.test", "x", 1), w.item(gone, "x", 1), w.item(group, "x", 1), w.item(ann, "right", 1))
	if want := "400 credential, 400 credential, 400 item, 400 item, 400 item, 400 item, 404 no-user, 404 no-user, 404 no-user, 200 ok"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	w.signsIn(0, "ann@contoso.test", "right")
	var items []map[string]any
	for range 51 {
		items = append(items, w.item(ann, "x", 2))
	}
	for name, body := range map[string]any{"51": map[string]any{"credentials": items}, "none": map[string]any{"credentials": []any{}}, "no number": map[string]any{"credentials": []any{w.item(ann, "x", 2, "number", "two")}},
		"unknown field": map[string]any{"credentials": items[:1], "colour": 1}, "no text": map[string]any{"credentials": []any{w.item(ann, "x", 2, "credential", 5)}}} {
		t.Run(name, func(t *testing.T) { w.refused(400, "BadRequest", "", "POST", w.door("/credentials"), body) })
	}
	w.signsIn(0, "ann@contoso.test", "right")
}

func TestOnlyTheApplicationSendsCredentials(t *testing.T) {
	w := newWorld(t)
	w.plain("ann")
	token, _ := w.personally("ann@contoso.test", "Passw0rd!ann")
	body := map[string]any{"credentials": []any{}}
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	w.refused(403, "Authorization_RequestDenied", "application", "POST", w.door("/credentials"), body, bearer(w.server.LabToken)...)
	w.refused(403, "Authorization_RequestDenied", "", "POST", w.door("/credentials"), body, bearer(token)...)
	w.refused(403, "Authorization_RequestDenied", "", "GET", w.door("/writeback"), nil, bearer(token)...)
	w.refused(403, "Authorization_RequestDenied", "application", "GET", w.door("/writeback"), nil, bearer(w.server.LabToken)...)
	w.refused(403, "Authorization_RequestDenied", "", "GET", w.door("/contacts"), nil, bearer(token)...)
	w.refused(401, "InvalidAuthenticationToken", "", "POST", w.door("/credentials"), body, bearer("rubbish")...)
	w.refused(401, "InvalidAuthenticationToken", "", "POST", w.door("/credentials"), body, "Authorization", "")
	for _, by := range []string{w.server.LabToken, w.token} {
		if got := fmt.Sprint(w.do(200, "GET", w.door("/"), nil, bearer(by)...)); got != "map[doors:[contacts credentials writeback]]" {
			t.Errorf("doors: %s", got)
		}
	}
}

func TestCredentialsLiveAndDieWithTheUser(t *testing.T) {
	w := newWorld(t)
	ann := w.plain("ann")
	w.upload(w.item(ann, "right", 3))
	w.do(204, "DELETE", "/users/"+ann, nil)
	w.signsIn(50034, "ann@contoso.test", "right")
	w.lab(200, "GET", "/credentials/"+ann, nil)
	w.do(200, "POST", "/directory/deletedItems/"+ann+"/restore", nil)
	w.signsIn(0, "ann@contoso.test", "right")
	if got := w.upload(w.item(ann, "older", 2)); got != "409 older" {
		t.Error(got)
	}
	w.do(204, "DELETE", "/users/"+ann, nil)
	w.do(204, "DELETE", "/directory/deletedItems/"+ann, nil)
	w.lab(404, "GET", "/credentials/"+ann, nil)
	again := w.plain("ann")
	w.lab(404, "GET", "/credentials/"+again, nil)
	w.signsIn(50126, "ann@contoso.test", "right")
}

func TestUploadsAreStruckByFaultsAsRequestsToGraphAre(t *testing.T) {
	w := newWorld(t)
	ann := w.plain("ann")
	body := func(password string, n int) map[string]any {
		return map[string]any{"credentials": []any{w.item(ann, password, n)}}
	}
	w.lab(200, "POST", "/faults", []any{map[string]any{"kind": "lost-before", "path": "^/lab/credentials$"}, map[string]any{"kind": "lost-after", "path": "^/lab/credentials$"},
		map[string]any{"kind": "ghost", "path": "^/lab/credentials$", "delayMillis": 60000}, map[string]any{"kind": "status", "status": 503, "path": "^/lab/credentials$"}})
	w.lost("POST", w.door("/credentials"), body("one", 1))
	w.lab(404, "GET", "/credentials/"+ann, nil)
	w.lost("POST", w.door("/credentials"), body("two", 2))
	w.signsIn(0, "ann@contoso.test", "two")
	w.lost("POST", w.door("/credentials"), body("ghost", 3))
	w.do(503, "POST", w.door("/credentials"), body("four", 4))
	w.upload(w.item(ann, "five", 5))
	w.clock.pass(time.Minute)
	w.lab(200, "GET", "/credentials/"+ann, nil) // lets the ghost loose
	if w.server.PendingGhosts() != 0 {
		t.Error("the ghost did not come")
	}
	w.signsIn(0, "ann@contoso.test", "five") // and its number is older
	var seen []string
	records, _ := w.server.Requests()
	for _, r := range records {
		if strings.HasPrefix(r.Path, "/lab/") {
			seen = append(seen, fmt.Sprint(r.Method, " ", r.Path, " ", r.Status, " ", r.Fault, " ", r.Keys))
		}
	}
	if got, want := strings.Join(seen, "\n"), `POST /lab/credentials 0 lost-before [credentials]
POST /lab/credentials 200 lost-after [credentials]
POST /lab/credentials 0 ghost [credentials]
POST /lab/credentials 503 status [credentials]
POST /lab/credentials 200  [credentials]
POST /lab/credentials 200 ghost [credentials]`; got != want {
		t.Errorf("log:\n%s\nwant\n%s", got, want)
	}
	w.lab(204, "POST", "/settings", map[string]any{"throttling": map[string]any{"appWrites": 1, "appWritesSeconds": 60}})
	w.upload(w.item(ann, "six", 6))
	resp, err := w.send("POST", w.door("/credentials"), body("seven", 7))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "60" {
		t.Errorf("throttled: %d %v", resp.StatusCode, resp.Header)
	}
}

func TestReadingACredentialLagsAsOtherReadsDo(t *testing.T) {
	w := newWorld(t)
	ann := w.plain("ann")
	w.upload(w.item(ann, "one", 1))
	w.lab(204, "POST", "/settings", map[string]any{"readLagMillis": 5000})
	w.do(404, "GET", w.door("/credentials/"+ann), nil)
	w.clock.pass(5 * time.Second)
	w.upload(w.item(ann, "two", 2))
	w.signsIn(0, "ann@contoso.test", "two") // what counts is what was written
	w.signsIn(50126, "ann@contoso.test", "one")
	for _, want := range []float64{1, 2} {
		if got := w.do(200, "GET", w.door("/credentials/"+ann), nil)["number"]; got != want {
			t.Errorf("number %v, want %v", got, want)
		}
		w.clock.pass(5 * time.Second)
	}
}

func TestAPersonsTokenIsNotTheApplications(t *testing.T) {
	w := newWorld(t)
	ann := w.plain("ann")
	token, _ := w.personally("ann@contoso.test", "Passw0rd!ann")
	auth := []string{"Authorization", "Bearer " + token}
	if got := w.do(200, "GET", "/me?$select=id", nil, auth...); got["id"] != ann {
		t.Errorf("/me: %v", got)
	}
	w.refused(400, "BadRequest", "delegated", "GET", "/me", nil)
	w.refused(403, "Authorization_RequestDenied", "", "GET", "/users", nil, auth...)
	w.refused(403, "Authorization_RequestDenied", "", "PATCH", "/users/"+ann, map[string]any{"jobTitle": "Chief"}, auth...)
	answers := w.do(200, "POST", "/$batch", requests(part("1", "DELETE", "/users/"+ann, nil), part("2", "GET", "/me", nil)), auth...)["responses"].([]any)
	for i, want := range []float64{403, 200} {
		if got := answers[i].(map[string]any)["status"]; got != want {
			t.Errorf("part %d: %v, want %v", i, got, want)
		}
	}
	w.do(204, "PATCH", "/users/"+ann, map[string]any{"accountEnabled": false})
	w.refused(401, "InvalidAuthenticationToken", "", "GET", "/me", nil, auth...)
}

func TestPasswordsOfUsersThatCannotBeMadeAreNotDerivedTwice(t *testing.T) {
	w := newWorld(t)
	w.plain("ann")
	w.refused(400, "Request_BadRequest", "already exists", "POST", "/users", user("ann", "passwordProfile", map[string]any{"password": "Stolen-Passw0rd"}))
	w.signsIn(50126, "ann@contoso.test", "Stolen-Passw0rd")
	w.refused(400, "Request_BadRequest", "jobTitle", "PATCH", "/users/ann@contoso.test", map[string]any{"jobTitle": "", "passwordProfile": map[string]any{"password": "Stolen-Passw0rd"}})
	w.signsIn(0, "ann@contoso.test", "Passw0rd!ann")
}

func TestTheAdministratorSignsInAndIsAPersonOfTheTenantsOwn(t *testing.T) {
	w := newWorld(t)
	o, err := w.model.AddAdministrator("admin@contoso.onmicrosoft.com", "Administrator", secret.Take([]byte("Correct-Horse-1")))
	if err != nil {
		t.Fatal(err)
	}
	w.signsIn(0, "admin@contoso.onmicrosoft.com", "Correct-Horse-1")
	if o.Properties["onPremisesImmutableId"] != nil {
		t.Error("the administrator looks like a directory's")
	}
	if _, err := w.model.AddAdministrator("x@elsewhere.test", "X", secret.Take([]byte("Correct-Horse-1"))); err == nil {
		t.Error("an administrator of a domain that is not the tenant's")
	}
	if _, err := w.model.AddAdministrator("y@contoso.test", "Y", &secret.Value{}); err == nil {
		t.Error("an administrator without a password")
	}
}

// A tenant without a network is what tests of other packages use.
func TestSignInNeedsNoWire(t *testing.T) {
	m := tenant.NewModel(tenant.Options{Salts: io.LimitReader(zeros{}, 1<<20)})
	o, err := m.CreateUser(user("ann", "passwordProfile", map[string]any{"password": "Passw0rd!ann"}))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.SignIn(o.ID, secret.Take([]byte("Passw0rd!ann"))); err != nil || got.ID != o.ID {
		t.Errorf("%v, %v", got.ID, err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
