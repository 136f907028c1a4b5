package conformance_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tandem-sync/tandem/scoping"
)

// difference is a way in which Samba is known to answer otherwise than Active Directory, whom scoping follows. A filter that
// meets one is not left out: it is changed into one that both understand alike, so that the difference is proved as well.
type difference string

const (
	// MS-ADTS 3.1.1.3.1.3 and RFC 4511 section 4.5.1.7: a clause that makes no sense is undefined, and so is its negation.
	undefinedIsFalse difference = "Samba takes an undefined clause for false"
	// RFC 4518 section 2.6.1: spaces where a part meets an asterisk count.
	partsAreTrimmed difference = "Samba trims the parts of a substring comparison"
	// Its comparison of parts (ldb_match.c) works on C strings.
	partEndsAtNUL difference = "Samba takes a part of a substring comparison only up to a NUL"
	textIsZero    difference = "Samba takes a text for the integer 0"
	// MS-ADTS 3.1.1.3.1.3.1: ~= is =. Samba answers with an error.
	noApproximation difference = "Samba has no ~="
)

// leaf is a clause as scoping reads it and one that Samba answers as Active Directory would answer the first.
type leaf struct {
	tandem string
	wire   string     // what is asked of Samba
	alike  string     // what scoping must say of it in order to agree with Samba
	differ difference // why the three are not the same
}

func plainLeaf(text string) leaf { return leaf{tandem: text, wire: text, alike: text} }

// corpus makes filters over the values that the directory holds.
type corpus struct {
	random *rand.Rand
	seen   map[string][]string // by attribute
	names  []string
	dns    []string
}

// wholes are attributes that the directory has besides those that were written.
var wholes = []string{"objectClass", "objectCategory", "objectGUID", "objectSid", "sAMAccountType", "primaryGroupID", "whenCreated", "cn", "ou", "name",
	"sAMAccountName", "servicePrincipalName", "distinguishedName", "instanceType", "codePage", "manager", "directReports", "seeAlso", "member",
	"memberOf", "managedBy", "managedObjects", "pager", "adminCount", "isDeleted", "lastKnownParent", "userPrincipalName"}

func newCorpus(objects map[string]*filterObject, names []string, seed uint64) *corpus {
	c := &corpus{random: rand.New(rand.NewPCG(seed, 6)), seen: map[string][]string{}, names: names}
	for _, g := range slices.Sorted(maps.Keys(objects)) {
		o := objects[g]
		c.dns = append(c.dns, o.dn)
		for _, n := range names {
			for _, v := range o.values[strings.ToLower(n)] {
				c.seen[n] = append(c.seen[n], string(v))
			}
		}
	}
	return c
}

func (c *corpus) chance(n int) bool { return c.random.IntN(n) == 0 }

func pickOf[T any](c *corpus, from ...T) T { return from[c.random.IntN(len(from))] }

// filter gives a tree of leaves: its three texts and the differences in it.
func (c *corpus) filter(depth int) (leaf, []difference) {
	if depth == 0 || c.chance(3) {
		l := c.leaf()
		if l.differ != "" {
			return l, []difference{l.differ}
		}
		return l, nil
	}
	sign := pickOf(c, "&", "|", "!", "&", "|")
	count := 1
	if sign != "!" {
		count = c.random.IntN(4)
	}
	all := leaf{"(" + sign, "(" + sign, "(" + sign, ""}
	var met []difference
	for range count {
		l, d := c.filter(depth - 1)
		all.tandem, all.wire, all.alike = all.tandem+l.tandem, all.wire+l.wire, all.alike+l.alike
		met = append(met, d...)
	}
	all.tandem, all.wire, all.alike = all.tandem+")", all.wire+")", all.alike+")"
	return all, met
}

