package directory

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/tandem-sync/tandem/scoping"
)

// AsOf is a point of a directory's history: everything that one controller had when its update sequence number was USN. Numbers of different
// controllers do not compare.
type AsOf struct {
	Invocation scoping.GUID
	USN        uint64
}

// Reached returns nil if the session's controller has everything that the point names. Its own numbers tell it of itself, and of others the
// vector that it keeps of what it has received of each of them (MS-DRSR 5.165): a cycle of replication hands over everything that the other one
// had, whoever wrote it. The error is of kind ErrBehind, or ErrUnproved when the controller shows no such vector.
func (s *Session) Reached(ctx context.Context, p AsOf) error {
	if p.Invocation.IsZero() || p.USN == 0 {
		return nil
	}
	if s.controller.InvocationID == p.Invocation {
		usn := s.highest
		if usn < p.USN { // it goes on while the session lasts
			var err error
			if usn, err = s.HighestUSN(ctx); err != nil {
				return err
			}
		}
		if usn < p.USN {
			return fmt.Errorf("%w: %s is at USN %d, seen was %d: was the controller restored from a backup?", ErrBehind, s.controller.URL, usn, p.USN)
		}
		return nil
	}
	has, err := s.upToDate(ctx)
	switch {
	case err != nil:
		return err
	case len(has) == 0:
		return fmt.Errorf("%w: %s is another controller than the one that was read before (invocationId %s)", ErrUnproved, s.controller.URL, p.Invocation)
	case has[p.Invocation] < p.USN:
		return fmt.Errorf("%w: %s has received changes of the controller that was read before (invocationId %s) up to USN %d, seen was %d: wait until it has replicated",
			ErrBehind, s.controller.URL, p.Invocation, has[p.Invocation], p.USN)
	}
	return nil
}

// upToDate reads what the controller has received of others; empty when it shows nothing of that.
func (s *Session) upToDate(ctx context.Context) (map[scoping.GUID]uint64, error) {
	root, err := s.readBase(ctx, s.controller.RootDN, []string{"replUpToDateVector"})
	if err != nil {
		return nil, fmt.Errorf("what %s has received of other controllers: %w", s.controller.URL, err)
	}
	raw := root.GetRawAttributeValue("replUpToDateVector")
	if len(raw) == 0 {
		return nil, nil
	}
	has, ok := decodeVector(raw)
	if !ok {
		return nil, fmt.Errorf("%w: %s: its replUpToDateVector cannot be understood", ErrUnproved, s.controller.URL)
	}
	return has, nil
}

// decodeVector reads a replUpToDateVectorBlob: version, reserved, count, reserved, then an invocationId and a USN each, followed by the time of the
// last successful cycle in version 2. All numbers are little-endian.
func decodeVector(b []byte) (map[scoping.GUID]uint64, bool) {
	if len(b) < 16 {
		return nil, false
	}
	size := map[uint32]int{1: 24, 2: 32}[binary.LittleEndian.Uint32(b)]
	n := int(binary.LittleEndian.Uint32(b[8:]))
	rest := b[16:]
	if size == 0 || n < 0 || len(rest)/size < n {
		return nil, false
	}
	out := make(map[scoping.GUID]uint64, n)
	for range n {
		out[scoping.GUID(rest[:16])] = binary.LittleEndian.Uint64(rest[16:])
		rest = rest[size:]
	}
	return out, true
}
