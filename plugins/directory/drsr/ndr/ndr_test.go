package ndr_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/tandem-sync/tandem/plugins/directory/drsr/ndr"
)

func TestWhatIsWrittenIsReadWithItsAlignment(t *testing.T) {
	var w ndr.Writer
	w.Bytes([]byte{7})
	w.Uint16(0x1234)
	w.Bytes([]byte{8})
	w.Uint32(5)
	w.Uint64(1 << 40)
	w.Pointer()
	w.Null()
	w.Zeros(1)
	w.Uint32(3)
	if len(w.Data()) != 40 {
		t.Fatalf("%d bytes: % x", len(w.Data()), w.Data())
	}
	r := ndr.Read(w.Data())
	if r.Bytes(1)[0] != 7 || r.Uint16() != 0x1234 || r.Bytes(1)[0] != 8 || r.Uint32() != 5 || r.Uint64() != 1<<40 || !r.Pointer() || r.Pointer() {
		t.Error("not what was written")
	}
	if !bytes.Equal(r.Bytes(1), []byte{0}) || r.Uint32() != 3 || r.Rest() != 0 || r.Err() != nil {
		t.Errorf("%d left, %v", r.Rest(), r.Err())
	}
}

func TestLengthsThatCannotBeAreRefused(t *testing.T) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8}
	for name, read := range map[string]func(r *ndr.Reader){
		"more elements than bytes": func(r *ndr.Reader) { r.Count(1) },
		"elements that overflow":   func(r *ndr.Reader) { r.Count(1 << 30) },
		"another size than said":   func(r *ndr.Reader) { r.Bytes(4); r.Size(3, 0) },
		"a negative length":        func(r *ndr.Reader) { r.Bytes(-1) },
		"more bytes than there":    func(r *ndr.Reader) { r.Bytes(13) },
		"a UUID at the end":        func(r *ndr.Reader) { r.Bytes(1); r.UUID() },
	} {
		r := ndr.Read(huge)
		read(r)
		if !errors.Is(r.Err(), ndr.ErrMalformed) {
			t.Errorf("%s: %v", name, r.Err())
		}
		first := r.Err()
		if r.Uint16() != 0 || r.Uint32() != 0 || r.Uint64() != 0 || r.Pointer() || r.Count(1) != 0 || r.Size(0, 1) != 0 || r.UUID() != nil || r.Err() != first {
			t.Errorf("%s: something is read after the error", name)
		}
	}
}
