package scoping

import "strings"

//go:generate go run syntaxgen.go

// Syntax says how the values of an attribute compare in a filter. It is coarser than Active Directory's attributeSyntax
// (MS-ADTS 3.1.1.2.2.2): syntaxes that compare alike are one.
type Syntax uint8

// The syntaxes.
const (
	SyntaxUnknown      Syntax = iota
	SyntaxText                // String(Unicode), String(Teletex), String(Numeric): without case; see [Filter]
	SyntaxExact               // String(IA5), String(Printable): byte for byte
	SyntaxInteger             // 32 bits, signed
	SyntaxLargeInteger        // 64 bits, signed
	SyntaxBoolean             // TRUE or FALSE
	SyntaxTime                // generalized time, to the second
	SyntaxOctets              // bytes
	SyntaxName                // the DN of an object
	SyntaxNameData            // DN-Binary and DN-String: "B:count:hex:DN"
	SyntaxSID                 // a security identifier, 8 to 68 bytes
	SyntaxClass               // an object identifier, read and written by name: objectClass
	SyntaxDescriptor          // a security descriptor: can be present, cannot be compared
)

var syntaxWords = [...]string{"unknown", "text", "exact text", "integer", "large integer", "boolean", "time", "octet string",
	"distinguished name", "distinguished name with data", "security identifier", "class name", "security descriptor"}

// String names the syntax as messages do.
func (s Syntax) String() string {
	if int(s) < len(syntaxWords) {
		return syntaxWords[s]
	}
	return syntaxWords[SyntaxUnknown]
}

// ordered says that values are numbers, which >= and <= compare.
func (s Syntax) ordered() bool {
	return s == SyntaxInteger || s == SyntaxLargeInteger || s == SyntaxTime
}

// numeric says that a value is kept as a number.
func (s Syntax) numeric() bool { return s.ordered() || s == SyntaxBoolean }

// substrings says that parts of values can be asked for.
func (s Syntax) substrings() bool {
	return s == SyntaxText || s == SyntaxExact || s == SyntaxOctets
}

// AttributeType is what the schema says of an attribute.
type AttributeType struct {
	Name        string // as the schema spells it
	Syntax      Syntax
	Single      bool // at most one value
	Link        bool // a forward or back link, which rule 1.2.840.113556.1.4.1941 can follow
	Constructed bool // computed when read, so that no filter finds it
}

type attributeFlag uint8

const (
	single attributeFlag = 1 << iota
	linked
	constructed
)

// attributeRow is a row of the generated table.
type attributeRow struct {
	name   string
	syntax Syntax
	flags  attributeFlag
}

func (r attributeRow) attributeType() AttributeType {
	return AttributeType{Name: r.name, Syntax: r.syntax, Single: r.flags&single != 0, Link: r.flags&linked != 0,
		Constructed: r.flags&constructed != 0}
}

// LookupAttribute gives what the schema of Active Directory, of Exchange and of Windows LAPS says of an attribute that a
// user, inetOrgPerson, computer, group, contact or organizational unit can have. Names are taken without regard to case.
func LookupAttribute(name string) (AttributeType, bool) {
	key := strings.ToLower(name)
	r, ok := attributeTable[key]
	if !ok {
		r, ok = moreAttributes[key]
	}
	return r.attributeType(), ok
}

// classKind is a class's objectClassCategory.
type classKind uint8

const (
	class88 classKind = iota
	classStructural
	classAbstract
	classAuxiliary
)

// classRow is a row of the generated table of classes.
type classRow struct {
	super    string // lower case
	kind     classKind
	category string // the CN of its default object category
}

// ancestry gives a class and the classes above it, in lower case; nil for a class that is not known.
func ancestry(class string) []string {
	var chain []string
	for at := class; ; {
		row, ok := classTable[at]
		if !ok {
			return nil
		}
		chain = append(chain, at)
		if row.super == at {
			return chain
		}
		at = row.super
	}
}
