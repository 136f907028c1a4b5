package cloud

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

func form(t *rapid.T, e *entry) string {
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
