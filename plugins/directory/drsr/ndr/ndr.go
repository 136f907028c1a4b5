// Package ndr reads and writes the transfer syntax of DCE/RPC, NDR 2.0 (C706 chapter 14), as far as a client of few
// interfaces needs it: little-endian, 32-bit pointers.
//
// A [Reader] keeps the first error and answers zeros after it, so that decoders read straight on and ask once. What it
// returns are parts of its input, never copies, and it never allocates by a length that was read: a count is taken only if
// that many elements can still follow.
package ndr

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is the kind of a reader's errors.
var ErrMalformed = errors.New("malformed NDR data")

// Reader reads one message.
type Reader struct {
	data []byte
	at   int
	err  error
}

// Read begins to read a message, whose alignment counts from its beginning.
func Read(data []byte) *Reader { return &Reader{data: data} }

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// Rest is how many bytes are left to read.
func (r *Reader) Rest() int { return len(r.data) - r.at }

// Fail makes the message malformed, unless it is already.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w at byte %d: %s", ErrMalformed, r.at, fmt.Sprintf(format, args...))
	}
}

// Align skips to a multiple of size.
func (r *Reader) Align(size int) {
	if over := r.at % size; over != 0 {
		r.Bytes(size - over)
	}
}

// Bytes returns the next n bytes, nil if there are fewer.
func (r *Reader) Bytes(n int) []byte {
	if r.err == nil && (n < 0 || n > r.Rest()) {
		r.Fail("%d bytes are needed, %d are left", n, r.Rest())
	}
	if r.err != nil {
		return nil
	}
	b := r.data[r.at : r.at+n : r.at+n]
	r.at += n
	return b
}

// Uint16 reads an aligned number.
func (r *Reader) Uint16() uint16 {
	r.Align(2)
	if b := r.Bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// Uint32 reads an aligned number.
func (r *Reader) Uint32() uint32 {
	r.Align(4)
	if b := r.Bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// Uint64 reads an aligned number.
func (r *Reader) Uint64() uint64 {
	r.Align(8)
	if b := r.Bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// UUID returns an aligned UUID's 16 bytes, nil after an error.
func (r *Reader) UUID() []byte {
	r.Align(4)
	return r.Bytes(16)
}

// Pointer reads a pointer and reports whether something is behind it. That its number may come again means nothing: Samba
// counts them around.
func (r *Reader) Pointer() bool { return r.Uint32() != 0 }

// Count reads a number of elements that take at least size bytes each. More than can follow is malformed.
func (r *Reader) Count(size int) int {
	n := r.Uint32()
	if r.err == nil && uint64(n)*uint64(size) > uint64(r.Rest()) {
		r.Fail("%d elements cannot follow in %d bytes", n, r.Rest())
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

// Size reads the size of a conformant array, which has to be what was said of it before.
func (r *Reader) Size(said, size int) int {
	n := r.Count(size)
	if r.err == nil && n != said {
		r.Fail("%d elements instead of %d", n, said)
	}
	if r.err != nil {
		return 0
	}
	return n
}

// Writer writes one message. The zero value is an empty one.
type Writer struct{ data []byte }

// Data returns what was written.
func (w *Writer) Data() []byte { return w.data }

// Align fills up to a multiple of size with zeros.
func (w *Writer) Align(size int) {
	for len(w.data)%size != 0 {
		w.data = append(w.data, 0)
	}
}

// Bytes writes bytes as they are.
func (w *Writer) Bytes(b []byte) { w.data = append(w.data, b...) }

// Zeros writes n zeros.
func (w *Writer) Zeros(n int) { w.data = append(w.data, make([]byte, n)...) }

// Uint16 writes an aligned number.
func (w *Writer) Uint16(v uint16) {
	w.Align(2)
	w.data = binary.LittleEndian.AppendUint16(w.data, v)
}

// Uint32 writes an aligned number.
func (w *Writer) Uint32(v uint32) {
	w.Align(4)
	w.data = binary.LittleEndian.AppendUint32(w.data, v)
}

// Uint64 writes an aligned number.
func (w *Writer) Uint64(v uint64) {
	w.Align(8)
	w.data = binary.LittleEndian.AppendUint64(w.data, v)
}

// Pointer writes a pointer behind which something is. What it points at is written later, in its place.
func (w *Writer) Pointer() {
	w.Align(4)
	w.Uint32(0x20000 + uint32(len(w.data)))
}

// Null writes a pointer behind which nothing is.
func (w *Writer) Null() { w.Uint32(0) }
