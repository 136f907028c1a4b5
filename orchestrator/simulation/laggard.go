package simulation

import (
	"context"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// controller is one of the directory's two. Each numbers changes by itself; the second one shows what was, until it replicates.
type controller struct {
	url        string
	invocation scoping.GUID
	shift      uint64 // what its USNs are higher by; 0: it is the first
}

// snapshot is what a controller shows now: the second one what has been replicated to it.
func (c controller) snapshot(d *domain) snapshot {
	if c.shift > 0 {
		return *d.behind
	}
	return d.now
}

// shift of the second controller's USNs.
const secondShift = 1_000_000

// secondID is the second controller's invocation id.
var secondID = scoping.GUID{0xd, 0xc, 2}

// reached is what a controller says of a point that was seen on one of the two: its own numbers, or what it has received of the other.
func (c controller) reached(d *domain, p directory.AsOf) error {
	want := p.USN
	if p.Invocation == secondID {
		want -= secondShift
	}
	if c.snapshot(d).usn < want {
		return directory.ErrBehind
	}
	return nil
}

// Reached implements what the census asks of a session that can say what its controller has.
func (r *reader) Reached(_ context.Context, p directory.AsOf) error {
	r.w.alive()
	return r.dc.reached(r.w.dir, p)
}

// first is the controller that is never behind.
func (d *domain) first() controller { return controller{url: "ldaps://sim", invocation: d.invocation} }

func (d *domain) second() controller {
	return controller{url: "ldaps://sim2", invocation: secondID, shift: secondShift}
}

// replicate lets the second controller catch up, or fall behind.
func (w *world) replicate() {
	if !w.eyes[Laggards] {
		return
	}
	if w.r.IntN(3) == 0 || w.dir.behind == nil || !w.faults {
		now := w.dir.now
		w.dir.behind = &now
	}
}

// answering chooses the controller that answers: the one that is asked for, or any.
func (w *world) answering(asked string) controller {
	if w.apart && asked == "" {
		return w.dir.second()
	}
	if !w.eyes[Laggards] || !w.faults || w.dir.behind == nil || asked == w.dir.first().url || (asked == "" && w.r.IntN(4) > 0) {
		return w.dir.first()
	}
	if w.dir.behind.usn < w.dir.now.usn {
		w.saw(Laggards)
		w.note(scoping.GUID{}, Lagged)
	}
	w.log("the second controller answers, %d changes behind", w.dir.now.usn-w.dir.behind.usn)
	return w.dir.second()
}

// Controller implements census.Reader.
func (r *reader) Controller() directory.Controller {
	return directory.Controller{URL: r.dc.url, InvocationID: r.dc.invocation, HighestUSN: r.now().usn + r.dc.shift, Root: r.w.dir.root, RootDN: rootDN}
}

// now is what the session's controller shows.
func (r *reader) now() snapshot { return r.dc.snapshot(r.w.dir) }

// gone reports whether the controller of a session has ended.
func (r *reader) gone() bool {
	return r.dc.shift == 0 && r.dc.invocation != r.w.dir.invocation || r.dc.shift > 0 && r.w.fault(20)
}
