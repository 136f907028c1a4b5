package scoping_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/scoping"
)

// field is an attribute and the values that filters and objects of the tests give it.
type field struct {
	attribute string
	most      int // values of an object
	ops       string
	values    []string
}

const bits = "1.2.840.113556.1.4."

var fields = []field{
	{"department", 1, "= = p p >= <= ~=", []string{"R&D", "r&d", "Sales", "Sales East", "a(b)*", "ä\\"}},
	{"url", 3, "= = p p >= <=", []string{"a", "B", "ab", "ba b"}},
	{"uidNumber", 1, "= >= <= :" + bits + "803:= :" + bits + "804:=", []string{"-2147483648", "-1", "0", "1", "2", "3", "6", "2147483647", "x"}},
	{"accountExpires", 1, "= >= <=", []string{"0", "5", "9223372036854775807", "-9223372036854775808"}},
	{"msTSAllowLogon", 1, "=", []string{"TRUE", "FALSE"}},
	{"msTSExpireDate", 1, "= >= <=", []string{"20250102030405.0Z", "20250102030406.0Z", "20260102030405.0Z"}},
	{"memberOf", 3, "= :" + bits + "1941:=", []string{"CN=g,DC=a", "CN=h,DC=a"}},
	{"jpegPhoto", 2, "= p", []string{"a\x00b", "A\x00", "\xff"}},
	{"objectClass", 0, "=", []string{"user", "person", "computer", "group", "contact", "top", "mailRecipient", "noSuchClass"}},
	{"objectCategory", 1, "=", []string{"user", "computer", "group", "CN=Person,CN=Schema,CN=Configuration,DC=a", "CN=Person,CN=Schema,CN=Configuration,DC=b"}},
	{"noSuchAttribute", 1, "= >=", []string{"x"}},
}

func drawClause(t *rapid.T) string {
	return drawClauseOf(t, rapid.SampledFrom(fields).Draw(t, "field"))
}

func drawClauseOf(t *rapid.T, f field) string {
	value := rapid.SampledFrom(f.values).Draw(t, "value")
	op := rapid.SampledFrom(append(strings.Fields(f.ops), "=*")).Draw(t, "op")
	switch op {
	case "=*":
		return "(" + f.attribute + "=*)"
	case "p":
		at := rapid.IntRange(0, len(value)).Draw(t, "cut")
		a, b := scoping.EscapeFilterValue(value[:at]), scoping.EscapeFilterValue(value[at:])
		pattern := rapid.SampledFrom([]string{a + "*" + b, "*" + b, a + "*", "*" + a + "*"}).Draw(t, "pattern")
		return "(" + f.attribute + "=" + strings.Replace(pattern, "**", "*", 1) + ")"
	}
	return "(" + f.attribute + op + scoping.EscapeFilterValue(value) + ")"
}

func drawFilterText(t *rapid.T, depth int) string {
	if depth == 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0 {
		return drawClause(t)
	}
	sign := rapid.SampledFrom([]string{"&", "&", "|", "!"}).Draw(t, "set")
	if sign == "!" {
		return "(!" + drawFilterText(t, depth-1) + ")"
	}
	text := "(" + sign
	for range rapid.IntRange(0, 3).Draw(t, "kids") {
		text += drawFilterText(t, depth-1)
	}
	return text + ")"
}

