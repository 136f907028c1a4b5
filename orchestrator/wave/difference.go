package wave

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// Limits of a wave's record.
const (
	mostShown = 50   // most differences shown
	mostMarks = 5000 // most marks kept
)

// Mark identifies a difference: object, feature, operation, each attribute with its values, and the ends of references that come and go.
func (d Difference) Mark() string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s %s %q\n", d.Object, d.Feature, d.Op, cmp.Or(d.Binding, d.Detail))
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

// Marks identify the differences that a verify found. If they are more than a record keeps, only Hash and Updates are set.
type Marks struct {
	Grave   []string `json:"grave,omitempty"`   // sorted
	Others  []string `json:"others,omitempty"`  // of ordinary updates, sorted
	Hash    string   `json:"hash,omitempty"`    // of all grave ones; "": there are none
	Updates int      `json:"updates,omitempty"` // objects with ordinary updates only
	Many    bool     `json:"many,omitempty"`    // too many to be kept
}

// marksOf returns the marks of differences.
func marksOf(ds []Difference) Marks {
	var m Marks
	grave, ordinary := map[scoping.ObjectID]bool{}, map[scoping.ObjectID]bool{}
	for _, d := range ds {
		if d.Grave {
			m.Grave, grave[d.Object] = append(m.Grave, d.Mark()), true
		} else {
			m.Others, ordinary[d.Object] = append(m.Others, d.Mark()), true
		}
	}
	for o := range ordinary {
		if !grave[o] {
			m.Updates++
		}
	}
	slices.Sort(m.Grave)
	slices.Sort(m.Others)
	if len(m.Grave) > 0 {
		sum := sha256.New()
		for _, x := range m.Grave {
			fmt.Fprintln(sum, x)
		}
		m.Hash = hex.EncodeToString(sum.Sum(nil)[:6])
	}
	if len(m.Grave)+len(m.Others) > mostMarks {
		m.Grave, m.Others, m.Many = nil, nil, true
	}
	return m
}

// none reports whether there are no differences.
func (m Marks) none() bool { return m.Hash == "" && m.Updates == 0 }

// has reports whether a difference is among the marks.
func (m Marks) has(d Difference) bool {
	in := m.Others
	if d.Grave {
		in = m.Grave
	}
	_, found := slices.BinarySearch(in, d.Mark())
	return found
}

// fingerprint is what an approving person has to name: a hash of the grave differences, and the number of objects with ordinary updates.
func (m Marks) fingerprint() string {
	hash := m.Hash
	if hash == "" {
		hash = "none"
	}
	return fmt.Sprintf("%s-%d", hash, m.Updates)
}

// OrdinaryMarks returns the marks of the ordinary updates among differences: auto-approve may answer for these if a plan printed them.
func OrdinaryMarks(ds []Difference) []string {
	if m := marksOf(ds); !m.Many {
		return m.Others
	}
	return nil
}

// Approval is what a person approved: these grave differences, and as many ordinary updates.
type Approval struct {
	By          string   `json:"by"`
	At          int64    `json:"at"` // Unix ms
	Fingerprint string   `json:"fingerprint"`
	Grave       []string `json:"grave,omitempty"` // sorted marks
	Hash        string   `json:"hash,omitempty"`
	Updates     int      `json:"updates"`
}

// covers reports whether all differences were approved.
func (a *Approval) covers(m Marks) bool {
	if a == nil || m.Updates > a.Updates {
		return false
	}
	return m.Hash == a.Hash || (!m.Many && within(m.Grave, a.Grave))
}

// within reports whether all of a is in b; both sorted.
func within(a, b []string) bool {
	return !slices.ContainsFunc(a, func(x string) bool { _, found := slices.BinarySearch(b, x); return !found })
}

// unseen returns the differences that the verify did not find. If it found too many to be kept, all ordinary ones count as found.
func (w Wave) unseen(ds []Difference) []Difference {
	return slices.DeleteFunc(slices.Clone(ds), func(d Difference) bool { return w.Found.has(d) || (w.Found.Many && !d.Grave) })
}

// allowed reports whether new differences need no person: none are grave, and either they stay within the approved number, or the plan printed each
// of them and auto-approve is set.
func (w Wave) allowed(fresh []Difference) bool {
	m := marksOf(fresh)
	switch {
	case m.none():
		return true
	case m.Hash != "":
		return false
	case w.Approval != nil && w.Approval.covers(w.Found) && w.Found.Updates+m.Updates <= w.Approval.Updates:
		return true
	}
	return w.printed(m)
}

// printed reports whether auto-approve answers for differences: ordinary updates that the plan printed, object by object and value by value.
func (w Wave) printed(m Marks) bool {
	return w.Options.AutoApprove && m.Hash == "" && !m.Many && within(m.Others, w.Printed)
}

// found stores what a shadow run found. Differences that the previous one did not find are marked as new.
func (w *Wave) found(ev *Evidence, at int64) {
	ds := slices.Clone(ev.Differences)
	before := w.VerifiedFrom != 0
	for i := range ds {
		ds[i].New = before && !w.Found.Many && !w.Found.has(ds[i])
	}
	slices.SortStableFunc(ds, func(a, b Difference) int { return rank(a) - rank(b) })
	w.Differences, w.Examples, w.Found = ev.Counts, ds[:min(len(ds), mostShown)], marksOf(ds)
	w.Fingerprint, w.VerifiedAt, w.VerifiedFrom = w.Found.fingerprint(), at, ev.From
	w.AnsweredAt = 0 // this verify is newer than any answer, even if the clock was set back
}

// rank orders differences by importance: grave and new ones first.
func rank(d Difference) int {
	n := 3
	if d.Grave {
		n -= 2
	}
	if d.New {
		n--
	}
	return n
}
