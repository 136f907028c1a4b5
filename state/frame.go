package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// A segment is a header and frames. All numbers are little-endian.
//
//	header  magic[8] version u32 first u64 pending u64 prev[32] crc32c u32 (of all before it)
//	frame   length u32, crc32c u32 (of all that follows), seq u64, pending u64, index u32, group u32, hash[32], record
//
// first is the number of the segment's first record, prev the hash before it, pending the highest number of a pending record before it. index
// and group say that the record is the index-th of group records written with one sync: a group is there whole or it was
// never acknowledged. hash is ChainHash.
const (
	segmentMagic   = "TANDEMLG"
	segmentVersion = 1
	headerSize     = 8 + 4 + 8 + 8 + 32 + 4
	frameSize      = 4 + 4 + 8 + 8 + 4 + 4 + 32
)

// MaxRecord is the longest log record in bytes.
const MaxRecord = 16 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ChainHash is the hash of a log record: SHA-256 over the previous hash, the record's number and its number as a pending record (both 8 bytes,
// little-endian), and the record.
func ChainHash(prev [32]byte, seq, pending uint64, record []byte) [32]byte {
	h := sha256.New()
	var n [48]byte
	copy(n[:32], prev[:])
	binary.LittleEndian.PutUint64(n[32:], seq)
	binary.LittleEndian.PutUint64(n[40:], pending)
	h.Write(n[:])
	h.Write(record)
	var sum [32]byte
	h.Sum(sum[:0])
	return sum
}

// header begins a segment.
type header struct {
	first   uint64
	pending uint64
	prev    [32]byte
}

func (h header) encode() []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, segmentVersion)
	b = binary.LittleEndian.AppendUint64(b, h.first)
	b = binary.LittleEndian.AppendUint64(b, h.pending)
	b = append(b, h.prev[:]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// errTornHeader means that a segment's header was not written completely.
var errTornHeader = errors.New("segment header is incomplete")

// decodeHeader decodes a header of the named file. The version is checked before the checksum: another version may have another header.
func decodeHeader(name string, b []byte) (header, error) {
	if len(b) >= 12 && bytes.Equal(b[:8], []byte(segmentMagic)) {
		if v := binary.LittleEndian.Uint32(b[8:]); v != segmentVersion && v != 0 {
			return header{}, &VersionError{File: name, Found: v, Known: segmentVersion}
		}
	}
	if len(b) < headerSize {
		return header{}, errTornHeader
	}
	if !bytes.Equal(b[:8], []byte(segmentMagic)) {
		return header{}, &DamageError{File: name, Why: "not a log segment: wrong magic number"}
	}
	sum := binary.LittleEndian.Uint32(b[headerSize-4:])
	if crc32.Checksum(b[:headerSize-4], castagnoli) != sum {
		return header{}, &DamageError{File: name, Why: "header checksum does not match"}
	}
	h := header{first: binary.LittleEndian.Uint64(b[12:]), pending: binary.LittleEndian.Uint64(b[20:])}
	copy(h.prev[:], b[28:60])
	return h, nil
}

// frame is one record as it is in a segment.
type frame struct {
	seq     uint64
	pending uint64
	index   uint32
	group   uint32
	hash    [32]byte
	record  []byte
}

// last reports whether the frame ends its group.
func (f *frame) last() bool { return f.index+1 == f.group }

func (f *frame) appendTo(b []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.record)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, f.seq)
	b = binary.LittleEndian.AppendUint64(b, f.pending)
	b = binary.LittleEndian.AppendUint32(b, f.index)
	b = binary.LittleEndian.AppendUint32(b, f.group)
	b = append(b, f.hash[:]...)
	b = append(b, f.record...)
	binary.LittleEndian.PutUint32(b[start+4:], crc32.Checksum(b[start+8:], castagnoli))
	return b
}

// frameLength returns the record's length in a frame head, and false when it cannot be one.
func frameLength(head []byte) (int, bool) {
	n := binary.LittleEndian.Uint32(head)
	return int(n), n <= MaxRecord
}

// decodeFrame decodes a whole frame or returns why it is none. The record aliases b.
func decodeFrame(b []byte) (frame, error) {
	if crc32.Checksum(b[8:], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return frame{}, errors.New("checksum does not match")
	}
	f := headFrame(b)
	f.record = b[frameSize:]
	if f.index >= f.group {
		return frame{}, fmt.Errorf("record %d of a group of %d", f.index+1, f.group)
	}
	return f, nil
}

// headFrame decodes a frame's fixed part without checking it.
func headFrame(b []byte) frame {
	f := frame{
		seq:     binary.LittleEndian.Uint64(b[8:]),
		pending: binary.LittleEndian.Uint64(b[16:]),
		index:   binary.LittleEndian.Uint32(b[24:]),
		group:   binary.LittleEndian.Uint32(b[28:]),
	}
	copy(f.hash[:], b[32:64])
	return f
}

const segmentSuffix = ".log"

// segmentName returns the name of the segment that begins with record first.
func segmentName(first uint64) string { return fmt.Sprintf("%020d%s", first, segmentSuffix) }

// segmentFirst parses a segment's name.
func segmentFirst(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n > 0
}
