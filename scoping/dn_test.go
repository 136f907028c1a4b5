package scoping_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/scoping"
)

func TestDNPrintsAsActiveDirectoryDoes(t *testing.T) {
	for in, want := range map[string]string{
		"":                                       "",
		"cn=Ann, ou = Sales ,dc=contoso,dc=test": "CN=Ann,OU=Sales,DC=contoso,DC=test",
		`CN=Smith\, Ann,DC=x`:                    `CN=Smith\, Ann,DC=x`,
		`CN=Smith\2C Ann,DC=x`:                   `CN=Smith\, Ann,DC=x`,
		`CN=R\2bD`:                               `CN=R\+D`,
		`CN=\23hash`:                             `CN=\#hash`,
		`CN=a#b`:                                 `CN=a#b`,
		`CN=\20lead`:                             `CN=\ lead`,
		`CN=trail\20`:                            `CN=trail\ `,
		`CN=two\ \ `:                             `CN=two \ `,
		`CN=a=b`:                                 `CN=a\=b`,
		`CN=\"q\" \<\>\;\\`:                      `CN=\"q\" \<\>\;\\`,
		`CN=x\0ACNF:1`:                           `CN=x\0ACNF:1`,
		`CN=Lu\C4\8Di\C4\87`:                     `CN=Lučić`,
		`2.5.4.3=a,OID.2.5.4.11=b,1.2.3=c`:       `CN=a,OU=b,1.2.3=c`,
		`CN=#04024869`:                           `CN=Hi`,
		`CN=#020105`:                             `CN=#020105`,
		`OU=a+CN=b,DC=x`:                         `OU=a+CN=b,DC=x`,
		`OU=日本,DC=x`:                             `OU=日本,DC=x`,
	} {
		d, err := scoping.ParseDN(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
		} else if got := d.String(); got != want {
			t.Errorf("%q prints %q, want %q", in, got, want)
		}
	}
}

func TestBadDNsAreRefused(t *testing.T) {
	for _, in := range []string{
		"Sales", "=x", "OU=", "OU=a,", "OU=a,,DC=b", ",OU=a", "OU=a+", `OU=a\`, `OU=a\x`, `OU=a\4`, `OU=a"b`, "OU=a;DC=b", "OU=a<b",
		"CN=#", "CN=#0", "CN=#xy", `CN=\FF`, "C N=x", "1..2=x", "-a.b=x", "OU=\xff", "OU=a\x00b", "1.=x", "OID.=x",
	} {
		if d, err := scoping.ParseDN(in); !errors.Is(err, scoping.ErrDN) {
			t.Errorf("%q is read as %q, error %v", in, d, err)
		}
	}
}

func TestDNEquality(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"OU=Sales,DC=x", "ou=sALES, dc=X", true},
		{"CN=a+UID=b", "uid=B+cn=A", true},
		{"CN=a+UID=b", "CN=a", false},
		{"OU=ΣΊΣΥΦΟΣ", "OU=σίσυφος", true}, // final and other sigma
		{"OU=Straße", "OU=STRAẞE", true},
		{"OU=Straße", "OU=STRASSE", false}, // full folding is the directory's to judge
		{"OU=\u212a", "OU=k", true},        // the Kelvin sign
		{"OU=é", "OU=e\u0301", false},
		{`OU=a\,b`, `OU=a\2Cb`, true},
		{"OU=a,OU=b", `OU=a\,OU\=b`, false},
		{"CN=#020105", "CN=#020106", false},
		{"CN=#020105", `CN=\#020105`, false},
		{"OU=a  b", "OU=a b", false},
	} {
		a, b := scoping.MustParseDN(c.a), scoping.MustParseDN(c.b)
		if a.Equal(b) != c.same || b.Equal(a) != c.same || (a.Key() == b.Key()) != c.same {
			t.Errorf("%q and %q: equal %v, keys %q and %q", c.a, c.b, a.Equal(b), a.Key(), b.Key())
		}
	}
}

func TestDNFamily(t *testing.T) {
	d := scoping.MustParseDN("CN=Ann,OU=Sales,DC=contoso,DC=test")
	if d.Depth() != 4 || d.RDN().String() != "CN=Ann" || d.Parent().String() != "OU=Sales,DC=contoso,DC=test" {
		t.Errorf("%d, %s, %s", d.Depth(), d.RDN(), d.Parent())
	}
	ou := scoping.MustParseDN("ou=sales,dc=CONTOSO,dc=test")
	if !ou.AncestorOf(d, true) || d.AncestorOf(ou, false) || !ou.AncestorOf(ou, false) || ou.AncestorOf(ou, true) {
		t.Error("ancestors are wrong")
	}
	if scoping.MustParseDN("OU=ales,DC=contoso,DC=test").AncestorOf(d, false) {
		t.Error("a suffix of the text is no ancestor")
	}
	if root := (scoping.DN{}); !root.AncestorOf(d, true) || !root.Parent().IsZero() || root.RDN() != nil {
		t.Error("the empty name is the ancestor of all")
	}
}

func TestAnyValueSurvivesADN(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.StringN(1, 12, -1).Draw(t, "value")
		d, err := scoping.ParseDN("CN=" + scoping.EscapeValue(v) + ",DC=x")
		if err != nil || d.RDN()[0].Value != v {
			t.Fatalf("%q became %q, error %v", v, d, err)
		}
	})
}

func FuzzParseDN(f *testing.F) {
	for _, s := range []string{"", "OU=Sales,DC=contoso,DC=test", `CN=a\,b\2C\ +UID=\#x,DC=y`, "CN=#04024869", "2.5.4.3=Ü", `CN=\C3\A9`, "OU=a b ,DC= c", `OU=\0A`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := scoping.ParseDN(s)
		if err != nil {
			return
		}
		again, err := scoping.ParseDN(d.String())
		if err != nil || !again.Equal(d) || again.Key() != d.Key() || again.String() != d.String() {
			t.Fatalf("%q prints %q, which is read as %q, error %v", s, d, again, err)
		}
		if !d.Parent().AncestorOf(d, !d.IsZero()) {
			t.Fatalf("%q does not lie under its parent", s)
		}
	})
}
