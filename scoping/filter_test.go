package scoping_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/scoping"
)

func TestAFilterPrintsCanonically(t *testing.T) {
	for in, want := range map[string]string{
		"(department=Sales)":                  "(department=Sales)",
		" ( & (DEPARTMENT=Sales)\n\t(cn=*) )": "(&(department=Sales)(cn=*))",
		"(!(mail=*@a.test))":                  "(!(mail=*@a.test))",
		"(cn=a*b*c)":                          "(cn=a*b*c)",
		`(cn=\28x\29\2a\5C\00)`:               `(cn=\28x\29\2a\5c\00)`,
		"(cn= x )":                            `(cn=\20x\20)`,
		`(cn=\c3\a9)`:                         "(cn=é)",
		`(objectGUID=\c7\23)`:                 `(objectGUID=\c7#)`,
		"(&)":                                 "(&)",
		"(|)":                                 "(|)",
		"(cn~=x)":                             "(cn~=x)",
		"(uidNumber>=-5)":                     "(uidNumber>=-5)",
		"(title=)":                            "(title=)",
		"(noSuch=x)":                          "(noSuch=x)",
		"(userAccountControl:1.2.840.113556.1.4.803:=2)":        "(userAccountControl:1.2.840.113556.1.4.803:=2)",
		"(memberof:1.2.840.113556.1.4.1941:=CN=G,DC=a,DC=test)": "(memberOf:1.2.840.113556.1.4.1941:=CN=G,DC=a,DC=test)",
		"(title=a=b~c<d>e:f)":                                   "(title=a=b~c<d>e:f)",
	} {
		f, err := scoping.ParseFilter(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
		} else if got := f.String(); got != want {
			t.Errorf("%q prints %q, want %q", in, got, want)
		}
	}
}

func TestABadFilterIsRefusedWhereItIsWrong(t *testing.T) {
	for in, want := range map[string]struct {
		offset int
		what   string
	}{
		"":                            {0, "empty"},
		"  ":                          {0, "empty"},
		"department=Sales":            {0, "begins with"},
		"(cn=a)(cn=b)":                {6, "more text"},
		"(cn=a":                       {5, "not closed"},
		"(&(cn=a)":                    {8, "not closed"},
		"(&(cn=a)x)":                  {8, "filters in parentheses"},
		"(!)":                         {1, "negates one filter, not 0"},
		"(!cn=a)":                     {1, "negates one filter, not 0"},
		"(!(cn=a)(cn=b))":             {1, "not 2"},
		"()":                          {1, "compares nothing"},
		"(cn)":                        {1, "compares nothing"},
		"(=a)":                        {1, "no attribute"},
		"(cn =a)":                     {1, "space"},
		"(cn;lang-en=a)":              {1, "option"},
		"(member;range=0-1=a)":        {1, "option"},
		"(anr=ann)":                   {1, "anr"},
		"(2.5.4.3=a)":                 {1, "object identifier"},
		"(OID.2.5.4.3=a)":             {1, "object identifier"},
		"(c_n=a)":                     {1, "no attribute name"},
		"(cné=a)":                     {1, "no attribute name"},
		"(cn>a)":                      {3, "no comparison"},
		"(cn~a)":                      {3, "no comparison"},
		"(cn:=a)":                     {3, "needs a matching rule"},
		"(cn:dn:=a)":                  {3, ":dn"},
		"(cn:dn:2.5.13.5:=a)":         {3, ":dn"},
		"(cn:caseExactMatch:=a)":      {4, "not known"},
		"(:2.5.13.5:=a)":              {1, "no attribute"},
		"(cn:a)":                      {3, "ends with"},
		"(cn=a**b)":                   {6, "nothing between"},
		"(cn=**)":                     {5, "nothing between"},
		"(cn>=a*)":                    {6, "any text only after"},
		"(cn=a(b)":                    {5, "in the value"},
		`(cn=a\zz)`:                   {5, "two hexadecimal"},
		`(cn=a\2`:                     {5, "two hexadecimal"},
		"(cn=\xff)":                   {4, "not UTF-8"},
		"(cn=\x00)":                   {4, "in the value"},
		strings.Repeat("(!", 101):     {200, "nests deeper"},
		strings.Repeat("x", 64<<10+1): {64 << 10, "more than 65536"},
	} {
		_, err := scoping.ParseFilter(in)
		var e *scoping.FilterError
		if !errors.As(err, &e) || e.Offset != want.offset || !strings.Contains(e.What, want.what) || e.Hint == "" {
			t.Errorf("%.40q: error %v, want one at byte %d with %q", in, err, want.offset, want.what)
		}
	}
}

