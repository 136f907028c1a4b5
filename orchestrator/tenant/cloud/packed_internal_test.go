package cloud

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/scoping"
)

// Own writes are after packing what they were.
func TestOwnWritesOutlivePacking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		write := func() *pending {
			return &pending{Value: rapid.SampledFrom([][]string{nil, {}, {""}, {"a", "b"}}).Draw(t, "value"), Again: rapid.Bool().Draw(t, "again"),
				At: time.Unix(rapid.Int64Range(0, 1<<36).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))}
		}
		e := &entry{Kind: rapid.SampledFrom([]scoping.Kind{scoping.User, scoping.Group}).Draw(t, "kind")}
		if rapid.Bool().Draw(t, "life") {
			e.Life = write()
		}
		some := func(names ...string) (out map[string]*pending) {
			for _, n := range rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID).Draw(t, "names") {
				if out == nil {
					out = map[string]*pending{}
				}
				out[n] = write()
			}
			return out
		}
		e.Fields, e.Members = some(UPN, Manager, "unheardOf"), some("c-1", "c-2")
		got := unpackEntry(e.pack())
		if d := cmp.Diff(form(t, e), form(t, got)); d != "" {
			t.Fatalf("before packing, and after: %s", d)
		}
		for n, p := range e.Members { // whether there is a value tells a member from one that is gone
			if (p.Value == nil) != (got.Members[n].Value == nil) {
				t.Fatalf("member %s: %v became %v", n, p.Value, got.Members[n].Value)
			}
		}
	})
}

// What a page tells of an object is after packing what it was.
func TestAPageOutlivesPacking(t *testing.T) {
	no, yes, manager := false, true, "c-9"
	flags := rapid.SampledFrom([]*bool{nil, &no, &yes})
	ids := rapid.SliceOfN(rapid.SampledFrom([]string{"c-1", "c-2"}), 0, 2)
	rapid.Check(t, func(t *rapid.T) {
		u := Upsert{ID: "c-5", Kind: scoping.Group, Synced: flags.Draw(t, "synced"), Guest: flags.Draw(t, "guest"), Mailed: flags.Draw(t, "mailed"), Role: flags.Draw(t, "role"),
			Manager: rapid.SampledFrom([]*string{nil, new(string), &manager}).Draw(t, "manager"), AddMembers: ids.Draw(t, "come"), RemoveMembers: ids.Draw(t, "gone"),
			Values: rapid.SampledFrom([]Values{{}, {Mail: {}}, {UPN: {"a@x"}, "unheardOf": {"1", "2"}}}).Draw(t, "values")}
		p := Page{Upserts: []Upsert{u}}
		p.Pack()
		p.Pack()
		if d := cmp.Diff(u, p.Upserts[0].unpack(), cmpopts.IgnoreUnexported(Upsert{}), cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("before packing, and after: %s", d)
		}
	})
}

func form(t *rapid.T, e *entry) string {
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Own writes of many members are kept as those of few: they are shown at once, stored, and leave the overlay when the tenant shows them.
func TestManyMembersThatTheTenantDoesNotShowYet(t *testing.T) {
	at := time.Unix(1000, 0)
	c := NewCache(time.Minute)
	c.Commit(Refresh{Began: at, Full: []scoping.Kind{scoping.Group}, Pages: []Page{{Upserts: []Upsert{{ID: "g", Kind: scoping.Group, Values: Values{DisplayName: {"All"}}}}}}})
	var all []string
	for i := range 3 * fewMembers {
		all = append(all, fmt.Sprintf("m-%04d", i))
		c.Settled(Write{Op: AddMembers, Kind: scoping.Group, CloudID: "g", Refs: all[i:]}, Result{Status: Done}, at)
	}
	c.Settled(Write{Op: RemoveMember, Kind: scoping.Group, CloudID: "g", Refs: all[:1]}, Result{Status: Done}, at)
	saved := map[string][]byte{}
	if _, err := c.Save(func(k string, v []byte) error { saved[k] = v; return nil }); err != nil {
		t.Fatal(err)
	}
	again := NewCache(time.Minute)
	if err := again.Load(maps.All(saved)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*Cache{"the cache": c, "the next process's": again} {
		if o, ok := c.Get("g"); !ok || !slices.Equal(o.Members, all[1:]) || len(c.wide) != 1 || c.Pending() != 1 {
			t.Errorf("%s has %d of %d members, pending %d", name, len(o.Members), len(all)-1, c.Pending())
		}
		c.Apply(Page{Upserts: []Upsert{{ID: "g", Kind: scoping.Group, Values: Values{}, AddMembers: all[1:]}}}, at)
		if o, _ := c.Get("g"); !slices.Equal(o.Members, all[1:]) || len(c.wide) != 0 || c.Pending() != 1 { // the removal ends with time alone
			t.Errorf("%s has %d members, %d unpacked, pending %d", name, len(o.Members), len(c.wide), c.Pending())
		}
		c.Apply(Page{}, at.Add(2*time.Minute))
		if o, _ := c.Get("g"); !slices.Equal(o.Members, all[1:]) || c.Pending() != 0 {
			t.Errorf("%s has %d members, pending %d in the end", name, len(o.Members), c.Pending())
		}
	}
}
