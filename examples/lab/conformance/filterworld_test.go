package conformance_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/conformance"
	"github.com/tandem-sync/tandem/scoping"
)

// texts are values that differ from each other in what comparisons may or may not ignore. Their letters are those of which
// Samba's own table (Unicode 2, roughly) knows the other case; scoping knows all of Unicode's.
var texts = []string{"Sales", "sales", "SALES  Team", " sales team", "R&D", "R & D", "Äpfel", "äPFEL", "Apfel", "ΣΑΣ", "σας", "straße",
	"STRASSE", "x(y)z*w", `back\slash`, "line1\nline2", "a*b", "*", "  lead", "lead  ", "日本", "Zürich", "ZÜRICH HB", "K", "007", "7",
	"-1", "a,b=c+d", "#hash", "TRUE", "Ann Berg", "ann berg-müller"}

// column is an attribute and the values to choose from.
type column struct {
	name   string
	values []string
}

var (
	shared = []column{
		{"description", texts}, {"info", texts}, {"displayName", texts}, {"extensionName", texts}, {"url", texts}, {"telephoneNumber", texts},
		{"wWWHomePage", texts}, {"legacyExchangeDN", texts}, {"adminDescription", texts},
	}
	personal = []column{
		{"department", texts}, {"title", texts}, {"company", texts}, {"otherTelephone", texts}, {"mail", texts}, {"l", texts},
		{"otherMailbox", texts}, {"internationalISDNNumber", []string{"49 30 1", "49301", "007", "7"}},
		{"thumbnailPhoto", octets}, {"preferredDeliveryMethod", []string{"0", "1", "2", "10"}},
	}
	accounts = []column{
		{"employeeID", []string{"007", "7", "A1", "a2", "B 1", "b  1"}}, {"uidNumber", integers}, {"gidNumber", integers},
		{"accountExpires", large}, {"msDS-GeoCoordinatesAltitude", large}, {"msTSExpireDate", times}, {"msTSAllowLogon", booleans},
		{"msNPAllowDialin", booleans}, {"jpegPhoto", octets}, {"photo", octets}, {"mS-DS-ConsistencyGuid", octets},
		{"loginShell", []string{"/bin/bash", "/BIN/bash", "/bin/sh", " /bin/sh "}}, {"gecos", []string{"two  spaces", "two spaces", "Two"}},
		{"userAccountControl", []string{"512", "514", "66048", "66050", "544"}},
	}
	collective = []column{{"gidNumber", integers}, {"groupType", []string{"-2147483646", "-2147483640", "2", "8", "-2147483644"}}}

	integers = []string{"-2147483648", "-5", "-1", "0", "1", "5", "12", "4096", "2147483647"}
	large    = []string{"0", "1", "-5000000000", "133000000000000000", "9223372036854775807", "4294967296"}
	times    = []string{"19990101000000.0Z", "20240229235959.0Z", "20250102030405.0Z", "20491231235959.0Z"}
	booleans = []string{"TRUE", "FALSE"}
	octets   = []string{"a\x00b", "A\x00B", "\x00\x00", "\xff\xfe\x80", "(*)\\", "\xc7\x23\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d", "plain"}
	oddNames = []string{"%s", "%s, Jr.", "#%s", "%s+x", `%s "q"`, "%s (x)", `%s\y`, "%s*", "Zoë %s", "日本 %s", "%s = y"}
)

// filterWorld makes objects in Samba.
type filterWorld struct {
	t      *testing.T
	conn   *ldap.Conn
	random *rand.Rand
	base   string
	ous    []string
	people []string
	groups []string
}

func openFilterWorld(t *testing.T, target conformance.Target) *filterWorld {
	w := &filterWorld{t: t, conn: dialAdmin(t, target), random: rand.New(rand.NewPCG(3, 4)), base: "OU=Filters," + target.Base}
	w.add(w.base, map[string][]string{"objectClass": {"organizationalUnit"}})
	w.ous = []string{w.base}
	for i := range 8 {
		dn := "OU=" + w.name(i) + "," + w.ous[w.random.IntN(len(w.ous))]
		w.add(dn, w.fill(map[string][]string{"objectClass": {"organizationalUnit"}}, []column{shared[0], shared[2], shared[5]}))
		w.ous = append(w.ous, dn)
	}
	for i := range 150 {
		w.addPerson(i)
	}
	for i := range 40 {
		w.addGroup(i)
	}
	w.closeRings()
	return w
}

func (w *filterWorld) name(i int) string {
	odd := fmt.Sprintf(oddNames[w.random.IntN(len(oddNames))], fmt.Sprint("n", i))
	return strings.ReplaceAll(ldap.EscapeDN(odd), "=", `\3D`)
}

func (w *filterWorld) add(dn string, attributes map[string][]string) {
	w.t.Helper()
	r := ldap.NewAddRequest(dn, nil)
	for name, values := range attributes {
		r.Attribute(name, values)
	}
	if err := w.conn.Add(r); err != nil {
		w.t.Fatalf("adding %s: %v", dn, err)
	}
}

// fill gives about half of the columns values; those that may hold several get up to three.
func (w *filterWorld) fill(a map[string][]string, columns ...[]column) map[string][]string {
	for _, c := range slices.Concat(columns...) {
		if w.random.IntN(2) == 0 {
			continue
		}
		count := 1
		// The directory allows accounts and groups one description only, whatever the schema says.
		if t, ok := scoping.LookupAttribute(c.name); ok && !t.Single && c.name != "description" {
			count += w.random.IntN(3)
		}
		seen := map[string]bool{}
		for range count {
			v := c.values[w.random.IntN(len(c.values))]
			if key := strings.ToLower(strings.ToUpper(strings.Join(strings.Fields(v), " "))); !seen[key] {
				seen[key] = true
				a[c.name] = append(a[c.name], v)
			}
		}
	}
	return a
}