func TestAFilterErrorSaysWhatToWrite(t *testing.T) {
	_, err := scoping.ParseFilter("(cn>a)")
	if want := `filter: at byte 3: LDAP has no comparison '>' (write >= or <=, and (!(...)) around it for the rest)`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestNestingAndLengthAreAllowedUpToTheirBounds(t *testing.T) {
	deep := strings.Repeat("(!", 99) + "(cn=a)" + strings.Repeat(")", 99)
	long := "(cn=" + strings.Repeat("x", scoping.MaxFilterBytes-5) + ")"
	for _, s := range []string{deep, long} {
		if _, err := scoping.ParseFilter(s); err != nil {
			t.Errorf("%.40q...: %v", s, err)
		}
	}
}

func TestAFilterKnowsWhatItAsks(t *testing.T) {
	f := scoping.MustParseFilter(`(|(DEPARTMENT=a)(&(department=b)(memberOf:1.2.840.113556.1.4.1941:=CN=G,DC=x))` +
		`(memberof:1.2.840.113556.1.4.1941:=cn=g,dc=X)(manager:1.2.840.113556.1.4.1941:=nobody)(!(cn=*)))`)
	if got := f.Attributes(); !slices.Equal(got, []string{"cn", "department"}) {
		t.Errorf("attributes %q", got)
	}
	if got := f.Chains(); len(got) != 1 || got[0].Attribute != "memberof" || got[0].Target.String() != "CN=G,DC=x" {
		t.Errorf("chains %v", got)
	}
	if none := (scoping.Filter{}); !none.IsZero() || none.String() != "" || none.Matches(anObject{}) || !none.Equal(scoping.Filter{}) ||
		none.Equal(f) || f.Equal(none) || len(none.Check())+len(none.Attributes())+len(none.Chains()) != 0 {
		t.Error("the zero filter is something")
	}
}

func TestFiltersAreEqualIfTheyAreWrittenAlike(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"(cn=a)", "( CN=a)", true},
		{`(cn=\61)`, "(cn=a)", true},
		{"(cn=a)", "(cn=A)", false},
		{"(cn=a)", "(cn~=a)", false},
		{"(cn=a*)", "(cn=*a)", false},
		{"(cn=*)", `(cn=\2a)`, false},
		{"(&(cn=a)(cn=b))", "(&(cn=b)(cn=a))", false},
		{"(&(cn=a))", "(|(cn=a))", false},
	} {
		if a, b := scoping.MustParseFilter(c.a), scoping.MustParseFilter(c.b); a.Equal(b) != c.same || b.Equal(a) != c.same {
			t.Errorf("%s and %s: equal %v", c.a, c.b, a.Equal(b))
		}
	}
}

func TestWhatAFilterPrintsIsReadBackEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFilter(t, 3)
		again, err := scoping.ParseFilter(f.String())
		if err != nil || !again.Equal(f) || again.String() != f.String() {
			t.Fatalf("%s is read back as %s, error %v", f, again, err)
		}
	})
}

func FuzzParseFilter(f *testing.F) {
	for _, s := range []string{"(cn=a)", "(&(|(department=Sales)(title=V*e P*))(!(mail=*)))", `(cn=\c3\a9\00 * x)`, "(uidNumber>=-5)",
		"(userAccountControl:1.2.840.113556.1.4.803:=2)", "(memberOf:1.2.840.113556.1.4.1941:=CN=a,DC=b)", "(objectSid=S-1-5-32-544)",
		"(objectCategory=user)", "(whenCreated<=20200101000000.0Z)", "(&)", "(", "(a:b:=c)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := scoping.ParseFilter(s)
		if err != nil {
			var e *scoping.FilterError
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(s) || e.What == "" || e.Hint == "" {
				t.Fatalf("%q: error %v", s, err)
			}
			return
		}
		again, err := scoping.ParseFilter(v.String())
		if err != nil || !again.Equal(v) {
			t.Fatalf("%q prints %q, which is read as %q, error %v", s, v, again, err)
		}
		values := [][]byte{[]byte(s), []byte("TRUE"), []byte("5"), []byte("CN=a,DC=b"), nil}
		e := anObject{}
		for _, a := range v.Attributes() {
			e[a] = values
		}
		if v.Matches(e) != again.Matches(e) {
			t.Fatalf("%q and %q match differently", v, again)
		}
		for _, p := range v.Check() {
			if p.Offset < 0 || p.Offset > len(s) || p.What == "" || p.Hint == "" {
				t.Fatalf("%q: problem %v", s, p)
			}
		}
		if not, err := scoping.ParseFilter("(!" + v.String() + ")"); err == nil && v.Matches(e) && not.Matches(e) {
			t.Fatalf("%q and its negation both match", v)
		}
	})
}