func drawFilter(t *rapid.T, depth int) scoping.Filter {
	text := drawFilterText(t, depth)
	f, err := scoping.ParseFilter(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return f
}

// chains are the classes of real objects.
var chains = []string{"top person organizationalPerson user", "top person organizationalPerson user computer", "top group", "top group mailRecipient",
	"top person organizationalPerson contact mailRecipient", "top person organizationalPerson user inetOrgPerson", "top noSuchClass"}

func drawObject(t *rapid.T) anObject {
	o := anObject{}
	for _, f := range fields {
		key := strings.ToLower(f.attribute)
		for range rapid.IntRange(0, f.most).Draw(t, "values of "+f.attribute) {
			o[key] = append(o[key], []byte(rapid.SampledFrom(f.values).Draw(t, f.attribute)))
		}
	}
	for _, class := range strings.Fields(rapid.SampledFrom(chains).Draw(t, "class")) {
		o["objectclass"] = append(o["objectclass"], []byte(class))
	}
	if rapid.Bool().Draw(t, "in chain") {
		o["chain:memberof"] = [][]byte{[]byte(rapid.SampledFrom([]string{"CN=g,DC=a", "cn=H,dc=a"}).Draw(t, "reached"))}
	}
	return o
}

func TestNoObjectMatchesBothOfDisjointFilters(t *testing.T) {
	proved := 0
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawFilter(t, 2), drawFilter(t, 2)
		disjoint := scoping.Disjoint(a, b)
		if disjoint != scoping.Disjoint(b, a) {
			t.Fatalf("%s and %s: the order matters", a, b)
		}
		if disjoint != (scoping.WhyNotDisjoint(a, b) == "") {
			t.Fatalf("%s and %s: disjoint %v, because %q", a, b, disjoint, scoping.WhyNotDisjoint(a, b))
		}
		if !disjoint {
			return
		}
		proved++
		for range 20 {
			if o := drawObject(t); a.Matches(o) && b.Matches(o) {
				t.Fatalf("%s and %s are called disjoint, but %q matches both", a, b, o)
			}
		}
	})
	if proved == 0 {
		t.Error("no pair was disjoint")
	}
}

func TestAFilterIsDisjointFromItsNegation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFilter(t, 2)
		if not := scoping.MustParseFilter("(!" + f.String() + ")"); !scoping.Disjoint(f, not) {
			t.Fatalf("%s: %s", f, scoping.WhyNotDisjoint(f, not))
		}
	})
}

// TestWitnessesAreFoundWhereObjectsAre: whenever a drawn object matches both, the filters are not disjoint and the reason
// tells of an example.
func TestWitnessesAreFoundWhereObjectsAre(t *testing.T) {
	shared, told := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		a, b, o := drawFilter(t, 1), drawFilter(t, 1), drawObject(t)
		if !a.Matches(o) || !b.Matches(o) {
			return
		}
		shared++
		if strings.HasSuffix(scoping.WhyNotDisjoint(a, b), "matches both") {
			told++
		}
	})
	if shared == 0 || told < shared*3/4 {
		t.Errorf("of %d pairs that share an object, %d got an example", shared, told)
	}
}

