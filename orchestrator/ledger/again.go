package ledger

import "slices"

// Cause says in a word why a key is dirty that no answer of the gate made so; a record's reason says it for people.
type Cause string

// The causes.
const (
	DirectoryChanged Cause = "directory"
	ForeignWrite     Cause = "foreign-write" // the tenant shows what others wrote
	DomainsChanged   Cause = "domains"       // the tenant's verified ones
	Unasked          Cause = "unasked"       // its owner never settled it
	LookedAt         Cause = "looked-at"     // a run that wrote nothing found it
	CutOver          Cause = "cutover"       // the target has a say in it since
	RolledBack       Cause = "rollback"      // its wave was taken back
)

// againChunk is how many keys one record names.
const againChunk = 500

// Again returns the records that make keys dirty: their owners are asked for them at their next runs. Keys may stand in it twice and in any order; the slice is
// sorted in place.
func Again(keys []Key, why Cause, reason string) []Record {
	slices.SortFunc(keys, Key.Compare)
	var rs []Record
	for chunk := range slices.Chunk(slices.Compact(keys), againChunk) {
		rs = append(rs, Record{Type: DirtyType, Code: string(why), Reason: reason, Dirty: chunk})
	}
	return rs
}