func (c *corpus) leaf() leaf {
	if c.chance(25) {
		return c.undefined()
	}
	name := pickOf(c, c.names...)
	t, ok := scoping.LookupAttribute(name)
	if !ok {
		panic("no attribute " + name)
	}
	if c.chance(10) {
		return plainLeaf("(" + name + "=*)")
	}
	value := pickOf(c, texts...)
	if len(c.seen[name]) > 0 && (t.Syntax == scoping.SyntaxSID || !c.chance(8)) {
		value = pickOf(c, c.seen[name]...)
	}
	switch t.Syntax {
	case scoping.SyntaxText, scoping.SyntaxExact, scoping.SyntaxOctets:
		return c.stringLeaf(t, value)
	case scoping.SyntaxInteger, scoping.SyntaxLargeInteger:
		return c.integerLeaf(t)
	case scoping.SyntaxTime:
		return plainLeaf("(" + name + pickOf(c, "=", ">=", "<=") + pickOf(c, append(times, c.seen[name]...)...) + ")")
	case scoping.SyntaxBoolean:
		return plainLeaf("(" + name + "=" + pickOf(c, "TRUE", "FALSE") + ")")
	case scoping.SyntaxName:
		return c.nameLeaf(t)
	}
	if t.Syntax == scoping.SyntaxClass {
		value = pickOf(c, "user", "USER", "person", "group", "contact", "computer", "inetOrgPerson", "top", "organizationalUnit", "container")
	}
	return plainLeaf("(" + name + "=" + scoping.EscapeFilterValue(value) + ")")
}

// undefined gives a clause that makes no sense.
func (c *corpus) undefined() leaf {
	if c.chance(10) {
		return leaf{"(uidNumber=many)", "(uidNumber=many)", "(uidNumber=0)", textIsZero}
	}
	text := pickOf(c, "(noSuchAttribute=x)", "(noSuchAttribute=*)", "(noSuchAttribute>=1)", "(noSuchAttribute=a*)", "(manager=Ann)",
		"(member=no DN)", "(msTSAllowLogon=maybe)", "(msTSExpireDate=tomorrow)", "(canonicalName=*)", "(tokenGroups=*)", "(unicodePwd=*)",
		"(primaryGroupToken=513)", "(manager:1.2.840.113556.1.4.1941:=Ann)", "(department:1.2.840.113556.1.4.1941:=CN=x)", "(objectCategory=nobody)")
	return leaf{text, text, "(|)", undefinedIsFalse}
}

func (c *corpus) stringLeaf(t scoping.AttributeType, value string) leaf {
	whole := t.Name == "objectGUID"
	if ascii := !strings.ContainsFunc(value, func(r rune) bool { return r > unicode.MaxASCII }); ascii && t.Name == "employeeID" && c.chance(3) {
		// Where letters beyond ASCII stand in the order of texts is the server's own matter; policies cannot ask for it.
		return plainLeaf("(" + t.Name + pickOf(c, ">=", "<=") + scoping.EscapeFilterValue(value) + ")")
	}
	if !whole && c.chance(2) && value != "" {
		return c.substringLeaf(t, value)
	}
	if whole {
		if g, err := scoping.GUIDFromBytes([]byte(value)); err == nil && c.chance(2) {
			value = g.String()
		} else if err != nil {
			value = strings.Repeat("x", 16)
		}
	}
	if t.Syntax == scoping.SyntaxText {
		value = c.disguise(value)
	}
	text := "(" + t.Name + "=" + scoping.EscapeFilterValue(value) + ")"
	if c.chance(12) {
		return leaf{strings.Replace(text, "=", "~=", 1), text, text, noApproximation}
	}
	return plainLeaf(text)
}

// disguise changes what does not count: case, and spaces.
func (c *corpus) disguise(v string) string {
	switch c.random.IntN(5) {
	case 0:
		return strings.ToUpper(v)
	case 1:
		return strings.ToLower(v)
	case 2:
		return " " + v + "  "
	case 3:
		return strings.ReplaceAll(v, " ", "   ")
	}
	return v
}

// substringLeaf cuts the value into parts and puts asterisks where something is left out.
func (c *corpus) substringLeaf(t scoping.AttributeType, value string) leaf {
	letters := []rune(value)
	if t.Syntax == scoping.SyntaxOctets {
		letters = letters[:0]
		for _, b := range []byte(value) {
			letters = append(letters, rune(b))
		}
	}
	at := c.random.IntN(len(letters) + 1)
	to := at + c.random.IntN(len(letters)-at+1)
	parts := []string{"", c.piece(t, letters[at:to]), ""}
	if at == 0 && c.chance(2) {
		parts = parts[1:]
	} else if at > 1 && c.chance(2) {
		parts[0] = c.piece(t, letters[:c.random.IntN(at)])
	}
	if to == len(letters) && len(parts) > 2 && c.chance(2) {
		parts = parts[:len(parts)-1]
	}
	parts = slices.Concat(parts[:1], slices.DeleteFunc(slices.Clone(parts[1:len(parts)-1]), func(p string) bool { return p == "" }), parts[len(parts)-1:])
	if len(parts) < 2 || strings.Join(parts, "") == "" {
		return plainLeaf("(" + t.Name + "=*)")
	}
	return sambaParts(t, parts)
}

