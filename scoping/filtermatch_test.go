package scoping_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/scoping"
)

// anObject is an entry by lower-case attribute; the key "chain:ATTRIBUTE" holds the DNs that are reached.
type anObject map[string][][]byte

func (o anObject) Values(attribute string) [][]byte { return o[attribute] }

func (o anObject) InChain(attribute string, target scoping.DN) bool {
	for _, v := range o["chain:"+attribute] {
		if d, err := scoping.ParseDN(string(v)); err == nil && d.Equal(target) {
			return true
		}
	}
	return false
}

// object makes one from "attribute=value" texts.
func object(pairs ...string) anObject {
	o := anObject{}
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		o[name] = append(o[name], []byte(value))
	}
	return o
}

var ann = object("department=  R&D  East ", "title=Straße", "othertelephone=1", "othertelephone=22", "uidnumber=-5", "accountexpires=9223372036854775807",
	"mstsallowlogon=TRUE", "mstsexpiredate=20250102030405.0Z", "jpegphoto=a\x00B", "loginshell=/bin/sh", "useraccountcontrol=514", "grouptype=-2147483646",
	"manager=CN=Bob\\, Jr.,OU=x,DC=a", "objectclass=top", "objectclass=person", "objectclass=user", "objectcategory=CN=Person,CN=Schema,CN=Configuration,DC=a",
	"objectguid=\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", "chain:memberof=CN=G,DC=a",
	"objectsid=\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00\x20\x02\x00\x00", "ntsecuritydescriptor=x", "displayname=ΣΑΣ", "otherwellknownobjects=B:4:0aFF:CN=x,DC=a")

func TestClausesFollowTheAttributesSyntax(t *testing.T) {
	for _, filter := range strings.Fields(`
		(department=r&d\20east) (department=\20R&D\20\20EAST) (department=R&D*) (department=*east) (department=r*d*e*) (department=*&*)
		(department=r&d\20\20*t) (title=STRAẞE) (displayName=σας) (displayName=σ*ς) (otherTelephone=22) (otherTelephone=*) (!(mail=*)) (!(mail=x))
		(uidNumber=-5) (uidNumber>=-5) (uidNumber<=-5) (uidNumber>=-6) (uidNumber=4294967291) (accountExpires>=9223372036854775807)
		(groupType=2147483650) (groupType:1.2.840.113556.1.4.803:=2147483648) (groupType:1.2.840.113556.1.4.804:=3)
		(userAccountControl:1.2.840.113556.1.4.803:=2) (!(userAccountControl:1.2.840.113556.1.4.803:=3)) (userAccountControl:1.2.840.113556.1.4.804:=3)
		(uidNumber:1.2.840.113556.1.4.803:=-5) (userAccountControl:1.2.840.113556.1.4.803:=0) (!(userAccountControl:1.2.840.113556.1.4.804:=0))
		(msTSAllowLogon=TRUE) (!(msTSAllowLogon=FALSE)) (msTSExpireDate=20250102030405.7Z) (msTSExpireDate>=20250102030405.0Z)
		(msTSExpireDate<=20991231000000.0Z) (jpegPhoto=a\00B) (jpegPhoto=*\00*) (!(jpegPhoto=a\00b)) (loginShell=/bin/sh) (!(loginShell=/BIN/sh))
		(manager=cn=bob\5c2C\20jr.,OU=X,dc=a) (objectClass=PERSON) (!(objectClass=group)) (objectCategory=user) (objectCategory=PERSON)
		(objectCategory=contact) (!(objectCategory=group)) (objectCategory=cn=person,cn=schema,cn=configuration,dc=a)
		(!(objectCategory=cn=person,cn=schema,cn=configuration,dc=b)) (objectGUID=03020100-0504-0706-0809-0a0b0c0d0e0f)
		(objectGUID=\00\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f) (objectSid=S-1-5-32-544) (objectSid=\01\02\00\00\00\00\00\05\20\00\00\00\20\02\00\00)
		(nTSecurityDescriptor=*) (memberOf:1.2.840.113556.1.4.1941:=cn=g,dc=a) (!(memberOf:1.2.840.113556.1.4.1941:=cn=h,dc=a)) (department~=R&D\20East)
		(&) (!(|)) (&(!(|))(|(&))) (otherWellKnownObjects=B:4:0AFF:cn=X,dc=a)`) {
		if !scoping.MustParseFilter(filter).Matches(ann) {
			t.Errorf("%s does not match", filter)
		}
		if scoping.MustParseFilter("(!" + filter + ")").Matches(ann) {
			t.Errorf("%s matches negated", filter)
		}
	}
}