func TestWhatAdministratorsWriteIsProvedDisjoint(t *testing.T) {
	for _, c := range [][2]string{
		{"(department=Sales)", "(department=R&D)"},
		{"(department=Sales)", "(!(department=sales))"},
		{"(department=Sales)", "(!(department=*))"},
		{"(mail=*)", "(!(mail=*))"},
		{"(memberOf=CN=g,DC=a)", "(!(memberOf=cn=G,dc=a))"},
		{"(memberOf=CN=g,DC=a)", "(!(memberOf=*))"},
		{"(proxyAddresses=smtp:a*)", "(!(proxyAddresses=smtp:*))"},
		{"(memberOf:1.2.840.113556.1.4.1941:=CN=g,DC=a)", "(!(memberOf:1.2.840.113556.1.4.1941:=cn=g,dc=a))"},
		{"(&(objectClass=user)(department=Sales))", "(&(objectClass=user)(|(department=R&D)(department=Legal)))"},
		{"(|(department=a)(department=b))", "(!(|(department=A)(department=b)(department=c)))"},
		{"(department=Sales*)", "(department=Legal)"},
		{"(department=Sales*)", "(department=Legal*)"},
		{"(mail=*@a.test)", "(mail=*@b.test)"},
		{"(department=Sales East)", "(!(department=Sales*))"},
		{"(department=Sales E*)", "(!(department=*les*))"},
		{"(uidNumber>=1000)", "(uidNumber<=999)"},
		{"(uidNumber>=1000)", "(!(uidNumber>=500))"},
		{"(&(uidNumber>=10)(uidNumber<=12))", "(&(!(uidNumber=10))(!(uidNumber=11))(!(uidNumber=12)))"},
		{"(uidNumber=3)", "(uidNumber:1.2.840.113556.1.4.803:=4)"},
		{"(userAccountControl:1.2.840.113556.1.4.803:=2)", "(!(userAccountControl:1.2.840.113556.1.4.803:=2))"},
		{"(userAccountControl:1.2.840.113556.1.4.803:=6)", "(!(userAccountControl:1.2.840.113556.1.4.804:=2))"},
		{"(groupType=2147483650)", "(groupType=-2147483644)"},
		{"(whenCreated<=20191231235959.0Z)", "(whenCreated>=20200101000000.0Z)"},
		{"(msTSAllowLogon=TRUE)", "(msTSAllowLogon=FALSE)"},
		{"(&(uidNumber>=5)(!(uidNumber>=5)))", "(cn=*)"},
		{"(objectClass=user)", "(objectClass=group)"},
		{"(objectClass=contact)", "(objectClass=computer)"},
		{"(objectClass=computer)", "(!(objectClass=user))"},
		{"(objectCategory=person)", "(objectCategory=computer)"},
		{"(objectCategory=user)", "(!(objectCategory=person))"},
		{"(sAMAccountType=805306368)", "(sAMAccountType=805306369)"},
		{"(nonsense=1)", "(cn=*)"},
		{"(!(nonsense=1))", "(cn=*)"},
		{"(|)", "(&)"},
		{"(department>=b)", "(department<=a)"},
		{"(&(department=*)(!(department<=b)))", "(!(department>=b))"},
		{"(uidNumber:1.2.840.113556.1.4.803:=3)", "(!(uidNumber:1.2.840.113556.1.4.803:=1))"},
		{"(proxyAddresses=*a*b*)", "(!(proxyAddresses=*b*))"},
		{"(extensionAttribute1=sync)", "(!(extensionAttribute1=SYNC))"},
		{"(employeeID=\\20007)", "(employeeID=7)"},
	} {
		a, b := scoping.MustParseFilter(c[0]), scoping.MustParseFilter(c[1])
		if !scoping.Disjoint(a, b) {
			t.Errorf("%s and %s: %s", a, b, scoping.WhyNotDisjoint(a, b))
		}
	}
	if f := scoping.MustParseFilter("(cn=a)"); !scoping.Disjoint(scoping.Filter{}, f) || !scoping.Disjoint(f, scoping.Filter{}) {
		t.Error("the zero filter, which matches nothing, overlaps")
	}
}

func TestWhyFiltersAreNotDisjointIsTold(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"(department=R&D)", "(title=Boss)", "an object with department=R&D and title=Boss matches both"},
		{"(memberOf=CN=a,DC=x)", "(memberOf=CN=b,DC=x)",
			"memberOf may hold several values: an object with memberOf=CN=a,DC=x and memberOf=CN=b,DC=x matches both"},
		{"(department=Sales)", "(!(title=Boss))", "an object with department=Sales without title matches both"},
		{"(!(department=Sales))", "(!(department=Legal))", "an object without department matches both"},
		{"(department=Sales*)", "(department=*East)", "an object with department=SalesEast matches both"},
		{"(uidNumber>=10)", "(uidNumber<=20)", "an object with uidNumber=10 matches both"},
		{"(uidNumber>=10)", "(&(uidNumber=*)(!(uidNumber=10)))", "an object with uidNumber=11 matches both"},
		{"(userAccountControl:1.2.840.113556.1.4.803:=2)", "(userAccountControl:1.2.840.113556.1.4.804:=512)",
			"an object with userAccountControl=514 matches both"},
		{"(objectClass=user)", "(objectClass=computer)", "an object with objectClass=computer matches both"},
		{"(objectClass=user)", "(!(objectClass=computer))", "an object with objectClass=user matches both"},
		{"(memberOf:1.2.840.113556.1.4.1941:=CN=a,DC=x)", "(mail=*)", "an object with memberOf leading to CN=a,DC=x and mail=something matches both"},
		{"(whenCreated>=20200101000000.0Z)", "(!(whenCreated<=20200101000000.0Z))", "an object with whenCreated=20200101000001.0Z matches both"},
		{"(&)", "(!(|))", "an object matches both"},
		{"(department>=b)", "(!(department>=c))", "an object with department=b matches both"},
		{"(objectSid=*)", "(!(objectSid=S-1-5-32-544))", "an object with objectSid=S-1-5-11 matches both"},
		{"(&(mapiRecipient=*)(!(mapiRecipient=TRUE)))", "(!(mapiRecipient=FALSE))",
			"nothing in (&(mAPIRecipient=*)(!(mAPIRecipient=TRUE))(!(mAPIRecipient=FALSE))) contradicts itself, though no example was found"},
	} {
		if got := scoping.WhyNotDisjoint(scoping.MustParseFilter(c.a), scoping.MustParseFilter(c.b)); got != c.want {
			t.Errorf("%s and %s:\n got %q\nwant %q", c.a, c.b, got, c.want)
		}
	}
}

