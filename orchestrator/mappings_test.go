package orchestrator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// ownMappings put people into an OU of their city, as the page about mappings does.
const ownMappings = `      provisioning:
        users:
          base: hr
          mappings:
            - target: parentDistinguishedName
              expression: Switch([city], %Container%, "Hamburg", "OU=Hamburg," & %Container%, "Brno", "OU=Brno," & %Container%)
            - {target: title, expression: "[jobTitle]", default: New hire}
            - {target: department, expression: "Append([department], [officeLocation])"}
            - {target: mobile, leaveOut: true}
`

// What people's own mappings say holds in the directory: where accounts lie, what only new ones get, and that a value which the directory does not take changes nothing.
func TestOwnMappingsHoldInTheDirectory(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newHR(t, s)
		for _, ou := range []string{"Hamburg", "Brno"} {
			w.add("OU="+ou+",OU=New Hires,"+s.base, map[string][]string{"objectClass": {"organizationalUnit"}})
		}
		w.extra = ownMappings
		w.write()
		ann := w.hire(1, map[string]any{"city": "Hamburg", "mobilePhone": "+49 1"})
		bob := w.hire(2, map[string]any{"jobTitle": "Engineer"})
		w.open()
		w.importText(fmt.Sprintf(hiresPolicy, s.base, s.base))
		if r := w.sync(); r.Creates != 2 || r.Failed+r.Held+r.Refused > 0 {
			t.Fatalf("%+v", r)
		}
		lies := func(id, ou string) bool {
			_, parent, _ := strings.Cut(w.account(id).DN, ",")
			return strings.EqualFold(parent, ou+"OU=New Hires,"+s.base)
		}
		value := func(id, attribute string) string {
			r, err := w.conn.Search(ldap.NewSearchRequest(w.account(id).DN, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{attribute}, nil))
			w.must(err)
			return r.Entries[0].GetAttributeValue(attribute)
		}
		if !lies(ann, "OU=Hamburg,") || !lies(bob, "") || value(ann, "title") != "New hire" || value(bob, "title") != "Engineer" || value(ann, "mobile") != "" {
			t.Errorf("%q with %q, %q with %q", w.account(ann).DN, value(ann, "title"), w.account(bob).DN, value(bob, "title"))
		}
		// A default is for new accounts: what a person writes into the directory later stays. Who changes the city is moved.
		w.modify(w.account(ann).DN, "title", "Chief")
		w.must(w.model.UpdateUser(ann, map[string]any{"city": "Brno"}))
		r := w.sync()
		for _, h := range w.tandem.Host().Held() {
			if _, err := w.tandem.Host().Answer(t.Context(), h.ID, "approve", "ann", "they moved"); err != nil {
				t.Fatal(err)
			}
		}
		if !lies(ann, "OU=Brno,") || value(ann, "title") != "Chief" {
			t.Errorf("after the move %q with %q: %+v", w.account(ann).DN, value(ann, "title"), r)
		}
		// A value that the directory does not take changes nothing of the whole account, and is named; what is right again flows.
		w.must(w.model.UpdateUser(bob, map[string]any{"officeLocation": strings.Repeat("d", 60), "jobTitle": "Lead"}))
		r = w.sync()
		if said := fmt.Sprint(r.Errors); !strings.Contains(said, "department") || !strings.Contains(said, "has 68 characters, and 64 are the most") || value(bob, "title") != "Engineer" || !w.enabled(bob) {
			t.Errorf("%s: %+v, %q", said, r, value(bob, "title"))
		}
		w.must(w.model.UpdateUser(bob, map[string]any{"officeLocation": "-1"}))
		if r := w.sync(); r.Failed > 0 || value(bob, "title") != "Lead" || value(bob, "department") != "Research-1" {
			t.Errorf("%+v, %q", r, value(bob, "title"))
		}
		if r := w.sync(); r.Applied != 0 || r.Failed > 0 {
			t.Errorf("again: %+v", r)
		}
	})
}
