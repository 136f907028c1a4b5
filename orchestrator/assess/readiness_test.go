package assess_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/assess"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// person is a user of OU A with a sign-in name.
func person(n int, name string, more ...string) directory.Entry {
	e := entry(n, 2, "CN="+name+",OU=A,DC=x,DC=y", "user", append([]string{"samaccountname", name, "userprincipalname", name + "@x.y", "displayname", name, "useraccountcontrol", "512",
		"ms-ds-consistencyguid", fmt.Sprintf("%016d", n)}, more...)...)
	return e
}

func team(n int, name string, members ...int) directory.Entry {
	e := entry(n, 2, "CN="+name+",OU=A,DC=x,DC=y", "group", "samaccountname", name, "grouptype", "-2147483646", "displayname", name, "ms-ds-consistencyguid", fmt.Sprintf("%016d", n))
	var to []directory.Link
	for _, m := range members {
		to = append(to, directory.Link{GUID: guid(m)})
	}
	e.Links = map[string]directory.LinkChange{"member": {Whole: true, Targets: to}}
	return e
}

// surveyed reads a directory with OUs A (2) and B (3), and the given objects.
func surveyed(t *testing.T, entries ...directory.Entry) *assess.Survey {
	t.Helper()
	all := append([]directory.Entry{entry(1, 0, rootDN, "domainDNS"), entry(2, 1, "OU=A,DC=x,DC=y", "organizationalUnit"), entry(3, 1, "OU=B,DC=x,DC=y", "organizationalUnit")}, entries...)
	d, err := assess.Read(context.Background(), "d", &listed{entries: all}, assess.ForReadiness)
	if err != nil {
		t.Fatal(err)
	}
	return &assess.Survey{Directories: []*assess.Directory{d}}
}

// tenantOf is a tenant that shows these objects.
func tenantOf(objects ...cloud.Object) *cloud.Cache {
	c := cloud.NewCache(time.Minute)
	r := cloud.Refresh{Began: time.Unix(0, 0), Full: []scoping.Kind{scoping.User, scoping.Group}, Tokens: map[string]string{}}
	var up cloud.Page
	for _, o := range objects {
		if o.Deleted {
			r.Deleted = append(r.Deleted, o)
		} else {
			up.Upserts = append(up.Upserts, cloud.Upsert{ID: o.ID, Kind: o.Kind, Values: o.Values, Synced: &o.Synced, Guest: &o.Guest})
		}
	}
	r.Pages = []cloud.Page{up}
	c.Commit(r)
	return c
}

