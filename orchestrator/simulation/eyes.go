package simulation

import (
	"hash/fnv"
	"slices"
)

// Eye names one thing that only some simulations see, chosen by their seeds: what it brings about costs time, or would hide what the others look for.
type Eye string

// The eyes.
const (
	InFlight     Eye = "requests in flight survive a crash"  // a request that was sent before the crash takes effect within ghostLife, or never
	FailingSteps Eye = "durable steps fail and life goes on" // a failpoint returns an error, and the process does not end
	ClockSteps   Eye = "the wall clock steps"                // by an hour or a day, back and forth; elapsed time goes on
	Flapping     Eye = "foreign writers that flap"           // which write the same value again and again
	BigWorlds    Eye = "worlds in which thresholds matter"   // 300 objects and more
	Laggards     Eye = "controllers that lag"                // another controller, with USNs of its own, answers with what was
	Deciders     Eye = "people who decide in the middle"     // several decisions while an act goes on
	Thaws        Eye = "groups that freeze and thaw"         // emptied or deleted, and some time later as they were
	Domains      Eye = "domains that become verified"        // sign-in names of a domain that the tenant knows only later
	BeforeImages Eye = "before-images after each rollback"   // looked at in every simulation
	OtherHosts   Eye = "restored, copied and second hosts"   // none of which may write
	NewRules     Eye = "engines that change their rules"     // which only the beginning of a run shows
	Losses       Eye = "engines that lose news"              // of which the directory told the host too
	Passwords    Eye = "passwords are handed over"           // the feature is switched on, and passwords change
	Contacts     Eye = "contacts, which no bin keeps"        // in groups and as managers; open where a test asks for it
	Deliveries   Eye = "passwords are set from the tenant"   // and by commands, in the directory
	FromCloud    Eye = "objects of the tenant are brought"   // into the directory; open where a test asks for it
)

// Eyes lists every eye.
func Eyes() []Eye {
	return []Eye{InFlight, FailingSteps, ClockSteps, Flapping, BigWorlds, Laggards, Deciders, Thaws, Domains, BeforeImages, OtherHosts, NewRules, Losses, Passwords, Contacts, Deliveries, FromCloud}
}

// shares is in how many of a thousand simulations an eye is open.
var shares = map[Eye]uint64{InFlight: 500, FailingSteps: 333, ClockSteps: 250, Flapping: 250, BigWorlds: 20, Laggards: 250, Deciders: 333, Thaws: 333, Domains: 250,
	BeforeImages: 1000, OtherHosts: 200, NewRules: 250, Losses: 250, Passwords: 300, Deliveries: 300}

// opened returns the eyes of a seed.
func opened(seed uint64, o Options) map[Eye]bool {
	out := map[Eye]bool{}
	for _, e := range Eyes() {
		h := fnv.New64a()
		_, _ = h.Write([]byte(e))
		for i := range 8 {
			_, _ = h.Write([]byte{byte(seed >> (8 * i))})
		}
		out[e] = !o.Plain && h.Sum64()>>20%1000 < shares[e] || slices.Contains(o.Eyes, e) || slices.Contains(o.Break.Needs(), e)
	}
	return out
}

// opens reports whether something that an open eye looks for happens now: so many times in a hundred.
func (w *world) opens(e Eye, percent int) bool { return w.eyes[e] && w.fault(percent) }

// saw notes that what an eye looks for happened.
func (w *world) saw(e Eye) { w.counts["eye: "+string(e)]++ }
