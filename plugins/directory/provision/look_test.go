package provision_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/go-ldap/ldap/v3"

	sink "github.com/tandem-sync/tandem/plugins/directory/provision"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// look asks as the administrator.
func (w *world) look(terms []provision.Term, attributes ...string) sink.Outcome {
	w.Helper()
	return sink.Look(w.Context(), w.session(), []string{w.sink.Account.User}, provision.Look{Controller: w.connection.URLs[0], Terms: terms, Attributes: attributes})
}

func (w *world) find(t provision.Term, attributes ...string) []provision.Found {
	w.Helper()
	o := w.look([]provision.Term{t}, attributes...)
	w.wants("look", o, provision.Done)
	return o.Result.Found
}

// see reads one object back, living or deleted.
func (w *world) see(g scoping.GUID, attributes ...string) provision.Found {
	w.Helper()
	f := w.find(provision.Term{Attribute: "objectGUID", Value: g.String()}, attributes...)
	if len(f) != 1 || f[0].Object != g {
		w.Fatalf("%s is found as %+v", g, f)
	}
	return f[0]
}

func TestALookTellsWhoHasANameInTheWholeDomain(t *testing.T) {
	everywhere(t, func(w *world) {
		t1, g1 := w.user("kim")
		w.change("CN="+t1.Link.Value+","+w.ou, "employeeID", "k"+w.suffix)
		twin := "CN=Twin," + w.other
		w.add(twin, "objectClass", "user", "sAMAccountName", "twin"+w.suffix, "employeeID", "K"+w.suffix)
		w.change(twin, "manager", "CN="+t1.Link.Value+","+w.ou)
		w.add("CN=Gone,"+w.other, "objectClass", "user", "sAMAccountName", "gone"+w.suffix)
		gone := w.guid("CN=Gone," + w.other)
		w.ok(w.admin.Del(ldap.NewDelRequest("CN=Gone,"+w.other, nil)))
		terms := []provision.Term{{Attribute: "sAMAccountName", Value: "nobody" + w.suffix}, {Attribute: "employeeID", Value: "k" + w.suffix}, {Attribute: "samaccountname", Value: "GONE" + w.suffix},
			{Attribute: "objectGUID", Value: g1.String()}, {Attribute: "sAMAccountName", Value: "Administrator"}, {Attribute: "sAMAccountName", Value: "prov" + w.suffix}, {Attribute: "cn", Value: "a*)(b"}}
		o := w.look(terms, "employeeID", "manager", "objectSid")
		w.wants("look", o, provision.Done)
		by := map[int][]provision.Found{}
		for _, f := range o.Result.Found {
			by[f.Term] = append(by[f.Term], f)
		}
		if len(by[0]) != 0 || len(by[6]) != 0 || len(by[1]) != 2 || len(by[2]) != 1 || len(by[3]) != 1 || len(by[4]) != 1 || len(by[5]) != 1 {
			w.Fatalf("%+v", o.Result.Found)
		}
		if f := by[2][0]; !f.Deleted || f.Object != gone || !f.Parent.IsZero() {
			w.Errorf("the deleted one: %+v", f)
		}
		if f := by[3][0]; f.Deleted || f.Object != g1 || f.Parent != w.guid(w.ou) || f.Class != "user" || f.USN == 0 || f.Protected != "" || !slices.Equal(f.Values["employeeID"], []string{"k" + w.suffix}) || len(f.Values["objectSid"][0]) != 56 {
			w.Errorf("the user: %+v", f)
		}
		if f := by[4][0]; f.Protected == "" {
			w.Errorf("the administrator: %+v", f)
		}
		if f := by[5][0]; f.Protected != "it is an account of Tandem's own" {
			w.Errorf("an own account: %+v", f)
		}
		at := slices.IndexFunc(by[1], func(f provision.Found) bool { return f.Object != g1 })
		if f := by[1][at]; !slices.Equal(f.Values["manager"], []string{g1.String()}) {
			w.Errorf("the twin: %+v", f)
		}
		wrong := provision.Look{Controller: "ldaps://elsewhere", Terms: terms}
		w.wants("another controller", sink.Look(w.Context(), w.session(), nil, wrong), provision.OtherController)
		wrong = provision.Look{Controller: w.connection.URLs[0], Invocation: scoping.GUID{9}, Terms: terms}
		w.wants("another database", sink.Look(w.Context(), w.session(), nil, wrong), provision.OtherController)
		w.wants("no look", sink.Look(w.Context(), w.session(), nil, provision.Look{}), provision.Failed)
	})
}

func TestManyNamesAreLookedForAtOnce(t *testing.T) {
	everywhere(t, func(w *world) {
		var terms []provision.Term
		want := map[int]bool{}
		for i := range provision.MaxTerms {
			name := fmt.Sprintf("many%d%s", i, w.suffix)
			if i%40 == 0 {
				w.add("CN="+name+","+w.other, "objectClass", "user", "sAMAccountName", name)
				want[i] = true
			}
			terms = append(terms, provision.Term{Attribute: "sAMAccountName", Value: name})
		}
		o := w.look(terms)
		got := map[int]bool{}
		for _, f := range o.Result.Found {
			got[f.Term] = true
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || len(o.Result.Found) != len(want) {
			w.Errorf("%v, want %v", got, want)
		}
	})
}

// More objects than MaxFound of one term are cut.
func TestALookIsBounded(t *testing.T) {
	everywhere(t, func(w *world) {
		for i := range provision.MaxFound + 2 {
			w.add(fmt.Sprintf("CN=same%d,%s", i, w.other), "objectClass", "user", "sAMAccountName", fmt.Sprintf("same%d%s", i, w.suffix), "employeeID", "s"+w.suffix)
		}
		if found := w.find(provision.Term{Attribute: "employeeID", Value: "s" + w.suffix}); len(found) != provision.MaxFound {
			w.Errorf("%d are told", len(found))
		}
	})
}
