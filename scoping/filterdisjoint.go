package scoping

import "slices"

// disjointEffort bounds a proof: about so many comparisons of alternatives, each in proportion to its length.
const disjointEffort = 1 << 18

// Disjoint says whether it is proved that no object matches both filters. False means only that it is not proved; then
// [WhyNotDisjoint] says why. It relies on what [FilterEntry] promises of single-valued attributes and of objectClass. It
// knows no relation between different attributes (objectClass and objectCategory), nor between a link and the chains over it.
func Disjoint(a, b Filter) (proved bool) {
	overlaps, ok := commonTerms(a, b, 1)
	return ok && len(overlaps) == 0
}

// commonTerms gives combinations of an alternative of a and one of b that do not contradict each other, at most so many. It is
// not ok if the effort ended first.
func commonTerms(a, b Filter, most int) ([]term, bool) {
	if a.IsZero() || b.IsZero() {
		return nil, true
	}
	p := &prover{left: disjointEffort}
	left, right := p.terms(a.root, false), p.terms(b.root, false)
	var found []term
	for _, x := range left {
		for _, y := range right {
			if t, ok := p.join(x, y); ok {
				found = append(found, t)
			}
			if p.left < 0 || len(found) == most {
				return found, p.left >= 0
			}
		}
	}
	return found, p.left >= 0
}

// literal is a clause or its negation.
type literal struct {
	*filterClause
	negated bool
}

// term is literals all of which must be true.
type term []literal

// prover counts down what it may still do.
type prover struct{ left int }

// terms gives alternatives of which one is true exactly if n (or its negation) is: the disjunctive normal form, without
// alternatives that contradict themselves. What is undefined is true in no way.
func (p *prover) terms(n *filterNode, negated bool) []term {
	switch {
	case p.left < 0:
		return nil
	case n.op == opNot:
		return p.terms(n.kids[0], !negated)
	case n.clause == nil && (n.op == opAnd) != negated:
		return p.all(n.kids, negated)
	case n.clause == nil:
		var union []term
		for _, k := range n.kids {
			union = append(union, p.terms(k, negated)...)
		}
		return union
	case n.clause.problem != nil:
		return nil
	}
	p.left--
	return []term{{literal{n.clause, negated}}}
}

// all multiplies the alternatives out.
func (p *prover) all(kids []*filterNode, negated bool) []term {
	product := []term{nil}
	for _, k := range kids {
		var next []term
		for _, y := range p.terms(k, negated) {
			for _, x := range product {
				if t, ok := p.join(x, y); ok {
					next = append(next, t)
				}
				if p.left < 0 {
					return nil
				}
			}
		}
		product = next
	}
	return product
}

// join gives both together, unless they contradict each other.
func (p *prover) join(x, y term) (term, bool) {
	t := slices.Concat(x, y)
	p.left -= 1 + len(t)
	return t, !slices.ContainsFunc(t.groups(), (*literals).contradictory)
}

// literals are those of a term about one attribute.
type literals struct {
	attribute        AttributeType
	key              string
	is, not          []*filterClause // about values; "is" holds (attribute=*) too
	absent           bool            // (!(attribute=*))
	chained, outside []*filterClause // in chain, and not
}

// groups gives the literals by attribute, in the order in which attributes appear.
func (t term) groups() []*literals {
	var all []*literals
	by := make(map[string]*literals, len(t))
	for _, l := range t {
		g := by[l.key]
		if g == nil {
			g = &literals{attribute: l.attribute, key: l.key}
			by[l.key] = g
			all = append(all, g)
		}
		g.add(l)
	}
	return all
}

func (g *literals) add(l literal) {
	switch {
	case l.op == opChain && l.negated:
		g.outside = append(g.outside, l.filterClause)
	case l.op == opChain:
		g.chained = append(g.chained, l.filterClause)
	case l.op == opPresent && l.negated:
		g.absent = true
	case l.negated:
		g.not = append(g.not, l.filterClause)
	default:
		g.is = append(g.is, l.filterClause)
	}
}
