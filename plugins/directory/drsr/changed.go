package drsr

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/scoping"
)

// Watermark is a point of one controller's history of changes: what changed there afterwards is what [Session.Changed] tells.
type Watermark struct {
	Invocation scoping.GUID // of the controller
	at         usns
}

// ErrWatermark is the kind of errors about bytes that are no watermark.
var ErrWatermark = errors.New("not a watermark of passwords")

const watermarkSize = 16 + 3*8

// Encode returns the bytes that [ParseWatermark] reads.
func (w Watermark) Encode() []byte {
	b := append(make([]byte, 0, watermarkSize), w.Invocation[:]...)
	for _, n := range []uint64{w.at.object, w.at.reserved, w.at.property} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

// ParseWatermark reads what Encode returns. Its errors are [ErrWatermark].
func ParseWatermark(b []byte) (Watermark, error) {
	if len(b) != watermarkSize {
		return Watermark{}, fmt.Errorf("%w: %d bytes", ErrWatermark, len(b))
	}
	number := func(i int) uint64 { return binary.LittleEndian.Uint64(b[16+8*i:]) }
	return Watermark{Invocation: scoping.GUID(b[:16]), at: usns{number(0), number(1), number(2)}}, nil
}

// Changed calls each for the objects of which a password, or what decides whether it is sent, changed since a watermark of the same controller; one that
// changes meanwhile may come twice, and one of which something else changed may be among them. A watermark of another controller is [ErrOther]: numbers of two controllers do not compare. Other errors are those of
// [Session.Users].
func (s *Session) Changed(ctx context.Context, since Watermark, each func(scoping.GUID) error) (Watermark, error) {
	if since.Invocation != s.controller.InvocationID {
		return Watermark{}, fmt.Errorf("%s: %w: the watermark is of %s", s.controller.URL, ErrOther, since.Invocation)
	}
	return s.since(ctx, since.at, func(r reply) error {
		for _, o := range r.objects {
			if !o.changesPassword() {
				continue
			}
			if err := each(o.guid); err != nil {
				return err
			}
		}
		return nil
	})
}

// changesPassword reports whether a change of an object is of what is read of users; a reply has the changed attributes only.
func (o object) changesPassword() bool {
	for _, a := range []attribute{unicodePwd, pwdLastSet, userAccountControl} {
		if _, changed := o.stamps[a.key()]; changed {
			return true
		}
		if _, changed := o.values[a.key()]; changed {
			return true
		}
	}
	return false
}

// since goes through what changed in the naming context after a point, reply by reply, and returns where it ended.
func (s *Session) since(ctx context.Context, from usns, each func(reply) error) (Watermark, error) {
	q := request{target: s.controller.Root, from: from}
	for {
		r, err := s.ask(ctx, q)
		if err != nil {
			return Watermark{}, s.classify(ctx, fmt.Errorf("read all passwords: %w", err))
		}
		if err := each(r); err != nil {
			return Watermark{}, err
		}
		if !r.more {
			return Watermark{Invocation: r.invocation, at: r.to}, nil
		}
		if r.to == q.from {
			return Watermark{}, s.classify(ctx, fmt.Errorf("read all passwords: %w: there is more, and it does not go on", ErrProtocol))
		}
		q.from = r.to
	}
}
