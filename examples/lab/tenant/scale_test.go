package tenant_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
)

func populate(t testing.TB, m *tenant.Model, users int) {
	t.Helper()
	for i := range users {
		if _, err := m.CreateUser(user(fmt.Sprintf("u%d", i), "onPremisesImmutableId", fmt.Sprintf("anchor-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTwentyThousandUsersAreReadThroughDelta(t *testing.T) {
	m := tenant.NewModel(tenant.Options{})
	populate(t, m, 20_000)
	seen, token := 0, ""
	for {
		page, err := m.Delta(tenant.User, tenant.DeltaRequest{Token: token})
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.Items)
		if token = page.NextToken; token == "" {
			break
		}
	}
	if seen != 20_000 {
		t.Errorf("%d users", seen)
	}
	if o, err := m.Get(tenant.User, "u19999@contoso.test"); err != nil || o.Properties["displayName"] != "u19999" {
		t.Errorf("%v %v", o, err)
	}
}

func BenchmarkCreateUserInLargeTenant(b *testing.B) {
	m := tenant.NewModel(tenant.Options{})
	populate(b, m, 20_000)
	for i := 0; b.Loop(); i++ {
		if _, err := m.CreateUser(user(fmt.Sprintf("x%d", i))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPatchOverTLS(b *testing.B) {
	m := tenant.NewModel(tenant.Options{})
	populate(b, m, 20_000)
	s, err := tenant.Serve(context.Background(), m, tenant.ServeOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	client, token := s.HTTPClient(), s.IssueToken()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			body := bytes.NewReader([]byte(fmt.Sprintf(`{"jobTitle":"t%d"}`, i)))
			req, _ := http.NewRequest("PATCH", fmt.Sprintf("%s/v1.0/users/u%d@contoso.test", s.GraphEndpoint(), i%20_000), body)
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := client.Do(req)
			if err != nil || resp.StatusCode != 204 {
				b.Error(err, resp)
				return
			}
			resp.Body.Close()
		}
	})
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte(`{"requests":[{"id":"1","method":"GET","url":"/users?$filter=id eq 'x'"},{"id":"2","method":"POST","url":"/groups","body":{"a":1},"headers":{"content-type":"application/json"},"dependsOn":["1"]}]}`))
	f.Add([]byte(`{"requests":[{"id":"1","method":"PATCH","url":"/groups(uniqueName='x')","body":{"members@odata.bind":["x"]},"headers":{"Content-Type":"a"}}]}`))
	s, err := tenant.Serve(context.Background(), tenant.NewModel(tenant.Options{}), tenant.ServeOptions{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	token := s.IssueToken()
	f.Fuzz(func(t *testing.T, body []byte) {
		req := httptest.NewRequest("POST", "https://tenant.test/v1.0/$batch", bytes.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, req)
		var out struct{ Responses []struct{ Status int } }
		if !json.Valid(w.Body.Bytes()) || w.Code != 200 && w.Code != 400 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code == 200 && len(out.Responses) == 0 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for _, r := range out.Responses {
			if r.Status < 200 || r.Status == 500 {
				t.Fatalf("a part was answered %d: %s", r.Status, w.Body)
			}
		}
	})
}
