package scoping

import (
	"slices"
	"strings"
)

// Filter is an LDAP filter (RFC 4515) that is evaluated in memory and selects what Active Directory's own search selects:
// measured against Samba, as far as Samba does what Microsoft's documents say. The zero Filter is none: it matches nothing.
// A Filter is never changed after it was parsed, so it may be shared.
//
// Each clause is true, false or undefined for an object, as in X.511 and RFC 4511 section 4.5.1.7; an object is selected
// only if the whole is true.
//
//   - A clause about an attribute that the object does not have is false, so (!(department=Sales)) selects objects without
//     a department. (X.511 would say undefined; Active Directory and Samba do not.)
//   - A clause that can never make sense is undefined, and so is its negation: an attribute that is not in the schema (see
//     [LookupAttribute]), a value that is none of the attribute's syntax, a comparison that the syntax does not have.
//     Samba takes these for false, so that their negation selects everything there. [Filter.Check] names them all.
//   - A clause about an attribute with several values is true if one of them satisfies it.
//
// Values compare by the attribute's syntax. Text ignores case (Unicode's simple folding), spaces at both ends, and how many
// spaces stand together. Windows ignores accents, width and kana too and orders text by the rules of a language; that is not
// done here, and Check warns of ordering. IA5 and printable strings and octets compare byte for byte. Integers are
// numbers, times are seconds, names are DNs as [DN.Equal] has it. objectSid takes S-1-..., objectGUID its text form, and
// objectCategory the name of a class. ~= is =, as in Active Directory.
//
// Of the matching rules there are Active Directory's three (MS-ADTS 3.1.1.3.4.4): all bits 1.2.840.113556.1.4.803, any bit
// .804, and in chain .1941. (&) is true and (|) is false (RFC 4526).
type Filter struct{ root *filterNode }

// FilterEntry is an object as a filter sees it.
type FilterEntry interface {
	// Values gives the raw LDAP values, nil when absent. The attribute is in lower case and has no options. Values of DN
	// syntax are plain, without <GUID=...>; a single-valued attribute has one value at most; objectClass names the
	// structural class and all above it, as the directory does.
	Values(attribute string) [][]byte
	// InChain says whether the target is reached by following the link attribute (in lower case) from the object, over one
	// link or more.
	InChain(attribute string, target DN) bool
}

// ChainLink is one question that only the directory's links answer: is the target reached over the attribute?
type ChainLink struct {
	Attribute string // in lower case
	Target    DN
}

type filterOp uint8

const (
	opAnd filterOp = iota
	opOr
	opNot
	opEqual
	opApprox
	opAtLeast
	opAtMost
	opPresent
	opSubstrings
	opAllBits
	opAnyBit
	opChain
)

// filterNode is a set of filters, or a clause.
type filterNode struct {
	op     filterOp
	offset int // of the parenthesis
	kids   []*filterNode
	clause *filterClause // nil for and, or, not
}

// IsZero says that f is no filter.
func (f Filter) IsZero() bool { return f.root == nil }

// Equal says that the filters are written alike: the same clauses with the same values in the same order, attributes
// without regard to case. Filters that select the same may differ.
func (f Filter) Equal(o Filter) bool {
	if f.root == nil || o.root == nil {
		return f.root == o.root
	}
	return f.root.equal(o.root)
}

func (n *filterNode) equal(o *filterNode) bool {
	if n.op != o.op || (n.clause == nil) != (o.clause == nil) {
		return false
	}
	if n.clause != nil {
		return n.clause.same(o.clause)
	}
	return slices.EqualFunc(n.kids, o.kids, (*filterNode).equal)
}

// walk calls visit with n and everything below it.
func (n *filterNode) walk(visit func(*filterNode)) {
	if n == nil {
		return
	}
	visit(n)
	for _, k := range n.kids {
		k.walk(visit)
	}
}

// Attributes gives the attributes that an object must have been read with, in lower case and sorted. It leaves out those
// that are only asked for in chain.
func (f Filter) Attributes() []string {
	var names []string
	f.root.walk(func(n *filterNode) {
		if n.clause != nil && n.op != opChain {
			names = append(names, n.clause.key)
		}
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// Chains gives the in-chain questions that the filter asks, each once. One with a target that is no DN is not asked.
func (f Filter) Chains() []ChainLink {
	var links []ChainLink
	f.root.walk(func(n *filterNode) {
		if n.op != opChain || n.clause.problem != nil {
			return
		}
		link := ChainLink{Attribute: n.clause.key, Target: n.clause.target}
		if !slices.ContainsFunc(links, link.equal) {
			links = append(links, link)
		}
	})
	return links
}

func (l ChainLink) equal(o ChainLink) bool {
	return l.Attribute == o.Attribute && l.Target.Equal(o.Target)
}

// String prints the filter as RFC 4515 has it: attributes as the schema spells them, special and unprintable characters
// escaped. [ParseFilter] reads it back to an equal filter.
func (f Filter) String() string {
	var b strings.Builder
	f.root.print(&b)
	return b.String()
}
