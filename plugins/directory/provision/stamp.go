package provision

import (
	"encoding/binary"
	"time"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// stampAttribute holds the replication stamp of each attribute of an object (MS-ADTS 3.1.1.3.2.2; [MS-DRSR] 5.166, PROPERTY_META_DATA_VECTOR).
const stampAttribute = provision.PasswordStamp

const (
	unicodePwd = 0x9005a // the attribute's number (ATTRTYP) by the prefix table that every directory has (MS-DRSR 5.16.4)
	vectorHead = 16
	stampSize  = 48
	since1601  = 11644473600 // seconds between 1601 and 1970
)

// stampOf is the stamp of an object's password as text ([credential.Stamp.Text]); empty where it is not shown.
func stampOf(e directory.Entry) string {
	if s, ok := passwordStamp([]byte(e.Text(stampAttribute))); ok {
		return s.Text()
	}
	return ""
}

// passwordStamp reads the stamp of unicodePwd. ok is false for what is no vector, or has none.
func passwordStamp(b []byte) (stamp credential.Stamp, ok bool) {
	if len(b) < vectorHead || binary.LittleEndian.Uint32(b) != 1 {
		return stamp, false
	}
	n := binary.LittleEndian.Uint32(b[8:])
	b = b[vectorHead:]
	if uint64(n)*stampSize > uint64(len(b)) {
		return stamp, false
	}
	for ; n > 0; n, b = n-1, b[stampSize:] {
		if binary.LittleEndian.Uint32(b) != unicodePwd {
			continue
		}
		changed := binary.LittleEndian.Uint64(b[8:])
		if changed < since1601 || changed > 1<<40 {
			return stamp, false
		}
		return credential.Stamp{Version: binary.LittleEndian.Uint32(b[4:]), Changed: time.Unix(int64(changed-since1601), 0).UTC(), Invocation: scoping.GUID(b[16:32]),
			USN: binary.LittleEndian.Uint64(b[32:])}, true
	}
	return stamp, false
}
