package cloud

import (
	"encoding/json"
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
