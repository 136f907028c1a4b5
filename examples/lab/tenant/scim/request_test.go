package scim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/examples/lab/tenant/scim"
)

const user = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"externalId":"701984"}`

func bulk(operations ...string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + strings.Join(operations, ",") + `],"failOnErrors":null}`
}

func operation(id, data string) string {
	return fmt.Sprintf(`{"method":"POST","bulkId":%q,"path":"/Users","data":%s}`, id, data)
}

// with adds members to the user, or puts others in their place.
func with(members string) string { return strings.TrimSuffix(user, "}") + "," + members + "}" }

// The request of the documentation, with all that it has.
func TestTheDocumentedRequestIsReadWhole(t *testing.T) {
	body, err := os.ReadFile("testdata/documented.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := scim.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	active := true
	want := scim.Request{Operations: []scim.Operation{{BulkID: "1", User: scim.User{
		ExternalID: "701984", UserName: "bjensen@contoso.test", DisplayName: "Babs Jensen", NickName: "Babs", Title: "Tour Guide", UserType: "Employee", PreferredLanguage: "en-US",
		Name: scim.Name{Formatted: "Ms. Barbara J Jensen, III", FamilyName: "Jensen", GivenName: "Barbara"}, Active: &active,
		Emails: []scim.Value{{Value: "bjensen@contoso.test", Type: "work", Primary: true}}, PhoneNumbers: []scim.Value{{Value: "555-555-5555", Type: "work"}},
		Addresses:  []scim.Address{{Street: "100 Universal City Plaza", Locality: "Hollywood", Region: "CA", PostalCode: "91608", Country: "US", Type: "work", Primary: true}},
		Enterprise: scim.Enterprise{EmployeeNumber: "701984", CostCenter: "4130", Organization: "Universal Studios", Division: "Theme Park", Department: "Tour Operations", Manager: "89607"},
		Custom:     []scim.Custom{{"urn:contoso:employee", "HireDate", "2021-05-01T00:00:00-05:00"}, {"urn:contoso:employee", "Level", "7"}},
	}}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestARequestThatBreaksARuleIsRefusedWithItsPlace(t *testing.T) {
	many := make([]string, scim.MaxOperations+1)
	for i := range many {
		many[i] = operation(fmt.Sprint(i), user)
	}
	for name, c := range map[string]struct{ body, at, text string }{
		"nothing":                {``, "", "ends too early"},
		"no JSON":                {`{"schemas":}`, "", "no JSON"},
		"half":                   {bulk(operation("1", user))[:200], "", "ends too early"},
		"a list":                 {`[]`, "", "no JSON object, but a list"},
		"null":                   {`null`, "", "no JSON object, but null"},
		"two documents":          {bulk(operation("1", user)) + "{}", "", "something follows"},
		"not UTF-8":              {bulk(operation("1", with("\"title\":\"\xff\""))), "", "UTF-8"},
		"deep":                   {strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), "a.a.a", "too deeply"},
		"a member twice":         {bulk(operation("1", with(`"active":true,"Active":false`))), "Operations[0].data.Active", "stands twice"},
		"no schemas":             {`{"Operations":[` + operation("1", user) + `]}`, "schemas", scim.BulkSchema},
		"another schema":         {strings.Replace(bulk(operation("1", user)), "BulkRequest", "PatchOp", 1), "schemas", scim.BulkSchema},
		"two schemas":            {strings.Replace(bulk(operation("1", user)), `BulkRequest"`, `BulkRequest","urn:x"`, 1), "schemas", scim.BulkSchema},
		"schemas as a text":      {strings.Replace(bulk(operation("1", user)), `["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]`, `"urn:ietf:params:scim:api:messages:2.0:BulkRequest"`, 1), "schemas", "a list is due, not a text"},
		"no operations":          {`{"schemas":["` + scim.BulkSchema + `"]}`, "Operations", "missing"},
		"none":                   {bulk(), "Operations", "none"},
		"operations as object":   {`{"schemas":["` + scim.BulkSchema + `"],"Operations":{}}`, "Operations", "a list is due, not an object"},
		"51":                     {bulk(many...), "Operations", "51, and at most 50"},
		"an operation as text":   {bulk(`"x"`), "Operations[0]", "an object is due, not a text"},
		"PATCH":                  {bulk(strings.Replace(operation("1", user), "POST", "PATCH", 1)), "Operations[0].method", "only POST"},
		"post":                   {bulk(strings.Replace(operation("1", user), "POST", "post", 1)), "Operations[0].method", "only POST"},
		"no method":              {bulk(`{"bulkId":"1","path":"/Users","data":` + user + `}`), "Operations[0].method", "missing"},
		"groups":                 {bulk(strings.Replace(operation("1", user), "/Users", "/Groups", 1)), "Operations[0].path", "only /Users"},
		"one user":               {bulk(strings.Replace(operation("1", user), "/Users", "/Users/7", 1)), "Operations[0].path", "only /Users"},
		"no bulkId":              {bulk(operation("", user)), "Operations[0].bulkId", "missing"},
		"a number as bulkId":     {bulk(strings.Replace(operation("1", user), `"1"`, `1`, 1)), "Operations[0].bulkId", "a text is due, not a number"},
		"a bulkId twice":         {bulk(operation("1", user), operation("2", user), operation("1", user)), "Operations[2].bulkId", "Operations[0] too"},
		"no data":                {bulk(`{"method":"POST","bulkId":"1","path":"/Users"}`), "Operations[0].data", "missing"},
		"data as text":           {bulk(operation("1", `"x"`)), "Operations[0].data", "an object is due, not a text"},
		"no core schema":         {bulk(operation("1", strings.Replace(user, "core:2.0:User", "core:2.0:Group", 1))), "Operations[0].data.schemas", scim.CoreSchema},
		"no enterprise schema":   {bulk(operation("1", strings.Replace(user, "extension:enterprise", "extension:other", 1))), "Operations[0].data.schemas", scim.EnterpriseSchema},
		"a number as schema":     {bulk(operation("1", strings.Replace(user, `"schemas":[`, `"schemas":[7,`, 1))), "Operations[0].data.schemas[0]", "a text is due, not a number"},
		"no externalId":          {bulk(operation("1", strings.Replace(user, `"701984"`, `null`, 1))), "Operations[0].data.externalId", "missing"},
		"a number as externalId": {bulk(operation("1", strings.Replace(user, `"701984"`, `701984`, 1))), "Operations[0].data.externalId", "a text is due, not a number"},
		"an undeclared schema":   {bulk(operation("1", with(`"urn:contoso:employee":{}`))), "Operations[0].data.urn:contoso:employee", "not among"},
		"active as text":         {bulk(operation("1", with(`"active":"True"`))), "Operations[0].data.active", "true or false is due, not a text"},
		"a title as list":        {bulk(operation("1", with(`"title":["x"]`))), "Operations[0].data.title", "a text is due, not a list"},
		"a name as text":         {bulk(operation("1", with(`"name":"Ann"`))), "Operations[0].data.name", "an object is due, not a text"},
		"mails as object":        {bulk(operation("1", with(`"emails":{"value":"x"}`))), "Operations[0].data.emails", "a list is due, not an object"},
		"a mail as text":         {bulk(operation("1", with(`"emails":["x"]`))), "Operations[0].data.emails[0]", "an object is due, not a text"},
		"two primary mails":      {bulk(operation("1", with(`"emails":[{"primary":true},{},{"primary":true}]`))), "Operations[0].data.emails[2].primary", "another one"},
		"a street as number":     {bulk(operation("1", with(`"addresses":[{"streetAddress":7}]`))), "Operations[0].data.addresses[0].streetAddress", "a text is due, not a number"},
		"a manager as text":      {bulk(operation("1", with(`"`+scim.EnterpriseSchema+`":{"manager":"7"}`))), "Operations[0].data." + scim.EnterpriseSchema + ".manager", "an object is due, not a text"},
		"failOnErrors as text":   {strings.Replace(bulk(operation("1", user)), `:null}`, `:"1"}`, 1), "failOnErrors", "a number is due, not a text"},
		"failOnErrors as -1":     {strings.Replace(bulk(operation("1", user)), `:null}`, `:-1}`, 1), "failOnErrors", "-1"},
	} {
		_, err := scim.Parse([]byte(c.body))
		var e *scim.Error
		if !errors.As(err, &e) || !strings.HasPrefix(e.At, c.at) || c.at == "" && e.At != "" || !strings.Contains(e.Text, c.text) {
			t.Errorf("%s: %v, want %s: %s", name, err, c.at, c.text)
		}
	}
}

