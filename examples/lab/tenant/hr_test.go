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
	"github.com/tandem-sync/tandem/examples/lab/tenant/scim"
)

// An HR system of tests: people as maps of SCIM attributes.
type employee map[string]any

// hire is somebody with everything that an HR system usually knows.
func hire(number, name string, more ...any) employee {
	given, family, _ := strings.Cut(name, " ")
	p := employee{"externalId": number, "userName": strings.ToLower(given+"."+family) + "@contoso.test", "displayName": name, "active": true,
		"name": map[string]any{"givenName": given, "familyName": family}, "title": "Clerk"}
	return p.with(more...)
}

// with adds attributes; a name with a colon is one of the enterprise extension.
func (p employee) with(more ...any) employee {
	out := employee{}
	for k, v := range p {
		out[k] = v
	}
	extension := map[string]any{}
	if before, ok := out[scim.EnterpriseSchema].(map[string]any); ok {
		for k, v := range before {
			extension[k] = v
		}
	}
	for i := 0; i+1 < len(more); i += 2 {
		name := more[i].(string)
		switch part, isExtension := strings.CutPrefix(name, ":"); {
		case part == "manager":
			extension["manager"] = map[string]any{"value": more[i+1]}
		case isExtension:
			extension[part] = more[i+1]
		default:
			out[name] = more[i+1]
		}
	}
	out[scim.EnterpriseSchema] = extension
	return out
}

func bulk(people ...employee) map[string]any {
	operations := []any{}
	for i, p := range people {
		data := map[string]any{"schemas": []string{scim.CoreSchema, scim.EnterpriseSchema}}
		for k, v := range p {
			data[k] = v
		}
		operations = append(operations, map[string]any{"method": "POST", "bulkId": fmt.Sprint(i), "path": "/Users", "data": data})
	}
	return map[string]any{"schemas": []string{scim.BulkSchema}, "Operations": operations, "failOnErrors": nil}
}

const scimType = "application/scim+json"

// bulkUpload sends people, and demands to be told where the log is.
func (w *world) bulkUpload(people ...employee) (log string) {
	w.t.Helper()
	resp, err := w.send("POST", w.server.BulkUpload(), bulk(people...), "Content-Type", scimType)
	if err != nil {
		w.t.Fatal(err)
	}
	if body := decoded(w.t, resp); resp.StatusCode != http.StatusAccepted || len(body) > 0 {
		w.t.Fatalf("bulkUpload: %d %v", resp.StatusCode, body)
	}
	return resp.Header.Get("Location")
}

// provision sends people, waits until the log tells, and gives the entries, oldest first, of what happened since.
func (w *world) provision(people ...employee) []map[string]any {
	w.t.Helper()
	w.clock.pass(10 * time.Second) // the limit of the log is per 10 s
	before := len(w.entries())
	w.bulkUpload(people...)
	w.clock.pass(10 * time.Second)
	return w.entries()[before:]
}

func (w *world) entries() []map[string]any {
	w.t.Helper()
	rows, _ := w.rows("/auditLogs/provisioning?$orderby=" + q("activityDateTime asc"))
	return rows
}

// told is an entry in short: who, what was done, what came of it, and the code of an error.
func told(e map[string]any) string {
	status := e["provisioningStatusInfo"].(map[string]any)
	out := fmt.Sprintf("%s %s %s", e["sourceIdentity"].(map[string]any)["id"], e["provisioningAction"], status["status"])
	if info, failed := status["errorInformation"].(map[string]any); failed {
		out += " " + info["errorCode"].(string)
	}
	return out
}

