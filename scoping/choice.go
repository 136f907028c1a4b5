package scoping

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Choice is a selector at work: which objects of one subtree an object-level assignment speaks of. It has an identity of its
// own, made of everything that decides whom it takes, so that two assignments that select alike speak of the same choice and
// a choice means the same in every revision.
//
// Whether an object is taken is for the census to find out, which alone sees the directory; see [Choice.Takes] and
// [Place.Chosen].
type Choice struct {
	ID        GUID   `json:"id"`
	Directory string `json:"directory"`
	Under     Pin    `json:"under"`
	Except    []Pin  `json:"except,omitempty"` // sorted by identity
	MemberOf  Pin    `json:"memberOf,omitzero"`
	Filter    string `json:"filter,omitempty"` // in its canonical form
	Sample    string `json:"sample,omitempty"` // as written
}

// newChoice makes the choice of a narrowed assignment, whose selector was checked.
func newChoice(a *Assignment) Choice {
	c := Choice{Directory: a.Directory, Under: a.Under, Except: slices.Clone(a.Except), MemberOf: a.Selector.MemberOf, Sample: a.Selector.Sample}
	c.Under.Pos, c.MemberOf.Pos = Pos{}, Pos{}
	for i := range c.Except {
		c.Except[i].Pos = Pos{}
	}
	slices.SortFunc(c.Except, func(x, y Pin) int { return x.GUID.Compare(y.GUID) })
	if a.Selector.Filter != "" {
		f, _ := ParseFilter(a.Selector.Filter)
		c.Filter = f.String()
	}
	if len(c.Except) == 0 {
		c.Except = nil
	}
	c.ID = c.identity()
	return c
}

// identity derives the choice's GUID from whom it takes (a name-based GUID of version 8, RFC 9562 §5.8). Names are not part of it.
func (c *Choice) identity() GUID {
	share, _ := ParseSample(c.Sample)
	h := sha256.New()
	fmt.Fprintf(h, "tandem choice\x00%q\x00%s\x00%v\x00%s\x00%q\x00%d", c.Directory, c.Under.GUID, guids(c.Except), c.MemberOf.GUID, c.Filter, share)
	var g GUID
	copy(g[:], h.Sum(nil))
	g[6], g[8] = g[6]&0x0f|0x80, g[8]&0x3f|0x80
	return g
}

// Of says whether it is the choice of an assignment.
func (c Choice) Of(a Assignment) bool { return a.narrowed() && newChoice(&a).ID == c.ID }

// String says in words whom the choice takes of its subtree.
func (c Choice) String() string {
	var parts []string
	if !c.MemberOf.GUID.IsZero() || c.MemberOf.DN != "" {
		parts = append(parts, "members of "+c.MemberOf.DN)
	}
	if c.Filter != "" {
		parts = append(parts, "objects that match "+c.Filter)
	}
	if c.Sample != "" {
		parts = append(parts, "sample of "+c.Sample)
	}
	return strings.Join(parts, ", of these ")
}

// Share is a part of everything, in hundredths of a percent: 500 is 5%.
type Share uint32

// ParseSample reads a sample: a percentage above 0 and at most 100, with at most two decimals.
func ParseSample(s string) (Share, error) {
	number, ok := strings.CutSuffix(strings.TrimSpace(s), "%")
	whole, part, _ := strings.Cut(strings.TrimSpace(number), ".")
	if ok && whole != "" && len(part) <= 2 && !strings.ContainsAny(whole+part, "+-_") {
		w, err1 := strconv.ParseUint(whole, 10, 16)
		p, err2 := strconv.ParseUint((part + "00")[:2], 10, 16)
		if v := w*100 + p; err1 == nil && err2 == nil && w <= 100 && v > 0 && v <= 10000 {
			return Share(v), nil
		}
	}
	return 0, fmt.Errorf("%q is not a share: %s", s, sampleHint)
}

const sampleHint = "write a percentage such as 5% or 0.5%, above 0% and at most 100%, with at most two decimals"

