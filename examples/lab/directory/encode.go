package directory

import (
	"encoding/binary"
)

// Tags of RFC 4511.
const (
	tagInteger     = 0x02
	tagOctetString = 0x04
	tagEnumerated  = 0x0a
	tagSequence    = 0x30
	tagSet         = 0x31
	tagControls    = 0xa0
	tagReferral    = 0x73 // SearchResultReference
	tagEntry       = 0x64 // SearchResultEntry
)

// appendElement writes one BER element. Answers are built by hand because a directory of tens of thousands of entries is
// otherwise mostly building packet trees.
func appendElement(dst []byte, tag byte, content []byte) []byte {
	dst = append(dst, tag)
	n := len(content)
	switch {
	case n < 0x80:
		dst = append(dst, byte(n))
	case n <= 0xff:
		dst = append(dst, 0x81, byte(n))
	case n <= 0xffff:
		dst = append(dst, 0x82, byte(n>>8), byte(n))
	default:
		dst = append(dst, 0x84)
		dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	}
	return append(dst, content...)
}

// appendInteger writes a number that is not negative.
func appendInteger(dst []byte, tag byte, n int64) []byte {
	var b [9]byte
	binary.BigEndian.PutUint64(b[1:], uint64(n))
	i := 0
	for i < 8 && b[i] == 0 && b[i+1] < 0x80 {
		i++
	}
	return appendElement(dst, tag, b[i:])
}

// message wraps an operation and its controls.
func message(id int64, operation []byte, controls [][]byte) []byte {
	content := append(appendInteger(nil, tagInteger, id), operation...)
	if len(controls) > 0 {
		var all []byte
		for _, c := range controls {
			all = append(all, c...)
		}
		content = appendElement(content, tagControls, all)
	}
	return appendElement(nil, tagSequence, content)
}

// encodeResult is the LDAPResult that every answer but entries consists of; extra is appended to it.
func encodeResult(tag byte, code uint16, text string, extra []byte) []byte {
	content := appendInteger(nil, tagEnumerated, int64(code))
	content = appendElement(content, tagOctetString, nil)
	content = appendElement(content, tagOctetString, []byte(text))
	return appendElement(nil, tag, append(content, extra...))
}

func encodeEntry(e entry, typesOnly bool) []byte {
	var attrs []byte
	for _, a := range e.attrs {
		var values []byte
		if !typesOnly {
			for _, v := range a.values {
				values = appendElement(values, tagOctetString, []byte(v))
			}
		}
		content := appendElement(nil, tagOctetString, []byte(a.name))
		content = appendElement(content, tagSet, values)
		attrs = appendElement(attrs, tagSequence, content)
	}
	content := appendElement(nil, tagOctetString, []byte(e.dn))
	return appendElement(nil, tagEntry, appendElement(content, tagSequence, attrs))
}

func encodeReference(url string) []byte {
	return appendElement(nil, tagReferral, appendElement(nil, tagOctetString, []byte(url)))
}

func encodeControl(oid string, value []byte) []byte {
	content := appendElement(nil, tagOctetString, []byte(oid))
	content = appendElement(content, tagOctetString, value)
	return appendElement(nil, tagSequence, content)
}

// encodePaging is the value of the paging control in an answer (RFC 2696); the estimate of the total is left at 0.
func encodePaging(cookie []byte) []byte {
	content := appendInteger(nil, tagInteger, 0)
	return appendElement(nil, tagSequence, appendElement(content, tagOctetString, cookie))
}

// encodeDirSync is the value of the DirSync control in an answer: the first number is not zero while there is more.
func encodeDirSync(more bool, cookie []byte) []byte {
	var flag int64
	if more {
		flag = 1
	}
	content := appendInteger(nil, tagInteger, flag)
	content = appendInteger(content, tagInteger, 0)
	return appendElement(nil, tagSequence, appendElement(content, tagOctetString, cookie))
}