func (w *filterWorld) addPerson(i int) {
	dn := "CN=" + w.name(i) + "," + w.ous[w.random.IntN(len(w.ous))]
	kind := []string{"user", "user", "user", "inetOrgPerson", "contact", "computer"}[w.random.IntN(6)]
	a := w.fill(map[string][]string{"objectClass": {kind}}, shared, personal)
	if kind != "contact" {
		w.fill(a, accounts)
		a["sAMAccountName"] = []string{fmt.Sprint("acct", i)}
	}
	if kind == "computer" {
		a["userAccountControl"] = []string{"4096"}
		a["servicePrincipalName"] = []string{fmt.Sprint("HOST/n", i), fmt.Sprint("cifs/N", i)}
	}
	for attribute, most := range map[string]int{"manager": 1, "seeAlso": 2} {
		if len(w.people) > 0 && w.random.IntN(3) > 0 {
			a[attribute] = w.some(w.people, most)
		}
	}
	w.add(dn, a)
	w.people = append(w.people, dn)
}

func (w *filterWorld) addGroup(i int) {
	dn := "CN=" + w.name(1000+i) + "," + w.ous[w.random.IntN(len(w.ous))]
	a := w.fill(map[string][]string{"objectClass": {"group"}, "sAMAccountName": {fmt.Sprint("grp", i)}}, shared, collective)
	if w.random.IntN(8) > 0 {
		a["member"] = w.some(w.people, 6)
	}
	if w.random.IntN(2) > 0 {
		a["managedBy"] = w.some(w.people, 1)
	}
	w.add(dn, a)
	if len(w.groups) > 0 && w.random.IntN(3) > 0 {
		w.link(w.groups[w.random.IntN(len(w.groups))], "member", dn)
	}
	w.groups = append(w.groups, dn)
}

// link adds a value. Some groups may not hold others, by their type: then there is no link.
func (w *filterWorld) link(dn, attribute, value string) {
	r := ldap.NewModifyRequest(dn, nil)
	r.Add(attribute, []string{value})
	if err := w.conn.Modify(r); err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultUnwillingToPerform) {
		w.t.Fatalf("adding %s to %s of %s: %v", value, attribute, dn, err)
	}
}

// closeRings makes managers and universal groups that follow each other in a circle.
func (w *filterWorld) closeRings() {
	var people, groups []string
	for i := range 3 {
		p, g := fmt.Sprintf("CN=ring%d,%s", i, w.base), fmt.Sprintf("CN=ringed%d,%s", i, w.base)
		w.add(p, map[string][]string{"objectClass": {"contact"}})
		w.add(g, map[string][]string{"objectClass": {"group"}, "groupType": {"8"}, "member": {p}})
		people, groups = append(people, p), append(groups, g)
	}
	for i := range people {
		w.link(people[i], "manager", people[(i+1)%3])
		w.link(groups[i], "member", groups[(i+1)%3])
	}
	w.people, w.groups = append(w.people, people...), append(w.groups, groups...)
}

// some gives one or more different elements.
func (w *filterWorld) some(from []string, most int) []string {
	var chosen []string
	for range 1 + w.random.IntN(most) {
		if x := from[w.random.IntN(len(from))]; !slices.Contains(chosen, x) {
			chosen = append(chosen, x)
		}
	}
	return chosen
}

// filterObject is an object as read, for evaluation in memory.
type filterObject struct {
	world  map[string]*filterObject // by DN key
	dn     string
	values map[string][][]byte
	links  map[string][]string // the DN keys of link attributes
}

func (o *filterObject) Values(attribute string) [][]byte { return o.values[attribute] }

func (o *filterObject) InChain(attribute string, target scoping.DN) bool {
	seen, goal := map[string]bool{}, target.Key()
	var follow func(*filterObject) bool
	follow = func(at *filterObject) bool {
		if at == nil {
			return false
		}
		for _, key := range at.links[attribute] {
			if key == goal {
				return true
			}
			if !seen[key] {
				seen[key] = true
				if follow(at.world[key]) {
					return true
				}
			}
		}
		return false
	}
	return follow(o)
}

// set keeps an attribute as read.
func (o *filterObject) set(name string, values [][]byte) {
	key := strings.ToLower(name)
	o.values[key] = values
	if t, ok := scoping.LookupAttribute(name); !ok || !t.Link {
		return
	}
	for _, v := range values {
		o.links[key] = append(o.links[key], scoping.MustParseDN(string(v)).Key())
	}
}

// read gives the objects by objectGUID.
func (w *filterWorld) read(attributes []string) map[string]*filterObject {
	w.t.Helper()
	byGUID, byDN := map[string]*filterObject{}, map[string]*filterObject{}
	res, err := w.conn.Search(ldap.NewSearchRequest(w.base, ldap.ScopeWholeSubtree, 0, 0, 0, false, "(objectClass=*)", attributes, nil))
	if err != nil {
		w.t.Fatalf("reading %s: %v", w.base, err)
	}
	for _, e := range res.Entries {
		o := &filterObject{world: byDN, dn: e.DN, values: map[string][][]byte{}, links: map[string][]string{}}
		for _, a := range e.Attributes {
			o.set(a.Name, a.ByteValues)
		}
		byGUID[string(e.GetRawAttributeValue("objectGUID"))] = o
		byDN[scoping.MustParseDN(e.DN).Key()] = o
	}
	return byGUID
}