func assessed(t *testing.T, s *assess.Survey, x assess.Situation) assess.Assessment {
	t.Helper()
	if x.Engines == nil {
		x.Engines = engines()
	}
	a, err := assess.Assess(s, x, assess.Scope{Examples: 5})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// codes lists what was found, as "OU code objects".
func codes(a assess.Assessment) (out []string) {
	for _, f := range a.Findings {
		if f.Code != assess.GuidAnchors {
			out = append(out, fmt.Sprint("* ", f.Code, " ", f.Objects))
		}
	}
	for _, u := range a.Units {
		for _, f := range u.Findings {
			out = append(out, fmt.Sprint(strings.TrimSuffix(u.Under, ",DC=x,DC=y"), " ", f.Code, " ", f.Objects))
		}
	}
	slices.Sort(out)
	return out
}

func TestEachHazardIsFoundWithItsObjects(t *testing.T) {
	anchored := func(n int) string { return "MDAwMDAwMDAwMDAwMDAw" + map[int]string{7: "Nw==", 8: "OA=="}[n] } // what person(n) carries, in base64
	verified := map[string]bool{"x.y": true}
	for _, x := range []struct {
		name      string
		entries   []directory.Entry
		situation assess.Situation
		want      []string
		ready     assess.Readiness
	}{
		{"nothing", []directory.Entry{person(7, "ann")}, assess.Situation{Verified: verified}, nil, assess.Ready},
		{"an anchor of five bytes", []directory.Entry{person(7, "ann", "ms-ds-consistencyguid", "short")}, assess.Situation{}, []string{"OU=A anchor-invalid 1"}, assess.Blocked},
		{"one anchor twice", []directory.Entry{person(7, "ann"), person(8, "bob", "ms-ds-consistencyguid", fmt.Sprintf("%016d", 7))}, assess.Situation{}, []string{"OU=A duplicate-anchor 2"}, assess.Blocked},
		{"a user and a group with one anchor", []directory.Entry{person(7, "ann"), func() directory.Entry {
			e := team(8, "g")
			e.Attrs["ms-ds-consistencyguid"] = [][]byte{[]byte(fmt.Sprintf("%016d", 7))}
			return e
		}()}, assess.Situation{}, nil, assess.Ready},
		{"one sign-in name twice", []directory.Entry{person(7, "ann"), person(8, "bob", "userprincipalname", "ANN@x.y")}, assess.Situation{}, []string{"OU=A duplicate-sign-in 2"}, assess.Blocked},
		{"no sign-in name", []directory.Entry{person(7, "ann", "userprincipalname", "")}, assess.Situation{}, []string{"OU=A made-sign-in 1"}, assess.WithWarnings},
		{"a suffix that is not verified", []directory.Entry{person(7, "ann", "userprincipalname", "ann@old.local")}, assess.Situation{Verified: verified}, []string{"OU=A unverified-suffix 1"}, assess.WithWarnings},
		{"one address twice", []directory.Entry{person(7, "ann", "mail", "a@x.y"), person(8, "bob", "proxyaddresses", "smtp:A@x.y")}, assess.Situation{},
			[]string{"OU=A duplicate-address 2", "OU=A not-carried 1"}, assess.WithWarnings},
		{"groups that Graph does not make", []directory.Entry{person(7, "ann"), func() directory.Entry { e := team(8, "d"); e.Attrs["grouptype"] = [][]byte{[]byte("2")}; return e }(),
			func() directory.Entry { e := team(9, "m"); e.Attrs["mail"] = [][]byte{[]byte("m@x.y")}; return e }()}, assess.Situation{}, []string{"OU=A group-kind 1", "OU=A group-kind 1"}, assess.WithWarnings},
		{"a group with members that never come", []directory.Entry{person(7, "ann"), team(8, "g", 7, 99)}, assess.Situation{}, []string{"OU=A unreachable-references 1"}, assess.WithWarnings},
		{"a group in a group", []directory.Entry{person(7, "ann"), team(8, "g", 7), team(9, "h", 8)}, assess.Situation{}, []string{"OU=A nested-groups 1"}, assess.Ready},
		{"an account that engines leave out", []directory.Entry{person(7, "MSOL_1")}, assess.Situation{}, []string{"OU=A left-out 1"}, assess.Ready},
		{"a person of the tenant with the anchor", []directory.Entry{person(7, "ann")}, assess.Situation{Tenant: tenantOf(cloud.Object{ID: "1", Kind: scoping.User, Values: cloud.Values{cloud.ImmutableID: {anchored(7)}}})},
			[]string{"OU=A existing 1"}, assess.Ready},
		{"one with the anchor and a role", []directory.Entry{person(7, "ann")}, assess.Situation{Power: map[string]string{"1": "holds the directory role Owner"},
			Tenant: tenantOf(cloud.Object{ID: "1", Kind: scoping.User, Values: cloud.Values{cloud.ImmutableID: {anchored(7)}}})}, []string{"OU=A cannot-join 1"}, assess.WithWarnings},
		{"one that Microsoft's engines own", []directory.Entry{person(7, "ann")}, assess.Situation{Tenant: tenantOf(cloud.Object{ID: "1", Kind: scoping.User, Synced: true, Values: cloud.Values{cloud.ImmutableID: {anchored(7)}}})},
			[]string{"OU=A synced 1"}, assess.Blocked},
		{"the name with another anchor", []directory.Entry{person(7, "ann")}, assess.Situation{Tenant: tenantOf(cloud.Object{ID: "1", Kind: scoping.User, Values: cloud.Values{cloud.UPN: {"ann@x.y"}, cloud.ImmutableID: {anchored(8)}}})},
			[]string{"OU=A anchor-elsewhere 1"}, assess.Blocked},
		{"the name without an anchor", []directory.Entry{person(7, "ann")}, assess.Situation{Tenant: tenantOf(cloud.Object{ID: "1", Kind: scoping.User, Values: cloud.Values{cloud.UPN: {"ann@x.y"}}})},
			[]string{"OU=A look-alike 1"}, assess.WithWarnings},
		{"the name of a guest", []directory.Entry{person(7, "ann")}, assess.Situation{Tenant: tenantOf(cloud.Object{ID: "1", Kind: scoping.User, Guest: true, Values: cloud.Values{cloud.UPN: {"ann@x.y"}}})},
			[]string{"OU=A sign-in-taken 1"}, assess.WithWarnings},
		{"the address of another", []directory.Entry{person(7, "ann", "mail", "a@x.y")}, assess.Situation{Tenant: tenantOf(cloud.Object{ID: "1", Kind: scoping.User, Values: cloud.Values{cloud.Mail: {"a@x.y"}}})},
			[]string{"OU=A address-taken 1"}, assess.WithWarnings},
		{"the anchor in the deleted items", []directory.Entry{person(7, "ann")}, assess.Situation{Tenant: tenantOf(cloud.Object{ID: "1", Kind: scoping.User, Deleted: true, Values: cloud.Values{cloud.ImmutableID: {anchored(7)}}})},
			[]string{"OU=A in-deleted-items 1"}, assess.WithWarnings},
		{"the name in the deleted items", []directory.Entry{person(7, "ann")}, assess.Situation{Tenant: tenantOf(cloud.Object{ID: "a-1", Kind: scoping.User, Deleted: true, Values: cloud.Values{cloud.UPN: {"a1ann@x.y"}}})},
			[]string{"OU=A in-deleted-items 1"}, assess.WithWarnings},
		{"an anchor that changed since", []directory.Entry{person(7, "ann")}, assess.Situation{Linked: func(scoping.ObjectID) (assess.Link, bool) { return assess.Link{CloudID: "1", Anchor: "older"}, true }},
			[]string{"OU=A anchor-changed 1"}, assess.Blocked},
		{"made of an object of the tenant", []directory.Entry{person(7, "ann")}, assess.Situation{Linked: func(scoping.ObjectID) (assess.Link, bool) { return assess.Link{CloudID: "1", Brought: true}, true }},
			[]string{"OU=A brought 1"}, assess.Ready},
		{"a wave, and everything", []directory.Entry{person(7, "ann")}, assess.Situation{Marked: []assess.Marked{{Object: scoping.ObjectID{Directory: "d", GUID: guid(7)}, Code: assess.WaveRunning, Detail: "w1"}},
			General: []assess.General{{Code: assess.CannotShadow, Detail: "s"}}}, []string{"* cannot-shadow 0", "OU=A wave-running 1"}, assess.Blocked},
	} {
		t.Run(x.name, func(t *testing.T) {
			a := assessed(t, surveyed(t, x.entries...), x.situation)
			if got := codes(a); !slices.Equal(got, slices.Sorted(slices.Values(x.want))) || a.Readiness != x.ready {
				t.Fatalf("%s %v, want %s %v", a.Readiness, got, x.ready, x.want)
			}
			for _, u := range a.Units {
				for _, f := range u.Findings {
					if strings.Contains(f.Message, "%!") || strings.Contains(f.Message, "%s") {
						t.Errorf("%s says %q", f.Code, f.Message)
					}
					if f.Code != assess.NotCarried && len(f.Examples) != min(f.Objects, 5) {
						t.Errorf("%s names %v of %d", f.Code, f.Examples, f.Objects)
					}
				}
			}
		})
	}
}

func TestReadinessIsPerFeatureAndOwner(t *testing.T) {
	s := surveyed(t, person(7, "ann", "userprincipalname", ""), team(8, "g", 7), entry(10, 3, "CN=carl,OU=B,DC=x,DC=y", "user", "samaccountname", "carl", "userprincipalname", "carl@x.y"))
	owner := func(id scoping.ObjectID, _ scoping.Kind, _ scoping.Feature) string {
		if id.GUID == guid(10) {
			return "s"
		}
		return "c"
	}
	a := assessed(t, s, assess.Situation{Owner: owner, Features: []scoping.Feature{scoping.Users, scoping.Groups}})
	if !a.InForce || len(a.Units) != 2 || len(a.Waves) != 1 || len(a.Waves[0].Units) != 1 || a.Waves[0].Units[0].Under != "OU=A,DC=x,DC=y" {
		t.Fatalf("%+v", a)
	}
	got := map[scoping.Feature]assess.ReadyFeature{}
	for _, f := range a.Units[0].Features {
		got[f.Feature] = f
	}
	if got[scoping.Users].Readiness != assess.WithWarnings || got[scoping.Groups].Readiness != assess.Ready || got[scoping.Users].Owners["c"] != 1 || got[scoping.References].Objects != 1 {
		t.Fatalf("%+v", got)
	}
	if a.Waves[0].Readiness != assess.WithWarnings || a.Waves[0].Objects[scoping.User] != 1 || a.Waves[0].Objects[scoping.Group] != 1 {
		t.Fatalf("%+v", a.Waves[0])
	}
}

func TestAnAssessmentOfOnePartLooksAtNothingElse(t *testing.T) {
	s := surveyed(t, person(7, "ann"), entry(10, 3, "CN=carl,OU=B,DC=x,DC=y", "user", "samaccountname", "carl", "ms-ds-consistencyguid", "short"), entry(11, 3, "OU=C,OU=B,DC=x,DC=y", "organizationalUnit"),
		entry(12, 11, "CN=dora,OU=C,OU=B,DC=x,DC=y", "user", "samaccountname", "dora", "userprincipalname", "dora@x.y"))
	a, err := assess.Assess(s, assess.Situation{Engines: engines()}, assess.Scope{Directory: "d", Under: guid(3)})
	if err != nil {
		t.Fatal(err)
	}
	var under []string
	for _, u := range a.Units {
		under = append(under, u.Under)
	}
	if !slices.Equal(under, []string{"OU=B,DC=x,DC=y", "OU=C,OU=B,DC=x,DC=y"}) || a.Readiness != assess.Blocked {
		t.Fatalf("%s %v", a.Readiness, under)
	}
	for _, w := range a.Waves {
		for _, u := range w.Units {
			if u.Under == "OU=A,DC=x,DC=y" {
				t.Errorf("a wave moves what was not asked for: %+v", w)
			}
		}
	}
	if _, err := assess.Assess(s, assess.Situation{Engines: engines()}, assess.Scope{Directory: "d", Under: guid(99)}); err == nil {
		t.Error("a container that is not there is assessed")
	}
}

func BenchmarkAssess(b *testing.B) {
	w := newWorld()
	for i := range 100 {
		w.add(fmt.Sprint("ou", i), "", ou)
	}
	for i := range 100_000 {
		name := fmt.Sprint("u", i)
		w.add(name, fmt.Sprint("ou", i%100), user)
		w.object(name).Detail = &assess.Detail{SignIn: name + "@x.y", Mail: name + "@x.y", Addresses: []string{name + "@x.y"}, Display: name, Anchor: fmt.Sprintf("%024d", i)}
	}
	s := w.survey()
	for b.Loop() {
		if _, err := assess.Assess(s, assess.Situation{Engines: engines(), Tenant: tenantOf()}, assess.Scope{Examples: 5}); err != nil {
			b.Fatal(err)
		}
	}
}