func TestWhatMakesNoSenseIsUndefined(t *testing.T) {
	for _, filter := range strings.Fields(`
		(noSuchAttribute=x) (noSuchAttribute=*) (uidNumber=many) (uidNumber=007) (uidNumber=+5) (uidNumber=2147483648000) (uidNumber=5*) (uidNumber>=x)
		(accountExpires=9223372036854775808) (msTSAllowLogon=true) (msTSAllowLogon=1) (msTSAllowLogon>=TRUE) (msTSExpireDate=2025) (msTSExpireDate=20250102030405Z)
		(msTSExpireDate=20251302030405.0Z) (msTSExpireDate=2025*) (manager=Bob) (manager=CN=Bob*) (manager>=CN=x) (manager=) (jpegPhoto>=a) (objectGUID=x)
		(objectGUID=\00*) (objectSid=S-1) (objectSid=S-1-5-x) (objectSid=\01\02) (objectSid=S-1-5*) (objectClass=2.5.6.6) (objectClass=us*)
		(objectCategory=nobody) (objectCategory=per*) (canonicalName=*) (tokenGroups=*) (unicodePwd=*) (nTSecurityDescriptor=x) (department=\ff)
		(department=\ff*) (department:1.2.840.113556.1.4.803:=1) (uidNumber:1.2.840.113556.1.4.803:=x) (department:1.2.840.113556.1.4.1941:=CN=x)
		(manager:1.2.840.113556.1.4.1941:=Bob) (otherWellKnownObjects=x)`) {
		f := scoping.MustParseFilter(filter)
		if f.Matches(ann) || scoping.MustParseFilter("(!"+filter+")").Matches(ann) {
			t.Errorf("%s or its negation matches", filter)
		}
		if len(f.Check()) == 0 {
			t.Errorf("%s is not complained of", filter)
		}
		if !scoping.MustParseFilter("(|(&)"+filter+")").Matches(ann) || !scoping.MustParseFilter("(!(&(|)"+filter+"))").Matches(ann) {
			t.Errorf("%s decides where it does not matter", filter)
		}
	}
}

// naive is the meaning of a filter by the book: three values, and values compared by a function per kind.
type naive struct {
	text string
	eval func(anObject) int // -1, 0, 1
}

func truth(b bool) int {
	if b {
		return 1
	}
	return -1
}

func anyValue(attribute string, holds func(string) bool) func(anObject) int {
	return func(o anObject) int {
		for _, v := range o[attribute] {
			if holds(string(v)) {
				return 1
			}
		}
		return -1
	}
}

// drawNaive makes a filter over few attributes and values together with its meaning, written without the code under test.
func drawNaive(t *rapid.T, depth int) naive {
	if depth == 0 || rapid.IntRange(0, 2).Draw(t, "leaf") == 0 {
		return drawNaiveLeaf(t)
	}
	kind := rapid.IntRange(0, 2).Draw(t, "set")
	if kind == 2 {
		k := drawNaive(t, depth-1)
		return naive{"(!" + k.text + ")", func(o anObject) int { return -k.eval(o) }}
	}
	var kids []naive
	text := "(" + "&|"[kind:kind+1]
	for range rapid.IntRange(0, 3).Draw(t, "kids") {
		k := drawNaive(t, depth-1)
		kids, text = append(kids, k), text+k.text
	}
	return naive{text + ")", func(o anObject) int {
		worst, best := 1, -1
		for _, k := range kids {
			v := k.eval(o)
			worst, best = min(worst, v), max(best, v)
		}
		if kind == 0 {
			return worst
		}
		return best
	}}
}

func drawNaiveLeaf(t *rapid.T) naive {
	word := rapid.SampledFrom([]string{"a", "A", "ab", "b", "ba"}).Draw(t, "word")
	attribute := rapid.SampledFrom([]string{"department", "url"}).Draw(t, "attribute")
	low := strings.ToLower(word)
	n := rapid.IntRange(0, 7).Draw(t, "number")
	digit := string(rune('0' + n))
	number := func(holds func(int) bool) func(anObject) int {
		return anyValue("uidnumber", func(v string) bool { return holds(int(v[0] - '0')) })
	}
	leaves := []naive{
		{"(" + attribute + "=" + word + ")", anyValue(attribute, func(v string) bool { return strings.EqualFold(v, word) })},
		{"(" + attribute + "=" + word + "*)", anyValue(attribute, func(v string) bool { return strings.HasPrefix(strings.ToLower(v), low) })},
		{"(" + attribute + "=*" + word + ")", anyValue(attribute, func(v string) bool { return strings.HasSuffix(strings.ToLower(v), low) })},
		{"(" + attribute + "=*" + word + "*)", anyValue(attribute, func(v string) bool { return strings.Contains(strings.ToLower(v), low) })},
		{"(" + attribute + "=*)", func(o anObject) int { return truth(len(o[attribute]) > 0) }},
		{"(uidNumber=" + digit + ")", number(func(v int) bool { return v == n })},
		{"(uidNumber>=" + digit + ")", number(func(v int) bool { return v >= n })},
		{"(uidNumber<=" + digit + ")", number(func(v int) bool { return v <= n })},
		{"(uidNumber:1.2.840.113556.1.4.803:=" + digit + ")", number(func(v int) bool { return v&n == n })},
		{"(uidNumber:1.2.840.113556.1.4.804:=" + digit + ")", number(func(v int) bool { return v&n != 0 })},
		{"(uidNumber=" + word + ")", func(anObject) int { return 0 }},
		{"(nobodyKnows=" + word + ")", func(anObject) int { return 0 }},
	}
	return rapid.SampledFrom(leaves).Draw(t, "clause")
}

func TestFiltersMeanWhatTheModelSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawNaive(t, 3)
		f := scoping.MustParseFilter(m.text)
		for range 8 {
			o := anObject{}
			for i, attribute := range []string{"department", "url"} {
				for range rapid.IntRange(0, 1+2*i).Draw(t, attribute) {
					o[attribute] = append(o[attribute], []byte(rapid.StringMatching("[abAB]{1,3}").Draw(t, "value")))
				}
			}
			if rapid.Bool().Draw(t, "has a number") {
				o["uidnumber"] = [][]byte{{byte('0' + rapid.IntRange(0, 7).Draw(t, "number"))}}
			}
			if got, want := f.Matches(o), m.eval(o) == 1; got != want {
				t.Fatalf("%s: matches %v, the model says %v, of %q", m.text, got, want, o)
			}
		}
	})
}