func (c *corpus) piece(t scoping.AttributeType, letters []rune) string {
	if t.Syntax != scoping.SyntaxOctets {
		if t.Syntax == scoping.SyntaxText && c.chance(3) {
			return strings.ToUpper(string(letters))
		}
		return string(letters)
	}
	var b []byte
	for _, r := range letters {
		b = append(b, byte(r))
	}
	return string(b)
}

// sambaParts says what Samba makes of the parts.
func sambaParts(t scoping.AttributeType, parts []string) leaf {
	l := plainLeaf(substringText(t.Name, parts))
	meant, differ := slices.Clone(parts), difference("")
	for i, p := range parts {
		if t.Syntax == scoping.SyntaxText {
			meant[i] = strings.Trim(p, " ")
		}
		if cut, _, found := strings.Cut(meant[i], "\x00"); found {
			meant[i], differ = cut, partEndsAtNUL
		}
		if p != "" && meant[i] == "" { // Samba matches no empty part
			l.alike, l.differ = "(|)", cmp.Or(differ, partsAreTrimmed)
			return l
		}
	}
	last := len(parts) - 1
	same := slices.Clone(parts)
	if t.Syntax == scoping.SyntaxText { // spaces at the ends of the whole value count for nobody
		same[0], same[last] = strings.TrimLeft(same[0], " "), strings.TrimRight(same[last], " ")
	}
	if !slices.Equal(meant, same) {
		l.alike, l.differ = substringText(t.Name, meant), cmp.Or(differ, partsAreTrimmed)
	}
	return l
}

func substringText(name string, parts []string) string {
	escaped := make([]string, len(parts))
	for i, p := range parts {
		escaped[i] = scoping.EscapeFilterValue(p)
	}
	return "(" + name + "=" + strings.Join(escaped, "*") + ")"
}

func (c *corpus) integerLeaf(t scoping.AttributeType) leaf {
	pool := slices.Concat(integers, c.seen[t.Name], c.seen[t.Name])
	if t.Syntax == scoping.SyntaxLargeInteger {
		pool = append(pool, large...)
	}
	value := pickOf(c, pool...)
	if c.chance(3) {
		mask := pickOf(c, value, "1", "2", "3", "512", "65536", "2147483648", "4098", strconv.Itoa(c.random.IntN(70000)))
		return plainLeaf(fmt.Sprintf("(%s:1.2.840.113556.1.4.%s:=%s)", t.Name, pickOf(c, "803", "804"), mask))
	}
	if n, err := strconv.ParseInt(value, 10, 32); err == nil && c.chance(3) && n > -1<<31 && n < 1<<31-1 {
		value = strconv.FormatInt(n+int64(c.random.IntN(3)-1), 10)
	}
	return plainLeaf("(" + t.Name + pickOf(c, "=", ">=", "<=", "=") + value + ")")
}

func (c *corpus) nameLeaf(t scoping.AttributeType) leaf {
	value := pickOf(c, c.dns...)
	if len(c.seen[t.Name]) > 0 && !c.chance(4) {
		value = pickOf(c, c.seen[t.Name]...)
	}
	if t.Name == "objectCategory" && c.chance(2) {
		value = pickOf(c, "person", "user", "group", "organizationalUnit", "COMPUTER", "contact", "container")
	}
	if c.chance(3) && !strings.ContainsRune(value, '\\') {
		// Samba takes spaces around commas, but none around "=".
		value = strings.Map(unicode.ToLower, strings.ReplaceAll(value, ",OU=", " , OU="))
	}
	rule := "="
	if t.Link && c.chance(3) {
		rule = ":1.2.840.113556.1.4.1941:="
	}
	return plainLeaf("(" + t.Name + rule + scoping.EscapeFilterValue(value) + ")")
}
