package ledger_test

import (
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/scoping"
)

// One record names few enough keys that it can be written, and each key once.
func TestManyKeysAreMadeDirtyInChunks(t *testing.T) {
	var keys []ledger.Key
	for i := range 1100 {
		id := scoping.ObjectID{Directory: "contoso", GUID: scoping.GUID{byte(i % 550), byte(i % 550 / 256)}}
		keys = append(keys, ledger.Key{Object: id, Feature: scoping.Users})
	}
	s := ledger.New()
	rs := ledger.Again(keys, ledger.DirectoryChanged, "the directory changed")
	for i, r := range rs {
		if err := s.Fold(uint64(i+1), r); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.DirtyKeys()); len(rs) != 2 || n != 550 || len(rs[0].Dirty)+len(rs[1].Dirty) != 550 {
		t.Errorf("%d records make %d keys dirty", len(rs), n)
	}
	if len(ledger.Again(nil, ledger.Unasked, "")) != 0 {
		t.Error("a record about nothing")
	}
}