func TestAProofThatWouldTakeTooLongIsNotTried(t *testing.T) {
	var a, b strings.Builder
	for i := range 20 {
		fmt.Fprintf(&a, "(|(url=a%d)(url=b%d))", i, i)
		fmt.Fprintf(&b, "(|(info=a%d)(uidNumber=%d))", i, i)
	}
	f, g := scoping.MustParseFilter("(&"+a.String()+"(cn=x))"), scoping.MustParseFilter("(&"+b.String()+"(cn=y))")
	if scoping.Disjoint(f, g) {
		t.Error("proved what there is no time for")
	}
	if why := scoping.WhyNotDisjoint(f, g); !strings.Contains(why, "too many combinations") {
		t.Errorf("told %q", why)
	}
	var names []string
	for i := range 200 {
		names = append(names, fmt.Sprintf("(department=d%d)", i))
	}
	half := len(names) / 2
	f = scoping.MustParseFilter("(|" + strings.Join(names[:half], "") + ")")
	if g = scoping.MustParseFilter("(|" + strings.Join(names[half:], "") + ")"); !scoping.Disjoint(f, g) {
		t.Error("a hundred departments against a hundred others are not told apart")
	}
}

func TestCheckNamesWhatNobodyMeans(t *testing.T) {
	for filter, want := range map[string]struct {
		offset int
		text   string
	}{
		"(&(cn=a)(departmnet=x))":          {9, "did you mean department?"},
		"(qwertz=x)":                       {1, "group"},
		"(userAccountControl=on)":          {20, "32 bits"},
		"(accountExpires=never)":           {16, "64 bits"},
		"(manager=Ann)":                    {9, "whole DN"},
		"(memberOf=CN=Sales*)":             {10, "compared as a whole"},
		"(whenCreated>=2020)":              {14, "YYYYMMDDHHMMSS.0Z"},
		"(msTSAllowLogon=true)":            {16, "TRUE or FALSE"},
		"(jpegPhoto>=a)":                   {1, "no order"},
		"(department>=Sales)":              {1, "rules of a language"},
		"(tokenGroups=S-1-5-32-544)":       {1, "computed"},
		"(canonicalName=a)":                {1, "computed"},
		"(unicodePwd=*)":                   {1, "secret"},
		"(lastLogon=0)":                    {1, "for itself"},
		"(logonCount>=5)":                  {1, "for itself"},
		"(badPwdCount=0)":                  {1, "for itself"},
		"(badPasswordTime=0)":              {1, "for itself"},
		"(lastLogoff=0)":                   {1, "for itself"},
		"(uSNChanged>=5)":                  {1, "for itself"},
		"(whenChanged>=20200101000000.0Z)": {1, "for itself"},
		"(lastLogonTimestamp>=5)":          {1, "sign in"},
		"(pwdLastSet=0)":                   {1, "sign in"},
		"(&)":                              {0, "everything"},
		"(&(cn=a)(|))":                     {8, "nothing"},
		"(userAccountControl:1.2.840.113556.1.4.803:=0)":                     {44, "every value"},
		"(userAccountControl:1.2.840.113556.1.4.804:=0)":                     {44, "no value"},
		"(department:1.2.840.113556.1.4.803:=2)":                             {1, "no bits"},
		"(seeAlso:1.2.840.113556.1.4.1941:=CN=a)":                            {1, "no link"},
		"(objectClass=usr)":                                                  {13, "class"},
		"(objectCategory=usr)":                                               {16, "distinguished name"},
		"(title=)":                                                           {7, "(!(title=*))"},
		`(title=a\00)`:                                                       {7, "NUL"},
		"(nTSecurityDescriptor=x)":                                           {1, "security descriptor"},
		"(memberOf:1.2.840.113556.1.4.1941:=Sales)":                          {35, "whole DN"},
		"(!(|(cn=a)(&(department=x)(uidNumber:1.2.840.113556.1.4.804:=y))))": {61, "bit mask"},
	} {
		found := scoping.MustParseFilter(filter).Check()
		if len(found) != 1 || found[0].Offset != want.offset || !strings.Contains(found[0].String(), want.text) {
			t.Errorf("%s: %v, want one at byte %d with %q", filter, found, want.offset, want.text)
		}
	}
	if found := scoping.MustParseFilter("(&(lastLogon=x)(pwdLastSet=0)(nothing=1))").Check(); len(found) != 4 ||
		!slices.IsSortedFunc(found, func(a, b scoping.FilterProblem) int { return a.Offset - b.Offset }) {
		t.Errorf("not all problems are told, or not in order: %v", found)
	}
}