func TestWhatNobodyKnowsIsPassedOver(t *testing.T) {
	r, err := scim.Parse([]byte(bulk(operation("1", with(`"shoeSize":44,"USERNAME":"ann@x","title":null,"name":null,"emails":null,"active":null`)))))
	if err != nil {
		t.Fatal(err)
	}
	if u := r.Operations[0].User; u.UserName != "ann@x" || u.Title != "" || u.Active != nil || u.Emails != nil {
		t.Errorf("%+v", u)
	}
}

// written is a request as somebody sends it, to be read again.
func written(r scim.Request) []byte {
	var operations []any
	for _, op := range r.Operations {
		u := op.User
		schemas := []string{scim.CoreSchema, scim.EnterpriseSchema}
		data := map[string]any{"externalId": u.ExternalID, "userName": u.UserName, "displayName": u.DisplayName, "nickName": u.NickName, "title": u.Title, "userType": u.UserType,
			"preferredLanguage": u.PreferredLanguage, "active": u.Active, "name": map[string]any{"formatted": u.Name.Formatted, "familyName": u.Name.FamilyName, "givenName": u.Name.GivenName},
			scim.EnterpriseSchema: map[string]any{"employeeNumber": u.Enterprise.EmployeeNumber, "costCenter": u.Enterprise.CostCenter, "organization": u.Enterprise.Organization,
				"division": u.Enterprise.Division, "department": u.Enterprise.Department, "manager": map[string]any{"value": u.Enterprise.Manager}}}
		for name, list := range map[string][]scim.Value{"emails": u.Emails, "phoneNumbers": u.PhoneNumbers} {
			var rows []any
			for _, v := range list {
				rows = append(rows, map[string]any{"value": v.Value, "type": v.Type, "primary": v.Primary})
			}
			data[name] = rows
		}
		var rows []any
		for _, a := range u.Addresses {
			rows = append(rows, map[string]any{"streetAddress": a.Street, "locality": a.Locality, "region": a.Region, "postalCode": a.PostalCode, "country": a.Country, "type": a.Type, "primary": a.Primary})
		}
		data["addresses"] = rows
		for _, c := range u.Custom {
			of, _ := data[c.Schema].(map[string]any)
			if of == nil {
				of = map[string]any{}
				schemas = append(schemas, c.Schema)
			}
			of[c.Name] = c.Value
			data[c.Schema] = of
		}
		data["schemas"] = schemas
		operations = append(operations, map[string]any{"method": "POST", "path": "/Users", "bulkId": op.BulkID, "data": data})
	}
	raw, _ := json.Marshal(map[string]any{"schemas": []string{scim.BulkSchema}, "Operations": operations})
	return raw
}

// Whatever is accepted has what every request has, and says the same when it is written and read again.
func FuzzParse(f *testing.F) {
	documented, err := os.ReadFile("testdata/documented.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(documented)
	f.Add([]byte(bulk(operation("1", user), operation("2", with(`"active":false,"emails":[{"value":"x","type":"home"}]`)))))
	f.Add([]byte(`{"schemas":[],"Operations":[{}]}`))
	f.Add([]byte(`{"a":{"A":[{}]},"b":1e400}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := scim.Parse(body)
		if err != nil {
			var e *scim.Error
			if !errors.As(err, &e) || e.Text == "" {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		seen := map[string]bool{}
		for _, op := range r.Operations {
			if op.BulkID == "" || op.User.ExternalID == "" || seen[op.BulkID] {
				t.Fatalf("accepted: %+v", op)
			}
			seen[op.BulkID] = true
		}
		if n := len(r.Operations); n == 0 || n > scim.MaxOperations {
			t.Fatalf("accepted %d operations", n)
		}
		again, err := scim.Parse(written(r))
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("%v\n%+v\n%+v", err, r, again)
		}
	})
}