// Holds says whether an object is in the share: by a stable hash of its objectGUID (rule I4), so that a smaller share is part
// of a larger one and one object's answer never depends on others.
func (s Share) Holds(g GUID) bool {
	sum := sha256.Sum256(g[:])
	return float64(binary.BigEndian.Uint64(sum[:])) < float64(s)/10000*math.MaxUint64
}

// Facts is what is known of an object besides where it lies.
type Facts interface {
	FilterEntry
	// MemberOf says whether the object is a member of a group, nested membership included.
	MemberOf(group GUID) bool
}

// Chooser is a choice made ready to judge many objects.
type Chooser struct {
	Choice
	share  Share
	filter Filter
}

// Chooser makes the choice ready. An error means that this version cannot judge it.
func (c Choice) Chooser() (Chooser, error) {
	out := Chooser{Choice: c}
	var err error
	if c.Sample != "" {
		if out.share, err = ParseSample(c.Sample); err != nil {
			return Chooser{}, err
		}
	}
	if c.Filter != "" {
		if out.filter, err = ParseFilter(c.Filter); err != nil {
			return Chooser{}, fmt.Errorf("the filter %s: %w", c.Filter, err)
		}
	}
	return out, nil
}

// Wants gives the attributes that judging an object takes, in lower case, sorted.
func (c Chooser) Wants() []string { return c.filter.Attributes() }

// Chains gives the in-chain links that judging an object asks for.
func (c Chooser) Chains() []ChainLink { return c.filter.Chains() }

// Takes says whether the choice takes an object with this objectGUID below these ancestors. It asks only for facts that it needs, and first for
// what costs least.
func (c Chooser) Takes(g GUID, ancestors []GUID, facts Facts) bool {
	return c.Reaches(ancestors) && (c.share == 0 || c.share.Holds(g)) && (c.Choice.MemberOf.GUID.IsZero() || facts.MemberOf(c.Choice.MemberOf.GUID)) &&
		(c.filter.IsZero() || c.filter.Matches(facts))
}

// Reaches says whether objects below these ancestors lie where the choice looks.
func (c Choice) Reaches(ancestors []GUID) bool {
	for _, a := range ancestors {
		if a == c.Under.GUID {
			return true
		}
		if slices.ContainsFunc(c.Except, func(e Pin) bool { return e.GUID == a }) {
			return false
		}
	}
	return false
}

// within says whether whom c takes o takes as well, for certain, where both look at the same objects.
func (c Choice) within(o Choice) bool {
	return (o.MemberOf.GUID.IsZero() || o.MemberOf.GUID == c.MemberOf.GUID) && (o.Filter == "" || o.Filter == c.Filter) &&
		(o.Sample == "" || c.Sample == o.Sample || c.Sample != "" && first(ParseSample(c.Sample)) <= first(ParseSample(o.Sample)))
}

// sameRegion says whether two choices look at the same objects.
func (c Choice) sameRegion(o Choice) bool {
	return c.Directory == o.Directory && c.Under.GUID == o.Under.GUID && slices.Equal(guids(c.Except), guids(o.Except))
}

// apart says whether nobody can be taken by both, for certain.
func (c Choice) apart(o Choice) bool {
	if c.Directory != o.Directory {
		return true
	}
	if c.Filter == "" || o.Filter == "" {
		return false
	}
	f, err1 := ParseFilter(c.Filter)
	g, err2 := ParseFilter(o.Filter)
	return err1 == nil && err2 == nil && Disjoint(f, g)
}

// overlapReason says why it cannot be proved that nobody is taken by both, "" if there is nothing to say.
func overlapReason(c, o Choice) string {
	f, err1 := ParseFilter(c.Filter)
	g, err2 := ParseFilter(o.Filter)
	if c.Filter == "" || o.Filter == "" || c.Filter == o.Filter || err1 != nil || err2 != nil {
		return ""
	}
	return WhyNotDisjoint(f, g)
}
