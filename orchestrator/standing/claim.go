// Package standing says what follows for one feature of one object from all that is known of it: whose it is, what its engine said of it last, what was
// agreed, and what source and target show (rules S1–S6). It is pure: nobody notes what has to be done, it is what comparison finds.
//
// Standing speaks of a source, from which an object is read, and of a target, to which it is written. Today the source is a directory and the target the tenant.
package standing

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Claim is what one engine said of a key last, under a grant, own or shadow. It holds no values: a claim finds debts and never writes (rule S4).
type Claim struct {
	Want    engine.Want        // Unknown: the engine was asked, or read everything, and said nothing
	Agrees  bool               // what it wants was in the target when it was said, or was written then
	Target  uint64             // Digest of the target then
	Attrs   []string           // what Target is about, sorted; none of a password that was left out since it has to be changed
	Reading uint64             // the host's reading that was the newest when the run began
	Rules   uint64             // RulesOf the engine in that run; 0: it did not say
	Person  bool               // it does not agree, and waits for others: its engine says the same until source or target change
	Waits   []scoping.ObjectID // ends of references that were not in the target, sorted
	At      int64              // of silence, and of what waits for others: when the engine was asked, Unix ms
	SignIn  SignIn             // of users
	Unkept  uint64             // UnkeptOf what it wants, if that is not in the target and is left alone since it did not last there (rule S10); 0: nothing is

	Seen uint64 // the version of the target object that was found to have Target; 0: none yet. It is not stored
}

// SignIn is what the host made of the domain of a proposed sign-in name when it answered: the domain that stands for it, or "" if the name was refused
// (rule J6). What it makes of it now may be something else: domains are verified, and given up.
type SignIn struct{ Domain, As string }

// Patience is how long an engine that was asked for an object and said nothing is not asked for it again while nothing changes.
const Patience = time.Hour

// Equal reports whether two claims say the same at the same reading.
func (c Claim) Equal(o Claim) bool {
	return c.Want == o.Want && c.Agrees == o.Agrees && c.Person == o.Person && c.Target == o.Target && c.Reading == o.Reading && c.Rules == o.Rules && c.At == o.At && c.Unkept == o.Unkept && c.SignIn == o.SignIn && slices.Equal(c.Attrs, o.Attrs) && slices.Equal(c.Waits, o.Waits)
}

// UnkeptOf shortens the digest of what an engine wants and the target does not keep; "" is 0.
func UnkeptOf(want string) uint64 {
	if want == "" {
		return 0
	}
	return max(sum(offset, want), 1)
}

// RulesOf shortens the fingerprint of the rules by which an engine makes values.
func RulesOf(f engine.Fingerprint) uint64 { return binary.LittleEndian.Uint64(f[:]) }

// Good reports whether a claim still tells what its engine would say: the source changed nothing of the object since its run began to read, and its rules are the
// present ones, where these are known (rule S2). That the engine's grants covered the object without a gap since is what its keeper sees to.
func (c *Claim) Good(changed, rules uint64) bool {
	return c != nil && c.Reading >= changed && (rules == 0 || c.Rules == rules)
}

// Digest sums what the target shows of attributes; the names of references stand for the cloud ids that they name. An object that is not there, or deleted,
// has the digest 0.
func Digest(o *cloud.Object, attrs []string) uint64 {
	if o == nil || o.Deleted {
		return 0
	}
	d := uint64(offset)
	for _, a := range attrs {
		d = sum(d, a)
		switch a {
		case cloud.Members:
			for _, m := range o.Members {
				d = sum(d, m)
			}
		case cloud.Manager:
			d = sum(d, o.Manager)
		default:
			for _, v := range o.Values[a] {
				d = sum(d, v)
			}
		}
		d = (d ^ 0xff) * prime
	}
	return max(d, 1)
}

// Agreed sums what was agreed with an object of the target about what no reading of it shows: a password.
func Agreed(cloudID, agreement string) uint64 { return max(sum(sum(offset, cloudID), agreement), 1) }

// FNV-1a, 64 bits: the sum has to be the same in the next process, and nobody attacks it.
const (
	offset = 14695981039346656037
	prime  = 1099511628211
)

func sum(d uint64, s string) uint64 {
	for i := range len(s) {
		d = (d ^ uint64(s[i])) * prime
	}
	return (d ^ 0xfe) * prime // the end of a text
}
