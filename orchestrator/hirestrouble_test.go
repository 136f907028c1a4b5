package orchestrator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/scoping"
)

// owedOf are the debts of the tenant's objects.
func (w *hr) owedOf() []answer.Debt {
	return slices.DeleteFunc(w.tandem.Host().Debts(), func(d answer.Debt) bool { return !d.Key.Object.IsCloud() })
}

// inForce imports the policy of hires and lets connect read the directory.
func (w *hr) inForce() {
	w.t.Helper()
	w.open()
	w.importText(fmt.Sprintf(hiresPolicy, w.site.base, w.site.base))
	_, err := w.tandem.Host().SyncAll(w.t.Context(), "connect", run.SyncOptions{})
	w.must(err)
}

// A schema without the attribute of links is found before the policy is in force, and nothing is changed by the attempt.
func TestAPolicyWhoseLinkTheSchemaLacksIsRefused(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newHR(t, s)
		ann := w.hire(1, nil)
		w.open()
		lacking := map[string]string{"embedded": "msDS-SourceAnchor", "samba": scoping.DefaultLink}[s.name] // the domain's schema is that of Windows Server 2012 R2
		text := strings.ReplaceAll(fmt.Sprintf(hiresPolicy, s.base, s.base), "adminDescription", lacking)
		_, err := w.tandem.Host().Import(t.Context(), "policy.yaml", []byte(text), "test")
		if err == nil || !strings.Contains(err.Error(), "policy.yaml:5:5") || !strings.Contains(err.Error(), lacking+", which the schema of directory contoso lacks") || !strings.Contains(err.Error(), "link: adminDescription") {
			t.Fatalf("%v", err)
		}
		w.close()
		w.inForce()
		if r := w.sync(); r.Creates != 1 || w.account(ann) == nil {
			t.Errorf("with the attribute that is there: %+v", r)
		}
	})
}

// A container that is renamed is the same one. One that was deleted is named for each object that would come to it, no object is brought elsewhere, and the next run goes
// on once an administrator names another one.
func TestHiresWaitForAContainerThatIsGone(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newHR(t, s)
		w.hire(1, nil)
		w.inForce()
		if r := w.sync(); r.Creates != 1 {
			t.Fatalf("%+v", r)
		}
		w.must(w.conn.ModifyDN(ldap.NewModifyDNRequest("OU=New Hires,"+s.base, "OU=Newcomers", true, "")))
		w.hire(2, nil)
		if r := w.sync(); r.Creates != 1 || r.Failed+r.Held > 0 {
			t.Errorf("the container was renamed: %+v", r)
		}

		w.must(w.conn.ModifyDN(ldap.NewModifyDNRequest("OU=Newcomers,"+s.base, "OU=New Hires", true, "")))
		for _, e := range w.accounts() {
			w.remove(e.DN)
		}
		w.remove("OU=New Hires," + s.base)
		cleo := w.hire(3, nil)
		r := w.sync()
		told := map[string]int{}
		for _, p := range r.Errors {
			told[p.Code]++
		}
		if r.Applied != 0 || told["no-container"] != 1 || told["deleted-in-directory"] != 2 || !slices.ContainsFunc(r.Errors, func(p run.Problem) bool {
			return p.Object == "Hire Number3" && strings.Contains(p.Message, "OU=New Hires,"+s.base)
		}) {
			t.Errorf("the container was deleted: %+v", r)
		}
		if again := w.sync(); again.Applied != 0 || len(again.Errors) != len(r.Errors) {
			t.Errorf("again: %+v", again)
		}

		w.apply(strings.ReplaceAll(fmt.Sprintf(hiresPolicy, s.base, s.base), "OU=New Hires,", "OU=Teams,"))
		if r := w.sync(); r.Creates != 1 || len(r.Errors) != 2 {
			t.Errorf("another container was named: %+v", r)
		}
		found, err := w.conn.Search(ldap.NewSearchRequest("OU=Teams,"+s.base, ldap.ScopeSingleLevel, ldap.NeverDerefAliases, 0, 0, false, "(adminDescription=User_"+cleo+")", []string{"cn"}, nil))
		if err != nil || len(found.Entries) != 1 {
			t.Errorf("%v, %+v", err, found)
		}
	})
}

// At a controller that became read-only nothing is written; it is named with what to do, and once it is writable again the next run goes on.
func TestHiresWaitForAWritableController(t *testing.T) {
	w := newHR(t, embeddedSite(t)) // a Samba controller is read-only by its provision
	ann := w.hire(1, nil)
	w.inForce()
	settings := "CN=NTDS Settings,CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration," + w.site.base
	w.modify(settings, "msDS-isRODC", "TRUE")
	if r := w.brings(); r.Applied != 0 || len(r.Errors) != 1 || r.Errors[0].Code != "read-only" || !strings.Contains(r.Errors[0].Message, "name a writable one") {
		t.Errorf("at a read-only controller: %+v", r)
	}
	w.modify(settings, "msDS-isRODC", "FALSE")
	// What a directory refuses is tried again by itself after an hour, or when a person asks for it (errors retry).
	if r, err := w.tandem.Host().Provision(t.Context(), "cloudsync", run.SyncOptions{By: "ann"}); err != nil || r.Creates != 1 || w.account(ann) == nil || len(w.owedOf()) != 0 {
		t.Errorf("writable again: %v, %+v %+v", err, r, w.owedOf())
	}
}
