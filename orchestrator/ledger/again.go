package ledger

import "slices"

// againChunk is how many keys one record names.
const againChunk = 500

// Again returns the records that make keys dirty: their owners are asked for them at their next runs. Keys may stand in it twice and in any order; the slice is
// sorted in place.
func Again(keys []Key, code, reason string) []Record {
	slices.SortFunc(keys, Key.Compare)
	var rs []Record
	for chunk := range slices.Chunk(slices.Compact(keys), againChunk) {
		rs = append(rs, Record{Type: DirtyType, Code: code, Reason: reason, Dirty: chunk})
	}
	return rs
}
