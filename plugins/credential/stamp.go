package credential

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/scoping"
)

// Stamp is the replication stamp of a password: which change of it a directory shows, the same at every controller (MS-DRSR 5,
// PROPERTY_META_DATA_EXT). The zero value is that of a password that was never set.
type Stamp struct {
	Version    uint32       // counts changes of this object's password
	Changed    time.Time    // by the clock of the controller where it was changed, to the second
	Invocation scoping.GUID // of that controller
	USN        uint64       // of that controller
}

// IsZero reports whether the password was never set.
func (s Stamp) IsZero() bool { return s.Version == 0 && s.USN == 0 && s.Invocation.IsZero() }

// First reports whether it is the first password that an account has had, for an account made with one: that which it was made with.
func (s Stamp) First() bool { return s.Version == 1 }

// Compare returns -1, 0 or 1, as s is older than, the same as, or newer than o. The order is that by which controllers
// themselves agree about changes that were made at two of them (MS-ADTS 3.1.1.1.9): version, time, controller.
func (s Stamp) Compare(o Stamp) int {
	switch {
	case s.Version != o.Version:
		return order(s.Version < o.Version)
	case !s.Changed.Equal(o.Changed):
		return order(s.Changed.Before(o.Changed))
	case s.Invocation != o.Invocation:
		return s.Invocation.Compare(o.Invocation)
	case s.USN != o.USN:
		return order(s.USN < o.USN)
	}
	return 0
}

func order(less bool) int {
	if less {
		return -1
	}
	return 1
}

// String is for people.
func (s Stamp) String() string {
	if s.IsZero() {
		return "never set"
	}
	return fmt.Sprintf("version %d of %s, USN %d of %s", s.Version, s.Changed.Format(time.RFC3339), s.USN, s.Invocation)
}

// ErrStamp is the kind of errors about a text that is no stamp.
var ErrStamp = errors.New("not the stamp of a password")

// Text returns the stamp in the one form that [ParseStamp] reads: version, Unix seconds, controller and USN, with dots between. Stamps are equal if
// their texts are.
func (s Stamp) Text() string {
	return fmt.Sprintf("%d.%d.%s.%d", s.Version, s.Changed.Unix(), s.Invocation, s.USN)
}

// ParseStamp reads what Text returns, and nothing else. Its errors are [ErrStamp].
func ParseStamp(text string) (Stamp, error) {
	part := strings.Split(text, ".")
	if len(part) != 4 {
		return Stamp{}, fmt.Errorf("%w: %q has %d parts, and not 4", ErrStamp, text, len(part))
	}
	version, err1 := strconv.ParseUint(part[0], 10, 32)
	seconds, err2 := strconv.ParseInt(part[1], 10, 64)
	invocation, err3 := scoping.ParseGUID(part[2])
	usn, err4 := strconv.ParseUint(part[3], 10, 64)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return Stamp{}, fmt.Errorf("%w: %q: %w", ErrStamp, text, err)
	}
	s := Stamp{Version: uint32(version), Changed: time.Unix(seconds, 0).UTC(), Invocation: invocation, USN: usn}
	if s.Text() != text {
		return Stamp{}, fmt.Errorf("%w: %q, which is written %q", ErrStamp, text, s.Text())
	}
	return s, nil
}
