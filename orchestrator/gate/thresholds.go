package gate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Departure is one grave part of a judged verdict: the unit that thresholds count and people answer.
type Departure struct {
	Proposal   engine.Proposal
	Verdict    Verdict
	Grave      ledger.Grave
	Place      scoping.Place // of the object, or its last one
	EndName    string        // name of a removed reference's other end, for display
	Assignment string
	Approved   bool // as part of a held set, as exactly this write
	Unknown    bool // its owner is unknown (rule L2): held whatever the number
	Leaving    bool // it moved to where no engine writes (rule T4): held whatever the number, if the tenant may not restore it
}

// bin is what is counted together. Questions that are asked whatever the number have neither assignment nor kind: one set per engine.
type bin struct {
	assignment string
	class      ledger.Class
	kind       scoping.Kind
}

func (d Departure) bin() bin {
	if d.Verdict.Ask != "" {
		return bin{class: d.Verdict.Class}
	}
	return bin{d.Assignment, d.Verdict.Class, d.Proposal.Kind}
}

// Weigh returns which departures of one run stay within the thresholds, and the rest as held sets (rule D2). linked counts the linked objects per
// kind, and memberships under "members". It is pure; the order of the departures is kept.
func Weigh(rules Rules, engineName string, epoch scoping.Epoch, now int64, history []ledger.Destroyed, linked map[scoping.Kind]int, ds []Departure) (free []Departure, held []ledger.Hold) {
	bins := map[bin][]Departure{}
	for _, d := range ds {
		if d.Approved || d.Verdict.Class == ledger.NameSwaps && d.Verdict.Ask == "" { // no user keeps a parked name
			free = append(free, d)
			continue
		}
		bins[d.bin()] = append(bins[d.bin()], d)
	}
	for _, b := range sortedBins(bins) {
		pass, stop := split(bins[b])
		limit := limitOf(rules, b, linked)
		n := recent(history, engineName, b, now) + len(pass)
		why := fmt.Sprintf("%d %s of kind %s within 24 h, the limit is %d", n, b.class, b.kind, limit)
		if len(pass) > 0 && n > limit {
			stop, pass = bins[b], nil
		} else if len(stop) > 0 {
			why = whyHeld(stop)
		}
		free = append(free, pass...)
		if len(stop) > 0 {
			held = append(held, holdOf(engineName, b, limit, why, now, epoch, stop))
		}
	}
	return free, held
}

// irrevocable reports whether the policy removes a leaving object of a kind that the tenant may not restore (rule T4).
func (d Departure) irrevocable() bool { return d.Leaving && d.Verdict.Class == ledger.Irrevocable }

func whyHeld(ds []Departure) string {
	var asks []string
	for _, d := range ds {
		if d.Verdict.Ask != "" && !slices.Contains(asks, d.Verdict.Ask) {
			asks = append(asks, d.Verdict.Ask)
		}
	}
	if len(asks) > 0 {
		slices.Sort(asks)
		return strings.Join(asks, "; ")
	}
	if slices.ContainsFunc(ds, func(d Departure) bool { return d.Unknown }) {
		return "nobody knows which engine owns these objects"
	}
	return "these objects left for where no engine writes, and the tenant may not restore their kind"
}

func split(ds []Departure) (free, stop []Departure) {
	for _, d := range ds {
		if d.Unknown || d.irrevocable() || d.Verdict.Ask != "" {
			stop = append(stop, d)
		} else {
			free = append(free, d)
		}
	}
	return free, stop
}

func sortedBins(m map[bin][]Departure) []bin {
	out := make([]bin, 0, len(m))
	for b := range m {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b bin) int {
		return cmp.Or(cmp.Compare(a.assignment, b.assignment), cmp.Compare(a.class, b.class), cmp.Compare(a.kind, b.kind))
	})
	return out
}

// limitOf returns min(objects, max(5, percent of the linked objects of that kind)).
func limitOf(r Rules, b bin, linked map[scoping.Kind]int) int {
	kind := b.kind
	objects := r.Objects
	switch b.class {
	case ledger.FilteredAway:
		if !r.AllowFiltered {
			return 0
		}
	case ledger.Irrevocable:
		objects = min(objects, r.Irrevocable)
	case ledger.Memberships:
		kind = "members"
	case ledger.SignIns:
		return 0
	}
	return min(objects, max(5, r.Percent*linked[kind]/100))
}

func recent(history []ledger.Destroyed, engineName string, b bin, now int64) int {
	n := 0
	for _, d := range history {
		if d.At > now-ledger.Window.Milliseconds() && d.Engine == engineName && d.Assignment == b.assignment && d.Class == b.class && d.Kind == b.kind {
			n += d.Count
		}
	}
	return n
}

func holdOf(engineName string, b bin, limit int, why string, now int64, epoch scoping.Epoch, ds []Departure) ledger.Hold {
	h := ledger.Hold{Engine: engineName, Assignment: b.assignment, Class: b.class, Kind: b.kind, Limit: limit, Why: why, At: now, Epoch: epoch, State: ledger.HoldOpen}
	for _, d := range ds {
		h.Entries = append(h.Entries, ledger.HeldEntry{Object: d.Proposal.Object, Kind: d.Proposal.Kind, Feature: d.Proposal.Feature, Grave: d.Grave, Name: d.Proposal.Name,
			EndName: d.EndName, Note: d.Verdict.Note, Chain: d.Place.Ancestors, Chosen: d.Place.Chosen})
	}
	h.Name()
	return h
}
