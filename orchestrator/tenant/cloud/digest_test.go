package cloud_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// A digest is of the named attributes alone, in the same order whatever else the object has, and differs where one of them differs.
func TestDigestIsOfTheNamedAttributesAlone(t *testing.T) {
	names := []string{cloud.DisplayName, "department", "jobTitle", cloud.Mail}
	rapid.Check(t, func(t *rapid.T) {
		values := func(label string) cloud.Values {
			v := cloud.Values{}
			for _, n := range names {
				if x := rapid.SampledFrom([]string{"", "a", "b", "ab"}).Draw(t, label+n); x != "" {
					v[n] = []string{x}
				}
			}
			return v
		}
		a, b := cloud.Object{Values: values("a")}, cloud.Object{Values: values("b")}
		about := names[:rapid.IntRange(1, len(names)).Draw(t, "about")]
		same := true
		for _, n := range about {
			same = same && a.Values.First(n) == b.Values.First(n)
		}
		if (cloud.Digest(&a, about) == cloud.Digest(&b, about)) != same {
			t.Fatalf("%v and %v over %v: same %v", a.Values, b.Values, about, same)
		}
	})
}

// The digest that a cache reads from its records is the one of the object that it shows, whatever names are asked for, in any order.
func TestTheCachesDigestIsOfWhatItShows(t *testing.T) {
	names := []string{cloud.DisplayName, "department", "extension_1_a", cloud.Mail, "zone", cloud.Manager, cloud.Members}
	rapid.Check(t, func(t *rapid.T) {
		u := cloud.Upsert{ID: "c1", Kind: scoping.Group, Values: cloud.Values{}, AddMembers: rapid.SliceOfDistinct(rapid.SampledFrom([]string{"m1", "m2"}), rapid.ID).Draw(t, "members")}
		for _, n := range names[:5] {
			if v := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b"}), 0, 2).Draw(t, n); len(v) > 0 {
				u.Values[n] = v
			}
		}
		manager := rapid.SampledFrom([]string{"", "c2"}).Draw(t, "manager")
		u.Manager = &manager
		c := cloud.NewCache(time.Minute)
		c.Commit(cloud.Refresh{Pages: []cloud.Page{{Upserts: []cloud.Upsert{u}}}, Full: []scoping.Kind{scoping.Group}})
		if rapid.Bool().Draw(t, "own write") {
			c.Settled(cloud.Write{ID: "w", Op: cloud.Update, CloudID: "c1", Kind: scoping.Group, Set: cloud.Values{"zone": {"new"}}}, cloud.Result{Status: cloud.Done, CloudID: "c1"}, time.Unix(9, 0))
		}
		asked := rapid.SliceOf(rapid.SampledFrom(names)).Draw(t, "asked")
		if rapid.Bool().Draw(t, "sorted") {
			slices.Sort(asked)
		}
		shown, _ := c.Get("c1")
		if got, want := digestOf(c, "c1", asked), cloud.Digest(&shown, asked); got != want {
			t.Fatalf("%x of %v in %v, want %x", got, asked, shown, want)
		}
	})
	if d := digestOf(cloud.NewCache(time.Minute), "c1", names); d != 0 {
		t.Errorf("of an object that it does not have: %x", d)
	}
}

func digestOf(c *cloud.Cache, id string, attrs []string) uint64 {
	d, _ := c.Digest(id, attrs, 0)
	return d
}

// At the version that was seen, a cache does not digest again.
func TestADigestTellsItsVersion(t *testing.T) {
	c := cloud.NewCache(time.Minute)
	show := func(name string) {
		c.Commit(cloud.Refresh{Pages: []cloud.Page{{Upserts: []cloud.Upsert{{ID: "c1", Kind: scoping.User, Values: cloud.Values{cloud.DisplayName: {name}}}}}}})
	}
	show("Ann")
	names := []string{cloud.DisplayName}
	ann, first := c.Digest("c1", names, 0)
	if d, v := c.Digest("c1", names, first); d != 0 || v != first || first == 0 || first != c.Version("c1") {
		t.Errorf("seen: %x %d, and its version is %d", d, v, first)
	}
	show("Anna")
	if d, v := c.Digest("c1", names, first); d == 0 || d == ann || v == first {
		t.Errorf("changed: %x %d, before %x %d", d, v, ann, first)
	}
}
