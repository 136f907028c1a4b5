// Package access evaluates the access lists of Active Directory: what the holder of some SIDs may do to an object
// (MS-ADTS 5.1.3, MS-DTYP 2.4). Everything in it is pure: the caller reads descriptors and SIDs over a connection of its own.
//
// The controller decides for itself. What is evaluated here is shown to people (package rights), and refuses in advance what must not be tried
// (package password).
package access

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// SID is a security identifier in its binary form (MS-DTYP 2.4.2.2), as objectSid and tokenGroups hold it. It compares by ==.
type SID string

// ErrSID is the kind of errors for what is no SID.
var ErrSID = errors.New("not a SID")

// maxSubAuthorities is the most parts that a SID has after its authority (MS-DTYP 2.4.2.2).
const maxSubAuthorities = 15

// SIDFromBytes takes the binary form, all of b.
func SIDFromBytes(b []byte) (SID, error) {
	if n := sidLength(b); n == 0 || n != len(b) {
		return "", fmt.Errorf("%w: %d bytes", ErrSID, len(b))
	}
	return SID(b), nil
}

// sidLength returns how many bytes the SID at the head of b has; 0 where there is none.
func sidLength(b []byte) int {
	if len(b) < 8 || b[0] != 1 || b[1] > maxSubAuthorities || len(b) < 8+4*int(b[1]) {
		return 0
	}
	return 8 + 4*int(b[1])
}

// ParseSID reads the form that people write, such as S-1-5-21-1-2-3-500.
func ParseSID(s string) (SID, error) {
	parts := strings.Split(s, "-")
	if len(parts) < 3 || len(parts) > 3+maxSubAuthorities || !strings.EqualFold(parts[0], "S") || parts[1] != "1" {
		return "", fmt.Errorf("%w: %q", ErrSID, s)
	}
	authority, err := strconv.ParseUint(parts[2], 10, 48)
	if err != nil {
		return "", fmt.Errorf("%w: %q", ErrSID, s)
	}
	b := binary.BigEndian.AppendUint64(nil, authority)
	b[0], b[1] = 1, byte(len(parts)-3)
	for _, p := range parts[3:] {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return "", fmt.Errorf("%w: %q", ErrSID, s)
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return SID(b), nil
}

// String returns the form that people write, empty for what is no SID.
func (s SID) String() string {
	b := []byte(s)
	if n := sidLength(b); n == 0 || n != len(b) {
		return ""
	}
	var out strings.Builder
	fmt.Fprintf(&out, "S-%d-%d", b[0], binary.BigEndian.Uint64(append([]byte{0, 0}, b[2:8]...)))
	for at := 8; at < len(b); at += 4 {
		fmt.Fprintf(&out, "-%d", binary.LittleEndian.Uint32(b[at:]))
	}
	return out.String()
}

// RID returns the last part of the SID, and the SID without it, which for an account is that of its domain; ok is false for SIDs that have no more
// than one part.
func (s SID) RID() (domain SID, rid uint32, ok bool) {
	b := []byte(s)
	if n := sidLength(b); n != len(b) || n < 16 {
		return "", 0, false
	}
	rid = binary.LittleEndian.Uint32(b[len(b)-4:])
	b[1]--
	return SID(b[:len(b)-4]), rid, true
}

// With returns the SID with one part more: an account of the domain s.
func (s SID) With(rid uint32) SID {
	b := binary.LittleEndian.AppendUint32([]byte(s), rid)
	b[1]++
	return SID(b)
}

// must is for the constants below.
func must(s string) SID {
	sid, err := ParseSID(s)
	if err != nil {
		panic(err)
	}
	return sid
}

// SIDs that are the same in every domain (MS-DTYP 2.4.2.4).
var (
	Everyone           = must("S-1-1-0")
	Self               = must("S-1-5-10") // the object that the access list is of
	AuthenticatedUsers = must("S-1-5-11")
	OwnerRights        = must("S-1-3-4")
	Administrators     = must("S-1-5-32-544")
)
