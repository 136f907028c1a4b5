package lab_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/examples/lab"
	"github.com/tandem-sync/tandem/plugins/directory/rights"
	"github.com/tandem-sync/tandem/scoping"
)

// What outside tools find in lab.json is enough to act as an administrator of the tenant.
func TestTheAdministratorInLabJSONResetsPasswords(t *testing.T) {
	l, err := lab.Up(t.Context(), lab.Options{Dir: t.TempDir(), Directory: lab.NoDirectory})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	raw, err := os.ReadFile(filepath.Join(l.Dir, "lab.json"))
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ GraphEndpoint, Authority, TenantID, ClientID, ClientSecret, AdminUser, AdminPassword string }
	if err := json.Unmarshal(raw, &said); err != nil {
		t.Fatal(err)
	}
	client := l.Tenant.HTTPClient()
	defer client.CloseIdleConnections()
	grant, err := client.PostForm(said.Authority+"/"+said.TenantID+"/oauth2/v2.0/token", url.Values{"grant_type": {"password"}, "client_id": {said.ClientID}, "client_secret": {said.ClientSecret},
		"scope": {said.GraphEndpoint + "/.default"}, "username": {said.AdminUser}, "password": {said.AdminPassword}})
	if err != nil {
		t.Fatal(err)
	}
	defer grant.Body.Close()
	var token struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(grant.Body).Decode(&token); err != nil || grant.StatusCode != http.StatusOK {
		t.Fatalf("signing in: %d, %v", grant.StatusCode, err)
	}
	ann, err := l.Model.CreateUser(map[string]any{"accountEnabled": true, "displayName": "Ann", "mailNickname": "ann", "userPrincipalName": "ann@" + l.Domain(),
		"passwordProfile": map[string]any{"password": "Passw0rd!ann"}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, said.GraphEndpoint+"/v1.0/users/"+ann.ID+"/authentication/methods/28c10230-6103-485e-b985-444c60001490/resetPassword",
		strings.NewReader(`{"newPassword":"Temporary-1"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token.Access)
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		t.Errorf("%d", answer.StatusCode)
	}
	objects, err := l.Objects()
	if err != nil || len(objects) != 1 {
		t.Errorf("the lab counts its own administrator: %v, %v", objects, err)
	}
}

// HR's people are in the tenant when the log has told of them.
func TestTheTenantEmploysWhomHRSends(t *testing.T) {
	l, err := lab.Up(t.Context(), lab.Options{Dir: t.TempDir(), Directory: lab.NoDirectory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	told, err := l.Employ(t.Context(), lab.Employee{Number: "1", GivenName: "Ann", Surname: "Able", UserName: "ann@contoso.test", Manager: "2", Active: true},
		lab.Employee{Number: "2", GivenName: "Bo", Surname: "Boss", UserName: "bo@contoso.test", Active: true}, lab.Employee{Number: "3", UserName: "no@elsewhere.test", GivenName: "No", Surname: "One"})
	if err != nil || told["1"] != (lab.Employed{Action: "create", Status: "success"}) || told["2"].Status != "success" || told["3"].Status != "failure" || told["3"].Reason == "" {
		t.Fatalf("%v %v", told, err)
	}
	ann, _ := l.User("ann@contoso.test")
	bo, there := l.User("bo@contoso.test")
	if !there || ann.Manager != bo.ID {
		t.Errorf("%+v %+v", ann, bo)
	}
}

// The account that provisions can make and change accounts of people where they belong, and nowhere else.
func TestTheAccountThatProvisionsMayDoThatAlone(t *testing.T) {
	l, err := lab.Up(t.Context(), lab.Options{Dir: t.TempDir(), Users: 40, Hires: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	connection, accounts := l.Connection()
	a, there := accounts[scoping.Provision]
	if !there || len(a.Under) != 1 || a.Under[0] != l.OU(lab.HiresOU) {
		t.Fatalf("%+v", accounts)
	}
	for _, f := range rights.Of(t.Context(), scoping.Provision, connection, a) {
		if f.Level != rights.Fine {
			t.Errorf("%+v", f)
		}
	}
	text, err := os.ReadFile(l.ConfigFile)
	if err != nil || !strings.Contains(string(text), `provision: {user: "svc-provision@contoso.test", passwordFile: ./ad-password-provision, under: ["OU=New Hires,DC=contoso,DC=test"]}`) {
		t.Errorf("%s %v", text, err)
	}
}
