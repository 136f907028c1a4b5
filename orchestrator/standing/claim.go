// Package standing derives what is owed for one feature of one object, a key, from all that is known of it: its owner, what its engine said last (its
// claim), what was agreed, and what source and target show (rules S1–S6). It is pure: debts are not stored, comparison finds them.
//
// A source is where an object is read, a target where it is written. Today the source is a directory and the target the tenant.
package standing

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Claim is what one engine said last about a key, under a grant, own or shadow. It holds no values: claims only find debts, every write needs a new
// proposal (rule S4).
type Claim struct {
	Want    engine.Want        // Unknown: the engine was asked, or read everything, and said nothing
	Agrees  bool               // what it wants was in the target then, or was written then
	Target  uint64             // cloud.Digest of the target then
	Attrs   []string           // the attributes of Target, sorted; none for a password that was left out because it has to be changed
	Reading uint64             // the newest reading of the host when the run began
	Rules   uint64             // RulesOf the engine in that run; 0: unknown
	Person  bool               // it does not agree and waits for a person: its engine says the same until source or target change
	Waits   []scoping.ObjectID // ends of references that were not in the target, sorted
	At      int64              // when the engine was asked, Unix ms; for silence, and for claims that wait
	SignIn  SignIn             // of users
	Unkept  uint64             // UnkeptOf what it wants, if that is not in the target and not written any more because it did not last there (rule S10); 0: none

	Seen uint64 // the version of the target object that was found to have Target; 0: none yet. It is not stored
}

// SignIn is the domain of a proposed sign-in name and its replacement when the host answered, or "" if the name was refused (rule J6). The
// replacement may change, as domains are verified and given up.
type SignIn struct{ Domain, As string }

// Patience is how long an engine that was asked for an object and said nothing is not asked for it again while nothing changes.
const Patience = time.Hour

// Equal reports whether two claims say the same at the same reading.
func (c Claim) Equal(o Claim) bool {
	return c.Want == o.Want && c.Agrees == o.Agrees && c.Person == o.Person && c.Target == o.Target && c.Reading == o.Reading && c.Rules == o.Rules && c.At == o.At && c.Unkept == o.Unkept && c.SignIn == o.SignIn && slices.Equal(c.Attrs, o.Attrs) && slices.Equal(c.Waits, o.Waits)
}

// UnkeptOf shortens the digest of wanted values that do not last in the target; "" is 0.
func UnkeptOf(want string) uint64 {
	if want == "" {
		return 0
	}
	return cloud.Hash(want)
}

// RulesOf shortens the fingerprint of the rules by which an engine makes values.
func RulesOf(f engine.Fingerprint) uint64 { return binary.LittleEndian.Uint64(f[:]) }

// Good reports whether the engine would still say the same: the object did not change in the source since its run began to read, and its rules, if
// known, are the same (rule S2). That its grants covered the object without a gap is up to the keeper of claims (gate.Cover).
func (c *Claim) Good(changed, rules uint64) bool {
	return c != nil && c.Reading >= changed && (rules == 0 || c.Rules == rules)
}

// Agreed returns a digest of an agreement with an object of the target that reading it does not show: a password.
func Agreed(cloudID, agreement string) uint64 { return cloud.Hash(cloudID, agreement) }
