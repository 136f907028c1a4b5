package scoping_test

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/scoping"
)

// A map by objects is what a Go map is, also of objects of several directories with one GUID, and of such as go while it is ranged over.
func TestAMapByObjectsIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m scoping.ByObject[int]
		model := map[scoping.ObjectID]int{}
		id := func() scoping.ObjectID {
			return scoping.ObjectID{Directory: rapid.SampledFrom([]string{"contoso", "fabrikam", ""}).Draw(t, "directory"), GUID: scoping.GUID{rapid.Byte().Draw(t, "guid") % 4}}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put":    func(t *rapid.T) { o, v := id(), rapid.Int().Draw(t, "value"); m.Put(o, v); model[o] = v },
			"delete": func(*rapid.T) { o := id(); m.Delete(o); delete(model, o) },
			"sift": func(*rapid.T) {
				for o, v := range m.All() {
					if v%2 == 0 {
						m.Delete(o)
					}
				}
				maps.DeleteFunc(model, func(_ scoping.ObjectID, v int) bool { return v%2 == 0 })
			},
			"": func(t *rapid.T) {
				if d := cmp.Diff(model, maps.Collect(m.All())); d != "" || m.Len() != len(model) {
					t.Fatalf("%d of %d: %s", m.Len(), len(model), d)
				}
				o := id()
				v, known := m.Get(o)
				if want, there := model[o]; v != want || known != there {
					t.Fatalf("%v: %d %t, want %d %t", o, v, known, want, there)
				}
			},
		})
	})
}