func (w *world) tells(entries []map[string]any, want ...string) {
	w.t.Helper()
	var got []string
	for _, e := range entries {
		got = append(got, told(e))
	}
	if strings.Join(got, "; ") != strings.Join(want, "; ") {
		w.t.Fatalf("the log tells\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// employed finds the living users with an employeeId.
func (w *world) employed(number string) []map[string]any {
	w.t.Helper()
	rows, _ := w.rows("/users?$filter=" + q("employeeId eq '"+number+"'") + "&$expand=manager&$select=id,displayName,userPrincipalName,accountEnabled,department,jobTitle,mailNickname,employeeId")
	return rows
}

func (w *world) only(number string) map[string]any {
	w.t.Helper()
	rows := w.employed(number)
	if len(rows) != 1 {
		w.t.Fatalf("%d users with employeeId %s: %v", len(rows), number, rows)
	}
	return rows[0]
}

// Everything that mappings into a directory read comes over the delta query, and nothing that only a directory gives.
func TestAHireHasWhatADirectoryNeeds(t *testing.T) {
	w := newWorld(t)
	w.provision(hire("7", "Bo Boss"))
	ann := hire("8", "Ann Able", "title", "Engineer", "preferredLanguage", "de-DE", "userType", "Employee", ":department", "R&D", ":organization", "Contoso", ":division", "North",
		":costCenter", "4130", ":manager", "7",
		"emails", []any{map[string]any{"value": "home@example.test", "type": "home"}, map[string]any{"value": "ann.able@contoso.test", "type": "work", "primary": true}},
		"phoneNumbers", []any{map[string]any{"value": "+49 30 1", "type": "work"}, map[string]any{"value": "+49 170 2", "type": "mobile"}, map[string]any{"value": "+49 30 9", "type": "fax"}},
		"addresses", []any{map[string]any{"type": "home", "locality": "Elsewhere"},
			map[string]any{"type": "work", "streetAddress": "Main 1", "locality": "Berlin", "region": "BE", "postalCode": "10115", "country": "de"}})
	w.tells(w.provision(ann), "8 create success")
	names := "id,displayName,userPrincipalName,mailNickname,accountEnabled,employeeId,givenName,surname,department,jobTitle,companyName,usageLocation,mobilePhone,businessPhones,faxNumber," +
		"streetAddress,city,postalCode,state,country,mail,preferredLanguage,employeeType,employeeOrgData,onPremisesSyncEnabled,onPremisesImmutableId,onPremisesDistinguishedName," +
		"onPremisesSamAccountName,onPremisesUserPrincipalName,onPremisesDomainName,onPremisesSecurityIdentifier,manager"
	rows, _ := w.rows("/users/delta?$select=" + names)
	got := map[string]any{}
	for _, r := range rows {
		if r["employeeId"] == "8" {
			got = r
		}
	}
	boss := w.only("7")["id"]
	want := `{"accountEnabled":true,"businessPhones":["+49 30 1"],"city":"Berlin","companyName":"Contoso","country":"de","department":"R&D","displayName":"Ann Able","employeeId":"8",` +
		`"employeeOrgData":{"costCenter":"4130","division":"North"},"employeeType":"Employee","faxNumber":"+49 30 9","givenName":"Ann","id":"` + fmt.Sprint(got["id"]) + `","jobTitle":"Engineer",` +
		`"mail":"ann.able@contoso.test","mailNickname":"ann.able","manager@delta":[{"@odata.type":"#microsoft.graph.user","id":"` + fmt.Sprint(boss) + `"}],"mobilePhone":"+49 170 2",` +
		`"postalCode":"10115","preferredLanguage":"de-DE","state":"BE","streetAddress":"Main 1","surname":"Able","usageLocation":"DE","userPrincipalName":"ann.able@contoso.test"}`
	var wanted map[string]any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(wanted)
	if string(a) != string(b) {
		t.Errorf("the delta query gives\n%s\nwant\n%s", a, b)
	}
}

func TestAnUploadIsCarriedOutLaterAndToldLaterStill(t *testing.T) {
	w := newWorld(t, func(_ *tenant.Options, o *tenant.ServeOptions) {
		o.Provisioning = tenant.Delays{Cycle: time.Minute, Log: 5 * time.Minute}
	})
	where := w.bulkUpload(hire("7", "Ann Able"))
	if want := w.server.GraphEndpoint() + "/v1.0/auditLogs/provisioning/?$filter=jobid%20eq%20'API2AAD." + strings.ReplaceAll(w.server.TenantID, "-", ""); !strings.HasPrefix(where, want) {
		t.Errorf("Location %s, want %s…", where, want)
	}
	w.clock.pass(59 * time.Second)
	if n := len(w.employed("7")); n != 0 {
		t.Fatal("created at once")
	}
	w.clock.pass(time.Second)
	w.only("7")
	w.clock.pass(5*time.Minute - time.Second)
	if rows, _ := w.rows(where); len(rows) != 0 {
		t.Fatal("told too early")
	}
	w.clock.pass(time.Second)
	rows, _ := w.rows(where)
	w.tells(rows, "7 create success")
	if rows[0]["activityDateTime"] != "2026-11-01T09:01:00Z" || rows[0]["durationInMilliseconds"] != 60000.0 {
		t.Errorf("%v %v", rows[0]["activityDateTime"], rows[0]["durationInMilliseconds"])
	}
}

func TestWhatTheServiceFindsDecidesWhatHappens(t *testing.T) {
	w := newWorld(t)
	ann := hire("7", "Ann Able")
	w.tells(w.provision(ann), "7 create success")
	id := w.only("7")["id"]
	w.tells(w.provision(ann), "7 other skipped")
	w.tells(w.provision(ann.with("title", "Chief", ":department", "Sales")), "7 update success")
	w.tells(w.provision(ann.with("title", "Chief", "active", false)), "7 disable success")
	w.tells(w.provision(ann.with("title", "Chief", "active", true)), "7 update success")
	w.tells(w.provision(employee{"externalId": "7", "active": false}), "7 disable success") // as the documentation's third example: the rest stays
	if u := w.only("7"); u["id"] != id || u["jobTitle"] != "Chief" || u["department"] != "Sales" || u["accountEnabled"] != false {
		t.Errorf("%v", u)
	}
	w.tells(w.provision(hire("9", "Eve Early", "active", false)), "9 create success")
	if w.only("9")["accountEnabled"] != false {
		t.Error("a hire who is not active yet is enabled")
	}
	w.tells(w.provision(ann.with("title", nil, ":department", "")), "7 update success") // only active differs: null and empty do not flow
	if u := w.only("7"); u["jobTitle"] != "Chief" || u["department"] != "Sales" || u["accountEnabled"] != true {
		t.Errorf("%v", u)
	}
}

func TestSomeonesEntryTellsWhatWasDone(t *testing.T) {
	w := newWorld(t)
	ann := hire("7", "Ann Able")
	w.provision(ann)
	e := w.provision(ann.with("title", "Chief"))[0]
	modified, _ := json.Marshal(e["modifiedProperties"])
	if string(modified) != `[{"displayName":"jobTitle","newValue":"Chief","oldValue":"Clerk"}]` {
		t.Errorf("modified %s", modified)
	}
	var steps []string
	for _, s := range e["provisioningSteps"].([]any) {
		step := s.(map[string]any)
		steps = append(steps, fmt.Sprintf("%s/%s/%s", step["name"], step["provisioningStepType"], step["status"]))
	}
	if got := strings.Join(steps, " "); got != "EntryImportAdd/import/success EntryImport/matching/success EntrySynchronizationScoping/scoping/success EntryExportUpdate/export/success" {
		t.Errorf("steps %s", got)
	}
	if target := e["targetIdentity"].(map[string]any); target["id"] != w.only("7")["id"] || target["displayName"] != "Ann Able" {
		t.Errorf("target %v", target)
	}
	text, _ := json.Marshal(w.entries())
	if strings.Contains(string(text), "aA1!") {
		t.Error("the log tells a password")
	}
}

func TestNobodyIsMadeTwice(t *testing.T) {
	w := newWorld(t)
	synced, err := w.model.Seed(tenant.User, map[string]any{"displayName": "Sy Nced", "userPrincipalName": "sy@contoso.test", "employeeId": "70", "onPremisesSyncEnabled": true})
	if err != nil {
		t.Fatal(err)
	}
	fed := w.user("fed", "employeeId", "71", "onPremisesImmutableId", "AAAAAAAAAAAAAAAAAAAAAA==")
	for range 2 {
		w.user(fmt.Sprintf("twin%d", len(w.employed("72"))), "employeeId", "72")
	}
	const theirs = "AzureActiveDirectoryCannotUpdateObjectsOriginatedInExternalService"
	w.tells(w.provision(hire("70", "Sy Other"), hire("71", "Fe Other"), hire("72", "Twin Other")), "70 update failure "+theirs, "71 update failure "+theirs, "72 create failure DuplicateTargetEntries")
	w.tells(w.provision(employee{"externalId": "70"}), "70 other skipped") // nothing would change
	if w.only("70")["id"] != synced.ID || w.only("70")["displayName"] != "Sy Nced" || w.only("71")["id"] != fed || len(w.employed("72")) != 2 {
		t.Error("somebody was changed or made twice")
	}
	// One who is there already, but whom readers do not see yet.
	w.model.SetReadLag(time.Minute)
	w.tells(w.provision(hire("73", "La Gging"), hire("73", "La Gging", "title", "Chief")), "73 create success", "73 update success")
	w.tells(w.provision(hire("73", "La Gging", "title", "Chief")), "73 other skipped")
	w.model.SetReadLag(0)
	w.only("73")
}

func TestWhatTheTenantRefusesIsToldInTheLogAlone(t *testing.T) {
	w := newWorld(t)
	w.user("taken", "mail", "shared@contoso.test")
	work := func(mail string) []any { return []any{map[string]any{"value": mail, "type": "work"}} }
	for name, c := range map[string]struct {
		who  employee
		want string
	}{
		"a name that is taken":    {hire("1", "A B", "userName", "taken@contoso.test"), "1 create failure AzureActiveDirectoryDuplicateUserPrincipalName"},
		"a foreign domain":        {hire("1", "A B", "userName", "a@example.com"), "1 create failure AzureActiveDirectoryInvalidUserPrincipalName"},
		"no domain":               {hire("1", "A B", "userName", "a"), "1 create failure AzureActiveDirectoryInvalidUserPrincipalName"},
		"no sign-in name":         {hire("1", "A B", "userName", nil), "1 create failure MandatoryFieldsMissing"},
		"nothing to show":         {employee{"externalId": "1", "userName": "a@contoso.test"}, "1 create failure MandatoryFieldsMissing"},
		"an address that is used": {hire("1", "A B", "emails", work("shared@contoso.test")), "1 create failure AzureActiveDirectoryDuplicateProxyAddress"},
		"no address":              {hire("1", "A B", "emails", work("nothing")), "1 create failure AzureActiveDirectoryInvalidValue"},
		"a long number":           {hire("12345678901234567", "A B"), "12345678901234567 create failure AzureActiveDirectoryInvalidValue"},
		"a long title":            {hire("1", "A B", "title", strings.Repeat("x", 129)), "1 create failure AzureActiveDirectoryInvalidValue"},
	} {
		entries := w.provision(c.who)
		if len(entries) != 1 || told(entries[0]) != c.want {
			t.Errorf("%s: %v, want %s", name, entries, c.want)
			continue
		}
		info := entries[0]["provisioningStatusInfo"].(map[string]any)["errorInformation"].(map[string]any)
		if info["reason"] == "" || info["recommendedAction"] == "" || info["errorCategory"] != "nonServiceFailure" {
			t.Errorf("%s: %v", name, info)
		}
	}
	if n := len(w.employed("1")); n != 0 {
		t.Errorf("%d users came of it", n)
	}
	w.tells(w.provision(hire("1", "A B")), "1 create success") // and mended it is taken
}

func TestAManagerMayComeLater(t *testing.T) {
	w := newWorld(t)
	manager := func(number string) any {
		boss, _ := w.only(number)["manager"].(map[string]any)
		return boss["employeeId"]
	}
	// In one request, whichever comes first.
	w.tells(w.provision(hire("1", "One A", ":manager", "2"), hire("2", "Two B"), hire("3", "Three C", ":manager", "2")), "1 create success", "2 create success", "3 create success", "1 update success")
	if w.rowsManager("1") != w.only("2")["id"] || w.rowsManager("3") != w.only("2")["id"] {
		t.Error("in one request: no manager")
	}
	// In a later one, and by another's hand.
	w.tells(w.provision(hire("4", "Four D", ":manager", "5"), hire("6", "Six F", ":manager", "8")), "4 create success", "6 create success")
	w.tells(w.provision(hire("5", "Five E")), "5 create success", "4 update success")
	before := len(w.entries())
	eight := w.user("eight", "employeeId", "8", "onPremisesImmutableId", "AAAAAAAAAAAAAAAAAAAAAA==") // whom a directory feeds
	w.clock.pass(30 * time.Second)
	w.entries()
	w.clock.pass(30 * time.Second)
	w.tells(w.entries()[before:], "6 update success")
	if w.rowsManager("4") != w.only("5")["id"] || w.rowsManager("6") != eight {
		t.Errorf("later: %v %v", manager("4"), manager("6"))
	}
	// Another one takes the place, and nothing is done twice.
	w.tells(w.provision(hire("4", "Four D", ":manager", "2")), "4 update success")
	w.tells(w.provision(hire("4", "Four D", ":manager", "2")), "4 other skipped")
	// One who waits and is deleted is waited for no more; one who asks for another meanwhile gets that.
	w.tells(w.provision(hire("10", "Ten J", ":manager", "99"), hire("11", "Eleven K", ":manager", "99")), "10 create success", "11 create success")
	w.do(204, "DELETE", "/users/"+w.only("10")["id"].(string), nil)
	w.tells(w.provision(hire("11", "Eleven K", ":manager", "2")), "11 update success")
	w.tells(w.provision(hire("99", "Last Z")), "99 create success")
}

func (w *world) rowsManager(number string) any {
	w.t.Helper()
	return w.do(200, "GET", "/users/"+w.only(number)["id"].(string)+"/manager", nil)["id"]
}

func TestWhoWasDeletedIsHiredAgain(t *testing.T) {
	w := newWorld(t)
	ann := hire("7", "Ann Able")
	w.provision(ann)
	first := w.only("7")["id"].(string)
	w.do(204, "DELETE", "/users/"+first, nil)
	w.tells(w.provision(ann), "7 create success")
	second := w.only("7")["id"].(string)
	if first == second {
		t.Error("the deleted user came back")
	}
	w.do(204, "DELETE", "/users/"+second, nil)
	w.do(204, "DELETE", "/directory/deletedItems/"+first, nil)
	w.do(204, "DELETE", "/directory/deletedItems/"+second, nil)
	w.tells(w.provision(ann), "7 create success")
	w.tells(w.provision(ann), "7 other skipped")
	if third := w.only("7")["id"]; third == first || third == second {
		t.Error("a purged user came back")
	}
}

func TestAttributesOfOnesOwnFlowWhereTheTenantHasThem(t *testing.T) {
	w := newWorld(t)
	badge := w.model.RegisterExtension(w.server.ClientID, "badge")
	ann := hire("7", "Ann Able", "schemas", []string{scim.CoreSchema, scim.EnterpriseSchema, "urn:contoso:employee"},
		"urn:contoso:employee", map[string]any{"HireDate": "2026-12-01T00:00:00+01:00", "extensionAttribute3": "x", "Badge": "B7", "officeLocation": "4.12", "shoeSize": 44, "employeeId": "8"})
	w.tells(w.provision(ann), "7 create success")
	w.tells(w.provision(ann), "7 other skipped")
	u := w.do(200, "GET", "/users/"+w.only("7")["id"].(string)+"?$select=employeeHireDate,onPremisesExtensionAttributes,officeLocation,"+badge, nil)
	extra := u["onPremisesExtensionAttributes"].(map[string]any)
	if u["employeeHireDate"] != "2026-11-30T23:00:00Z" || extra["extensionAttribute3"] != "x" || u[badge] != "B7" || u["officeLocation"] != "4.12" {
		t.Errorf("%v", u)
	}
}

func TestARequestThatCannotBeReadIsRefusedWhole(t *testing.T) {
	w := newWorld(t)
	post := func(contentType, body string) (int, map[string]any) {
		req, err := http.NewRequest("POST", w.server.BulkUpload(), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+w.token)
		if contentType != "" {
			req.Header.Set("Content-Type", contentType)
		}
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, decoded(t, resp)
	}
	raw, _ := json.Marshal(bulk(hire("7", "Ann Able")))
	good := string(raw)
	many := []employee{}
	for i := range 51 {
		many = append(many, hire(fmt.Sprint(i), fmt.Sprintf("A%d B", i)))
	}
	tooMany, _ := json.Marshal(bulk(many...))
	for name, c := range map[string]struct{ kind, body, says string }{
		"JSON": {"application/json", good, "application/scim+json"}, "no type": {"", good, "application/scim+json"}, "form": {"application/x-www-form-urlencoded", good, "application/scim+json"},
		"no type at all": {";", good, "application/scim+json"}, "empty": {scimType, "", "ends too early"}, "malformed": {scimType, good[:100], "no JSON"}, "51": {scimType, string(tooMany), "at most 50"},
		"PUT":          {scimType, strings.Replace(good, `"method":"POST"`, `"method":"PUT"`, 1), "Operations[0].method"},
		"groups":       {scimType, strings.Replace(good, `/Users`, `/Groups`, 1), "Operations[0].path"},
		"other schema": {scimType, strings.Replace(good, "messages:2.0:BulkRequest", "messages:2.0:PatchOp", 1), "schemas"},
	} {
		w.clock.pass(time.Second)
		status, body := post(c.kind, c.body)
		e, _ := body["error"].(map[string]any)
		if status != 400 || e["code"] != "BadRequest" || !strings.Contains(fmt.Sprint(e["message"]), "Invalid Data Format") || !strings.Contains(fmt.Sprint(e["message"]), c.says) || e["innerError"] == nil {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
	w.clock.pass(time.Minute)
	if n := len(w.entries()); n != 0 {
		t.Errorf("%d entries came of it", n)
	}
	w.clock.pass(time.Second)
	if status, body := post(scimType+"; charset=utf-8", good); status != 202 {
		t.Errorf("with a charset: %d %v", status, body)
	}
}

func TestWhoMayUploadAndRead(t *testing.T) {
	w := newWorld(t)
	path, body := w.server.BulkUpload(), bulk(hire("7", "Ann Able"))
	w.refused(401, "InvalidAuthenticationToken", "empty", "POST", path, body, "Content-Type", scimType, "Authorization", "")
	w.refused(401, "InvalidAuthenticationToken", "", "POST", path, body, "Content-Type", scimType, "Authorization", "Bearer rubbish")
	w.lab(204, "POST", "/settings", map[string]any{"permissions": []string{"User.ReadWrite.All"}})
	w.refused(403, "Authentication_MSGraphPermissionMissing", "SynchronizationData-User.Upload", "POST", path, body, "Content-Type", scimType)
	w.refused(403, "Authentication_MSGraphPermissionMissing", "AuditLog.Read.All", "GET", "/auditLogs/provisioning", nil)
	w.do(200, "GET", "/users", nil) // no question of permissions there
	w.server.SetPermissions("SynchronizationData-User.Upload", "AuditLog.Read.All")
	w.do(202, "POST", path, body, "Content-Type", scimType)
	w.do(200, "GET", "/auditLogs/provisioning", nil)
	w.lab(204, "POST", "/settings", map[string]any{"permissions": nil})

	admin := w.user("admin", "passwordProfile", map[string]any{"password": "Passw0rd!", "forceChangePasswordNextSignIn": false})
	status, grant := w.grant(form(w, "admin@contoso.test", "Passw0rd!"), w.server.TenantID)
	if status != 200 {
		t.Fatalf("%v", grant)
	}
	token := "Bearer " + grant["access_token"].(string)
	w.refused(403, "Authorization_RequestDenied", "Insufficient privileges", "POST", path, body, "Content-Type", scimType, "Authorization", token)
	w.refused(403, "Authorization_RequestDenied", "Insufficient privileges", "GET", "/auditLogs/provisioning", nil, "Authorization", token)
	w.lab(200, "POST", "/roles", map[string]any{"principalId": admin, "roleId": "fe930be7-5e62-47db-91af-98c3a49a38b1"}) // User Administrator
	w.lab(200, "POST", "/roles", map[string]any{"principalId": admin, "roleId": "4a5d8f65-41da-4de4-8968-e035b65339cf"}) // Reports Reader
	w.do(202, "POST", path, body, "Content-Type", scimType, "Authorization", token)
	w.do(200, "GET", "/auditLogs/provisioning", nil, "Authorization", token)

	sp := w.do(200, "GET", "/servicePrincipals(appId='"+w.server.ClientID+"')", nil)["id"].(string)
	w.refused(404, "Request_ResourceNotFound", "", "POST", strings.Replace(path, "API2AAD", "API2AD", 1), body, "Content-Type", scimType)
	w.refused(404, "Request_ResourceNotFound", "", "POST", "/servicePrincipals/"+sp+"/synchronization/jobs/x/bulkUpload", body, "Content-Type", scimType)
	w.refused(404, "Request_ResourceNotFound", "", "POST", "/servicePrincipals/nobody/synchronization/jobs/x/bulkUpload", body, "Content-Type", scimType)
	w.refused(405, "Request_BadRequest", "", "PUT", path, body, "Content-Type", scimType)
}

func form(w *world, user, password string) url.Values {
	return url.Values{"grant_type": {"password"}, "client_id": {w.server.ClientID}, "client_secret": {w.server.ClientSecret}, "scope": {"https://graph.microsoft.com/.default"},
		"username": {user}, "password": {password}}
}

func TestUploadsAndTheLogHaveLimitsOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	body := bulk(hire("7", "Ann Able"))
	limited := func(want string, method, path string, body any) {
		t.Helper()
		resp, err := w.send(method, path, body, "Content-Type", scimType)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != want {
			t.Fatalf("%d, Retry-After %q, want %s", resp.StatusCode, resp.Header.Get("Retry-After"), want)
		}
	}
	for range 40 {
		w.do(202, "POST", w.server.BulkUpload(), body, "Content-Type", scimType)
	}
	limited("1", "POST", w.server.BulkUpload(), body)
	w.clock.pass(time.Second)
	w.do(202, "POST", w.server.BulkUpload(), body, "Content-Type", scimType)
	for range 5 {
		w.do(200, "GET", "/auditLogs/provisioning", nil)
	}
	limited("2", "GET", "/auditLogs/provisioning", nil)
	w.do(200, "GET", "/users", nil)
	w.clock.pass(2 * time.Second)
	w.do(200, "GET", "/auditLogs/provisioning", nil)
	w.lab(204, "POST", "/settings", map[string]any{"serviceLimits": false})
	for range 100 {
		w.do(200, "GET", "/auditLogs/provisioning", nil)
	}
}

func TestTheLogIsReadInPagesAndByFilters(t *testing.T) {
	w := newWorld(t)
	w.server.SetServiceLimits(false)
	var people []employee
	for i := range 7 {
		people = append(people, hire(fmt.Sprintf("p%d", i), fmt.Sprintf("P%d Q", i)))
	}
	w.provision(people...)
	w.provision(hire("bad", "A B", "userName", "a@example.com"))
	who := func(rows []map[string]any) string {
		var out []string
		for _, r := range rows {
			out = append(out, r["sourceIdentity"].(map[string]any)["id"].(string))
		}
		return strings.Join(out, " ")
	}
	job := w.entries()[0]["jobId"].(string)
	for filter, want := range map[string]string{
		"jobid eq '" + job + "'": "bad p6 p5 p4 p3 p2 p1 p0", "jobId eq '" + strings.ToLower(job) + "'": "", "statusInfo/status eq 'failure'": "bad",
		"provisioningStatusInfo/status eq 'success'": "p6 p5 p4 p3 p2 p1 p0", "statusInfo/status eq 'Failure'": "", "sourceIdentity/id eq 'p3'": "p3",
		"contains(targetIdentity/displayName,'P4')": "p4", "jobid eq '" + job + "' and statusInfo/status eq 'failure' and activityDateTime ge 2026-11-01T09:00:00Z": "bad",
		"activityDateTime lt 2026-11-01T09:00:00Z": "", "activityDateTime gt 2026-11-01T09:00:12Z": "bad", "(sourceIdentity/id eq 'p1' or sourceIdentity/id eq 'p2') and provisioningAction eq 'create'": "p2 p1",
	} {
		rows, _ := w.rows("/auditLogs/provisioning/?$filter=" + q(filter))
		if got := who(rows); got != want {
			t.Errorf("%s: %q, want %q", filter, got, want)
		}
	}
	pages := 0
	var rows []map[string]any
	for path := "/auditLogs/provisioning?$top=3"; path != ""; pages++ {
		page := w.do(200, "GET", path, nil)
		for _, r := range page["value"].([]any) {
			rows = append(rows, r.(map[string]any))
		}
		if pages == 0 {
			w.provision(hire("new", "N N")) // what comes between two pages moves nothing
		}
		path, _ = page["@odata.nextLink"].(string)
	}
	if got := who(rows); got != "bad p6 p5 p4 p3 p2 p1 p0" || pages != 3 {
		t.Errorf("in %d pages: %s", pages, got)
	}
	for _, bad := range []string{"$filter=" + q("nothing eq 'x'"), "$filter=" + q("jobid ne 'x'"), "$filter=" + q("startswith(jobid,'x')"), "$filter=" + q("not(jobid eq 'x')"), "$filter=jobid",
		"$top=0", "$top=1001", "$orderby=jobId", "$select=id", "$skiptoken=%21"} {
		w.do(400, "GET", "/auditLogs/provisioning?"+bad, nil)
	}
	w.clock.pass(31 * 24 * time.Hour)
	w.signIn()
	if n := len(w.entries()); n != 0 {
		t.Errorf("%d entries are kept for ever", n)
	}
}

func TestAJobCanBePausedAndRestarted(t *testing.T) {
	w := newWorld(t)
	w.server.SetServiceLimits(false)
	base := strings.TrimSuffix(w.server.BulkUpload(), "/bulkUpload")
	list, _ := w.rows(base[:strings.LastIndex(base, "/")])
	if len(list) != 1 || list[0]["status"].(map[string]any)["code"] != "Active" {
		t.Fatalf("jobs: %v", list)
	}
	w.do(204, "POST", base+"/pause", nil)
	w.tells(w.provision(hire("1", "A B")))
	if code := w.do(200, "GET", base, nil)["status"].(map[string]any)["code"]; code != "Paused" {
		t.Errorf("status %v", code)
	}
	w.do(204, "POST", base+"/start", nil)
	w.clock.pass(10 * time.Second)
	w.tells(w.entries(), "1 create success")
	w.do(204, "POST", base+"/pause", nil)
	w.provision(hire("2", "C D"))
	w.do(204, "POST", base+"/restart", nil)
	w.tells(w.provision(hire("3", "E F")), "3 create success") // what was staged is forgotten
}

// What an answer of the log is made of has the names and types that Microsoft publishes.
func TestTheLogHasThePublishedTypes(t *testing.T) {
	w := newWorld(t)
	types := published(t)
	w.provision(hire("1", "A B", ":manager", "9"), hire("2", "C D", "userName", "x"))
	entries := w.provision(hire("1", "A B", ":manager", "9"))
	for _, e := range append(entries, w.entries()...) {
		conforms(t, types, "provisioningObjectSummary", e)
	}
	conforms(t, types, "synchronizationJob", w.do(200, "GET", strings.TrimSuffix(w.server.BulkUpload(), "/bulkUpload"), nil))
}

// conforms checks an object against the published properties of its type, and what it is made of.
func conforms(t *testing.T, types map[string]map[string]string, name string, object map[string]any) {
	t.Helper()
	for property, v := range object {
		edm := types[name][property]
		if strings.HasPrefix(property, "@") {
			continue
		}
		of, inner := strings.CutPrefix(strings.TrimSuffix(strings.TrimPrefix(edm, "Collection("), ")"), "graph.")
		switch x := v.(type) {
		case map[string]any:
			if inner && types[of] != nil {
				conforms(t, types, of, x)
			}
		case []any:
			for _, each := range x {
				if m, ok := each.(map[string]any); ok && inner {
					conforms(t, types, of, m)
				}
			}
		}
		if !typed(v, edm, types) {
			t.Errorf("%s.%s is %v, published type %q", name, property, v, edm)
		}
	}
}

// typed is jsonType with numbers and the names of enumerations.
func typed(v any, edm string, types map[string]map[string]string) bool {
	switch x := v.(type) {
	case float64:
		return strings.HasPrefix(edm, "Edm.Int")
	case string:
		if members := types[strings.TrimPrefix(edm, "graph.")]; strings.HasPrefix(edm, "graph.") {
			_, known := members[x]
			return known
		}
		return edm == "Edm.Duration" || jsonType(v, edm)
	}
	return jsonType(v, edm)
}
