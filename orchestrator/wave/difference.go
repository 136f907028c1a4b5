package wave

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// Numbers of differences.
const (
	mostShown = 50   // that a record shows
	mostMarks = 5000 // whose marks a record keeps
)

// Mark identifies a difference: object, feature, operation, and each attribute with its values.
func (d Difference) Mark() string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s %s %q\n", d.Object, d.Feature, d.Op, d.Detail)
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

// Marks are the identities of the differences that a verify found. Of more than a record keeps only the hash of the grave ones is there.
type Marks struct {
	Grave   []string `json:"grave,omitempty"`   // sorted
	Others  []string `json:"others,omitempty"`  // of ordinary updates, sorted
	Hash    string   `json:"hash,omitempty"`    // of all grave ones; "": there are none
	Updates int      `json:"updates,omitempty"` // objects with ordinary updates only
	Many    bool     `json:"many,omitempty"`    // there are too many to be kept
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

// none reports whether nothing differs.
func (m Marks) none() bool { return m.Hash == "" && m.Updates == 0 }

// has reports whether a difference is among them.
func (m Marks) has(d Difference) bool {
	in := m.Others
	if d.Grave {
		in = m.Grave
	}
	_, found := slices.BinarySearch(in, d.Mark())
	return found
}

// fingerprint is what a person names who approves: the grave differences by identity, and how many objects have ordinary updates.
func (m Marks) fingerprint() string {
	hash := m.Hash
	if hash == "" {
		hash = "none"
	}
	return fmt.Sprintf("%s-%d", hash, m.Updates)
}

// OrdinaryMarks returns the marks of the ordinary updates among differences: what auto-approve may answer once a plan has printed them.
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

// covers reports whether differences are among what was approved.
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

// unseen returns the differences that the verify did not find. If it found too many to be kept all count as seen but grave ones.
func (w Wave) unseen(ds []Difference) []Difference {
	return slices.DeleteFunc(slices.Clone(ds), func(d Difference) bool { return w.Found.has(d) || (w.Found.Many && !d.Grave) })
}

// allowed reports whether differences that nobody has seen yet may go without a person: none are grave, and they stay within what one approved, or the plan
// printed each and auto-approve was asked for.
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

// found takes in what a shadow run found. What the one before did not find is marked as new.
func (w *Wave) found(ev *Evidence, at int64) {
	ds := slices.Clone(ev.Differences)
	before := w.VerifiedFrom != 0
	for i := range ds {
		ds[i].New = before && !w.Found.Many && !w.Found.has(ds[i])
	}
	slices.SortStableFunc(ds, func(a, b Difference) int { return rank(a) - rank(b) })
	w.Differences, w.Examples, w.Found = ev.Counts, ds[:min(len(ds), mostShown)], marksOf(ds)
	w.Fingerprint, w.VerifiedAt, w.VerifiedFrom = w.Found.fingerprint(), at, ev.From
	w.AnsweredAt = 0 // it is newer than any answer, whatever the clock says: set back since, it would be too old for ever
}

// rank puts first what a person should see first.
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
