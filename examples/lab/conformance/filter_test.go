package conformance_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/conformance"
	"github.com/tandem-sync/tandem/examples/lab/samba"
	"github.com/tandem-sync/tandem/scoping"
)

// So many filters are asked of Samba over each of so many connections at once.
const (
	filterCount = 1200
	filterSeeds = 2
)

// TestFiltersSelectWhatSambaSelects evaluates generated filters over a generated directory in memory, and asks Samba.
func TestFiltersSelectWhatSambaSelects(t *testing.T) {
	if samba.LeftOut() {
		t.Log("not checked against Samba: TANDEM_NO_SAMBA=1")
		return
	}
	target := openSamba(t)
	w := openFilterWorld(t, target)
	names := slices.Clone(wholes)
	for _, c := range slices.Concat(shared, personal, accounts, collective) {
		if !slices.Contains(names, c.name) {
			names = append(names, c.name)
		}
	}
	objects := w.read(names)
	w.compareSchema("CN=Schema,CN=Configuration," + target.Base)
	for seed := range uint64(filterSeeds) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			v := &filterWorld{t: t, conn: dialAdmin(t, target), base: w.base}
			v.compareMany(objects, newCorpus(objects, names, seed))
		})
	}
}

// compareSchema fails if scoping's table says anything else than the schema does.
func (w *filterWorld) compareSchema(base string) {
	w.t.Helper()
	res, err := w.conn.Search(ldap.NewSearchRequest(base, ldap.ScopeSingleLevel, 0, 0, 0, false, "(objectClass=attributeSchema)",
		[]string{"lDAPDisplayName", "isSingleValued", "linkID", "systemFlags"}, nil))
	if err != nil {
		w.t.Fatalf("reading the schema: %v", err)
	}
	known := 0
	for _, e := range res.Entries {
		name := e.GetAttributeValue("lDAPDisplayName")
		got, ok := scoping.LookupAttribute(name)
		if !ok {
			continue
		}
		known++
		flags, _ := strconv.Atoi(e.GetAttributeValue("systemFlags")) // absent is 0
		want := scoping.AttributeType{Name: name, Syntax: got.Syntax, Single: e.GetAttributeValue("isSingleValued") == "TRUE",
			Link: e.GetAttributeValue("linkID") != "", Constructed: flags&4 != 0}
		if got != want {
			w.t.Errorf("scoping knows %+v, the schema has %+v", got, want)
		}
	}
	if known < 400 {
		w.t.Errorf("scoping knows only %d of the schema's %d attributes", known, len(res.Entries))
	}
}

// compareMany fails if the filters of a corpus select anything else than Samba does, or prove too little.
func (w *filterWorld) compareMany(objects map[string]*filterObject, c *corpus) {
	met := map[difference]int{}
	telling := 0
	for i := range filterCount {
		l, differences := c.filter(i % 4)
		for _, d := range differences {
			met[d]++
		}
		if n := w.compare(objects, l, len(differences) == 0); n > 0 && n < len(objects) {
			telling++
		}
	}
	w.t.Logf("%d objects, %d filters, %d of them tell some objects from others; differences of Samba met: %v", len(objects), filterCount, telling, met)
	if telling < filterCount/2 || len(met) != 5 {
		w.t.Errorf("the corpus proves too little: %d filters tell objects apart, %d differences were met", telling, len(met))
	}
}

// compare evaluates a filter both ways and gives how many objects Samba selects.
func (w *filterWorld) compare(objects map[string]*filterObject, l leaf, same bool) int {
	w.t.Helper()
	f, err := scoping.ParseFilter(l.tandem)
	if err != nil {
		w.t.Errorf("%s: %v", l.tandem, err)
		return 0
	}
	if same && f.String() != scoping.MustParseFilter(l.wire).String() {
		w.t.Errorf("%s has no difference, but Samba is asked %s", l.tandem, l.wire)
	}
	alike := scoping.MustParseFilter(l.alike)
	got := map[string]bool{}
	for guid, o := range objects {
		if alike.Matches(o) {
			got[guid] = true
		}
	}
	want := w.ask(scoping.MustParseFilter(l.wire).String())
	if maps.Equal(got, want) {
		return len(want)
	}
	for guid, o := range objects {
		if got[guid] != want[guid] {
			w.t.Errorf("%s\n  as %s: scoping says %v, Samba %v\n  of %s\n  with %s", l.tandem, l.alike, got[guid], want[guid], o.dn, o.tell(alike))
			return len(want)
		}
	}
	w.t.Errorf("%s selects objects that were not there before", l.tandem)
	return len(want)
}

// tell gives the values that the filter looks at.
func (o *filterObject) tell(f scoping.Filter) string {
	var b strings.Builder
	for _, a := range f.Attributes() {
		b.WriteString(a + ":")
		for _, v := range o.values[a] {
			b.WriteString(" " + scoping.EscapeFilterValue(string(v)))
		}
		b.WriteString("; ")
	}
	return b.String()
}

// ask gives the objectGUIDs of what Samba selects.
func (w *filterWorld) ask(filter string) map[string]bool {
	w.t.Helper()
	res, err := w.conn.Search(ldap.NewSearchRequest(w.base, ldap.ScopeWholeSubtree, 0, 0, 0, false, filter, []string{"objectGUID"}, nil))
	if err != nil {
		w.t.Errorf("asking Samba for %s: %v", filter, err)
		return nil
	}
	found := map[string]bool{}
	for _, e := range res.Entries {
		found[string(e.GetRawAttributeValue("objectGUID"))] = true
	}
	return found
}

func dialAdmin(t *testing.T, target conformance.Target) *ldap.Conn {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(target.CAPEM) {
		t.Fatal("the target gives no certificate authority")
	}
	conn, err := ldap.DialURL(target.URL, ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, ServerName: "localhost"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Logf("closing the connection: %v", err)
		}
	})
	if err := conn.Bind(target.AdminUser, target.AdminPassword); err != nil {
		t.Fatal(err)
	}
	return conn
}
