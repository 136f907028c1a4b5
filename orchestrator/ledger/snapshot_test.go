package ledger_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
)

// taken returns the ledger of the pieces of a snapshot.
func taken(rs []ledger.Record) (*ledger.State, error) {
	var parts ledger.Snapshots
	for i, r := range rs {
		r, err := ledger.Decode(ledger.Encode(r))
		if err != nil {
			return nil, err
		}
		whole, err := parts.Take(r)
		if err != nil {
			return nil, err
		}
		if whole != (i == len(rs)-1) {
			return nil, errors.New("it is whole too early, or not at its end")
		}
	}
	return parts.Ledger()
}

// A snapshot with the records after it is the whole log, and its first checkpoint is stored whole.
func TestSnapshotAndTailEqualTheWholeLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rs := rapid.SliceOfN(rapid.Custom(record), 0, 25).Draw(t, "records")
		cut := rapid.IntRange(1, max(1, len(rs))).Draw(t, "cut")
		cut = min(cut, len(rs))
		whole, early := ledger.New(), ledger.New()
		foldInto(t, early, 0, rs[:cut])
		parts, err := early.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		s, err := taken(parts)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(view(early), view(s)); d != "" || s.Seq != uint64(cut) {
			t.Fatalf("a snapshot is another ledger: %d %s", s.Seq, d)
		}
		rs = append(append(append([]ledger.Record{}, rs[:cut]...), parts...), rs[cut:]...)
		foldInto(t, whole, 0, rs)
		foldInto(t, s, cut, rs[cut:])
		if d := cmp.Diff(view(whole), view(s)); d != "" {
			t.Fatal(d)
		}
		kept := shelf{"rows": {"contoso/left behind": "by another ledger"}}
		keep(t, s, kept)
		again, _, err := ledger.Load(kept)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(view(whole), view(again)); d != "" {
			t.Fatal(d)
		}
	})
}

func TestASnapshotThatIsNotWholeIsNoLedger(t *testing.T) {
	s := fold(t, created()...)
	parts, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	half := *parts[0].Snapshot
	half.Text = half.Text[:len(half.Text)/2]
	second := *parts[0].Snapshot
	second.Part, second.Parts = 2, 2
	other := *parts[0].Snapshot
	other.Seq++
	for name, r := range map[string]ledger.Record{
		"cut off":           {Type: ledger.SnapshotType, Snapshot: &half},
		"the first missing": {Type: ledger.SnapshotType, Snapshot: &second},
		"of another record": {Type: ledger.SnapshotType, Snapshot: &other},
		"none":              created()[0],
		"empty":             {Type: ledger.SnapshotType},
	} {
		if _, err := taken([]ledger.Record{r}); !errors.Is(err, ledger.ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
