package drsr

import "encoding/binary"

// relativeID returns the last part of a SID, which the encryption of its hash depends on.
func relativeID(sid []byte) (uint32, bool) {
	if len(sid) < 12 || len(sid) != 8+4*int(sid[1]) {
		return 0, false
	}
	return binary.LittleEndian.Uint32(sid[len(sid)-4:]), true
}