func TestCheckAcceptsWhatAdministratorsWrite(t *testing.T) {
	for _, filter := range strings.Fields(`(&(objectCategory=person)(objectClass=user)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))
		(extensionAttribute15=sync*) (|(mail=*@contoso.test)(proxyAddresses=smtp:*@contoso.test)) (memberOf=CN=Sales,OU=Groups,DC=contoso,DC=test)
		(!(msExchHideFromAddressLists=TRUE)) (whenCreated>=20200101000000.0Z) (employeeID=*) (accountExpires>=133000000000000000) (adminCount=1)
		(groupType:1.2.840.113556.1.4.803:=2147483648) (objectSid=S-1-5-21-1-2-3-500) (msExchRecipientTypeDetails=2147483648)`) {
		if found := scoping.MustParseFilter(filter).Check(); len(found) > 0 {
			t.Errorf("%s: %v", filter, found)
		}
	}
}

// between are values beside those of the filters, so that bounds which are off by one are met.
var between = map[string][]string{
	"uidNumber":      {"-2147483647", "-2", "4", "5", "7", "8", "514", "2147483646", "2147483645"},
	"accountExpires": {"-9223372036854775807", "-1", "1", "4", "6", "9223372036854775806"},
	"msTSExpireDate": {"20250102030404.0Z", "20250102030407.0Z"},
	"department":     {"R", "Sales W", "Sales Eas", "zz", "a(b)", "\\"},
	"url":            {"abab", "b", "ba", "a b"},
	"jpegPhoto":      {"a", "a\x00", "\x00b", "a\x00A\x00"},
}

// TestNoValueSatisfiesWhatIsCalledContradictory tries every value, and every two where there may be several, on filters
// about one attribute.
func TestNoValueSatisfiesWhatIsCalledContradictory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom(fields).Draw(t, "field")
		draw := func() scoping.Filter {
			text := "(&"
			for range rapid.IntRange(1, 2).Draw(t, "clauses") {
				clause := drawClauseOf(t, f)
				text += rapid.SampledFrom([]string{clause, "(!" + clause + ")"}).Draw(t, "literal")
			}
			return scoping.MustParseFilter(text + ")")
		}
		a, b := draw(), draw()
		if !scoping.Disjoint(a, b) {
			return
		}
		key, all := strings.ToLower(f.attribute), slices.Concat(f.values, between[f.attribute])
		for i, v := range all {
			values := [][][]byte{nil, {[]byte(v)}}
			for _, w := range all[:i] {
				if f.most > 1 {
					values = append(values, [][]byte{[]byte(v), []byte(w)})
				}
			}
			for _, x := range values {
				o := anObject{key: x}
				if f.attribute == "objectClass" {
					o = object(strings.Fields("objectclass=" + strings.ReplaceAll(chains[i%len(chains)], " ", " objectclass="))...)
				}
				if a.Matches(o) && b.Matches(o) {
					t.Fatalf("%s and %s are called disjoint, but %q matches both", a, b, o)
				}
			}
		}
	})
}
