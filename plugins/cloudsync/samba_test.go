package cloudsync_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/samba"
	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// TestRunsAgainstSamba does the life of an object against a Samba domain controller, with the read-only account. It
// fails where Samba cannot run; TANDEM_NO_SAMBA=1 leaves it to the tests over the embedded directory.
func TestRunsAgainstSamba(t *testing.T) {
	if samba.LeftOut() {
		t.Log("not checked against Samba: TANDEM_NO_SAMBA=1")
		return
	}
	dc, err := samba.Start(t.Context(), samba.Options{})
	check(t, err)
	defer dc.Stop()
	admin := bind(t, dc)
	defer admin.Close()
	at := func(rdns string) string { return rdns + "," + dc.Base() }
	add := func(rdns, class string, attrs map[string][]string) {
		t.Helper()
		r := ldap.NewAddRequest(at(rdns), nil)
		r.Attribute("objectClass", []string{class})
		for name, values := range attrs {
			r.Attribute(name, values)
		}
		check(t, admin.Add(r))
	}
	add("OU=Sales", "organizationalUnit", nil)
	add("OU=Other", "organizationalUnit", nil)
	for i := range 5 {
		name := fmt.Sprintf("user%d", i)
		add("CN="+name+",OU=Sales", "user", map[string][]string{"sAMAccountName": {name}, "displayName": {"User " + name}, "userAccountControl": {"512"}})
	}
	add("CN=Team,OU=Sales", "group", map[string][]string{"sAMAccountName": {"Team"}, "member": {at("CN=user0,OU=Sales"), at("CN=user1,OU=Sales")}})

	w := &world{t: t, config: engine.Config{Engine: "cloudsync", DataDir: t.TempDir(), Settings: []byte(embedded), Directories: []engine.Directory{{
		Name: "contoso", URLs: []string{dc.URL()}, Base: dc.Base(), User: dc.ReadOnlyUser(), Password: dc.ReadOnlyPassword(), CA: dc.CAPEM()}}}}
	w.start(cloudsync.Options{})
	session, err := directory.Dial(t.Context(), w.connection())
	check(t, err)
	defer session.Close()
	id := func(rdns string) scoping.ObjectID {
		t.Helper()
		g, _, _, err := session.Resolve(t.Context(), at(rdns))
		check(t, err)
		return scoping.ObjectID{Directory: "contoso", GUID: g}
	}
	sales := scoping.Scope{Directory: "contoso", Under: id("OU=Sales").GUID, Features: []scoping.Feature{scoping.Users, scoping.Groups, scoping.Contacts, scoping.References}}
	w.grant(sales)

	o := w.run(w.full(sales))
	mustComplete(t, o)
	if len(o.base()) != 6 || len(o.of(id("CN=Team,OU=Sales"), scoping.References).Refs["members"].Targets) != 2 {
		t.Fatalf("full: %v", wants(o.proposals))
	}
	if o := w.run(w.delta(sales)); len(o.proposals) != 0 || !o.report().Complete {
		t.Fatalf("at rest: %v", wants(o.proposals))
	}
	gone, moved := id("CN=user2,OU=Sales"), id("CN=user3,OU=Sales")
	change := ldap.NewModifyRequest(at("CN=user1,OU=Sales"), nil)
	change.Replace("title", []string{"Boss"})
	check(t, admin.Modify(change))
	member := ldap.NewModifyRequest(at("CN=Team,OU=Sales"), nil)
	member.Delete("member", []string{at("CN=user0,OU=Sales")})
	check(t, admin.Modify(member))
	check(t, admin.Del(ldap.NewDelRequest(at("CN=user2,OU=Sales"), nil)))
	check(t, admin.ModifyDN(ldap.NewModifyDNRequest(at("CN=user3,OU=Sales"), "CN=user3", true, at("OU=Other"))))

	o = w.run(w.delta(sales))
	mustComplete(t, o)
	for object, want := range map[scoping.ObjectID]engine.Want{id("CN=user1,OU=Sales"): engine.Present, gone: engine.Gone, moved: engine.OutOfScope} {
		if p := o.of(object, scoping.Users); p == nil || p.Want != want {
			t.Errorf("delta: %+v, want %v", p, want)
		}
	}
	if refs := o.of(id("CN=Team,OU=Sales"), scoping.References).Refs["members"]; len(refs.Targets) != 1 {
		t.Errorf("members: %+v", refs)
	}
	if len(o.base()) != 4 {
		t.Errorf("delta: %v", wants(o.base()))
	}
}

func bind(t *testing.T, dc *samba.DC) *ldap.Conn {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(dc.CAPEM())
	conn, err := ldap.DialURL(dc.URL(), ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool}))
	check(t, err)
	check(t, conn.Bind(dc.AdminUser(), dc.AdminPassword()))
	return conn
}
