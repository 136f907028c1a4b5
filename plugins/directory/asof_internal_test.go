package directory

import (
	"encoding/binary"
	"maps"
	"testing"

	"github.com/tandem-sync/tandem/scoping"
)

// vectorOf builds a replUpToDateVectorBlob as MS-DRSR 5.165 lays it out.
func vectorOf(version, count uint32, times bool, of ...scoping.GUID) []byte {
	b := binary.LittleEndian.AppendUint32(nil, version)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, count)
	b = binary.LittleEndian.AppendUint32(b, 0)
	for i, g := range of {
		b = append(b, g[:]...)
		b = binary.LittleEndian.AppendUint64(b, uint64(i+1)<<33)
		if times {
			b = binary.LittleEndian.AppendUint64(b, 0xffffffffffffffff)
		}
	}
	return b
}

func TestAnUpToDatenessVectorIsRead(t *testing.T) {
	one, two := scoping.GUID{1}, scoping.GUID{2}
	both := map[scoping.GUID]uint64{one: 1 << 33, two: 2 << 33}
	for name, c := range map[string]struct {
		blob []byte
		want map[scoping.GUID]uint64
		ok   bool
	}{
		"version 1":                  {vectorOf(1, 2, false, one, two), both, true},
		"version 2":                  {vectorOf(2, 2, true, one, two), both, true},
		"none in it":                 {vectorOf(2, 0, true), map[scoping.GUID]uint64{}, true},
		"more bytes than it counts":  {vectorOf(2, 1, true, one, two), map[scoping.GUID]uint64{one: 1 << 33}, true},
		"a version of the future":    {vectorOf(3, 1, true, one), nil, false},
		"version 0":                  {vectorOf(0, 1, true, one), nil, false},
		"fewer bytes than it counts": {vectorOf(2, 3, true, one, two), nil, false},
		"more than memory holds":     {vectorOf(2, 0xffffffff, true, one), nil, false},
		"cut in its head":            {vectorOf(2, 0, true)[:15], nil, false},
		"cut in an entry":            {vectorOf(1, 1, false, one)[:16+23], nil, false},
		"empty":                      {nil, nil, false},
	} {
		if got, ok := decodeVector(c.blob); ok != c.ok || !maps.Equal(got, c.want) {
			t.Errorf("%s: %v %v, want %v %v", name, got, ok, c.want, c.ok)
		}
	}
}
