package ledger

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/scoping"
)

// A row is after packing what it was, also where texts only look like forms of bytes.
func TestARowOutlivesPacking(t *testing.T) {
	texts := rapid.SampledFrom([]string{"", "a", "c-ann", "YQ==", "YR==", "deadbeef", "DEADBEEF", "00112233-4455-6677-8899-aabbccddeeff", "00112233-4455-6677-8899-AABBCCDDEEFF",
		"{00112233-4455-6677-8899-aabbccddeeff}", "CN=Ann,OU=Sales,DC=contoso,DC=test", `CN=Lee\, Ann,OU=Sales`, `CN=odd\`, ",", "tandem:1"})
	chains := rapid.SampledFrom([][]scoping.GUID{nil, {}, {{1}}, {{1}, {2}}})
	var s shared
	rapid.Check(t, func(t *rapid.T) {
		text := func() string { return texts.Draw(t, "text") }
		r := &Row{Object: scoping.ObjectID{Directory: "contoso", GUID: scoping.GUID{7}}, Kind: scoping.User, Name: text(), CloudID: text(), Anchor: text(), Key: text(),
			Origin: Created, State: rapid.SampledFrom([]RowState{Live, ParkedRow, DeletedByTandem}).Draw(t, "state"), Features: map[scoping.Feature]*Last{}, Wrote: rapid.Int64().Draw(t, "wrote")}
		for _, f := range rapid.SliceOfDistinct(rapid.SampledFrom([]scoping.Feature{scoping.Users, scoping.References}), rapid.ID).Draw(t, "features") {
			l := &Last{Engine: text(), Epoch: scoping.Epoch{Incarnation: rapid.Uint64().Draw(t, "incarnation"), N: 3}, Place: scoping.GUID{9}, Chain: chains.Draw(t, "chain"),
				Chosen: chains.Draw(t, "chosen"), Version: rapid.Uint64().Draw(t, "version"), Hash: text(), Attrs: rapid.SampledFrom([][]string{nil, {}, {"mail"}, {"mail", "title"}}).Draw(t, "attrs"), Restores: text()}
			if rapid.Bool().Draw(t, "never") {
				l.Never = &Never{Count: 2, Some: []scoping.ObjectID{{Directory: "contoso", GUID: scoping.GUID{8}}}}
			}
			r.Features[f] = l
		}
		if rapid.Bool().Draw(t, "links") {
			r.Links = (&Links{}).with(rapid.SliceOfN(texts, 0, 3).Draw(t, "ends"))
		}
		if rapid.Bool().Draw(t, "transit") {
			r.Transit = &Transit{From: text(), To: text(), Runs: 1}
		}
		if rapid.Bool().Draw(t, "quiet") {
			r.Quiet = map[scoping.Feature]int64{QuietDelete: 5}
		}
		packed, err := s.pack(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.unpack(r.Object, packed)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(form(t, r), form(t, got)); d != "" {
			t.Fatalf("stored before, and after: %s", d)
		}
		if kind, state, transit := s.peek(packed); kind != r.Kind || state != r.State || transit != (r.Transit != nil) {
			t.Fatalf("counts take it for %s %s %t, it is %s %s %t", kind, state, transit, r.Kind, r.State, r.Transit != nil)
		}
		if _, err := s.unpack(r.Object, packed[:len(packed)-1]); err == nil {
			t.Fatal("a packed row that was cut off was read")
		}
	})
}

// form is how a row is stored.
func form(t *rapid.T, r *Row) string {
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Troubles are after packing what they were, each by itself as well, with everything that a trouble can have.
func TestTroublesOutlivePacking(t *testing.T) {
	texts := rapid.SampledFrom([]string{"", "a", "YQ==", "YR==", "deadbeef", "00112233-4455-6677-8899-aabbccddeeff"})
	var s shared
	rapid.Check(t, func(t *rapid.T) {
		text := func() string { return texts.Draw(t, "text") }
		fs := map[scoping.Feature]*Trouble{}
		for _, f := range rapid.SliceOfDistinct(rapid.SampledFrom([]scoping.Feature{scoping.Users, scoping.References, scoping.PasswordHash}), rapid.ID).Draw(t, "features") {
			x := &Trouble{Want: text()}
			for range rapid.IntRange(0, 2).Draw(t, "written") {
				x.Written = append(x.Written, Written{Have: text(), At: rapid.SliceOfN(rapid.Int64(), 1, 3).Draw(t, "at")})
			}
			for _, more := range []func(){func() { x.NotKept = []string{text()} }, func() { x.Parts = []Part{{What: text(), Code: "taken", Holder: text()}} }, func() { x.Count = 3 },
				func() { x.First = 4 }, func() { x.Last = 5 }, func() { x.Next = 6 }} {
				if rapid.IntRange(0, 5).Draw(t, "more") == 0 {
					more()
				}
			}
			fs[f] = x
		}
		packed, err := s.packTroubles(fs)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.unpackTroubles(packed)
		if d := cmp.Diff(fs, got); d != "" || err != nil {
			t.Fatalf("%v: before, and after: %s", err, d)
		}
		for _, f := range []scoping.Feature{scoping.Users, scoping.References, scoping.PasswordHash} {
			if one, err := s.troubleIn(packed, f); !cmp.Equal(one, fs[f]) || err != nil {
				t.Fatalf("%s is %+v, want %+v, %v", f, one, fs[f], err)
			}
		}
		if packed != "" {
			if _, err := s.unpackTroubles(packed[:len(packed)-1]); err == nil {
				t.Fatal("packed troubles that were cut off were read")
			}
		}
	})
}
