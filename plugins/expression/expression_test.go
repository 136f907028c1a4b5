package expression_test

import (
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/plugins/expression"
)

func TestAccountEnabledReadsOnlyTheDisableBit(t *testing.T) {
	for in, want := range map[string]string{"512": "true", "514": "false", "66048": "true", "66050": "false", "": "", "x": "", "-2147483646": "false"} {
		if got := expression.AccountEnabled(in); got != want {
			t.Errorf("AccountEnabled(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestUserPrincipalNameFallsBackToAccountName(t *testing.T) {
	cases := []struct{ upn, sam, domain, want string }{
		{"ann@contoso.test", "ann", "x.test", "ann@contoso.test"},
		{"", "ann", "contoso.test", "ann@contoso.test"},
		{"  ", "ann", "contoso.test", "ann@contoso.test"},
		{"", "", "contoso.test", ""},
		{"", "ann", "", ""},
	}
	for _, c := range cases {
		if got := expression.UserPrincipalName(c.upn, c.sam, c.domain); got != c.want {
			t.Errorf("UserPrincipalName(%q, %q, %q) = %q, want %q", c.upn, c.sam, c.domain, got, c.want)
		}
	}
}

func TestDomainReadsComponentsOfEscapedNames(t *testing.T) {
	for in, want := range map[string]string{
		`CN=Doe\, Ann,OU=A\+B,DC=Contoso,DC=test`: "contoso.test",
		"OU=x": "", "": "", "nonsense": "",
	} {
		if got := expression.Domain(in); got != want {
			t.Errorf("Domain(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMailNicknameHoldsOnlyWhatGraphTakes(t *testing.T) {
	cases := []struct {
		in   []string
		want string
	}{
		{[]string{"", "ann"}, "ann"},
		{[]string{"Ann Doe"}, "AnnDoe"},
		{[]string{"ann@contoso.test"}, "ann"},
		{[]string{"žš", "zs"}, "zs"},
		{[]string{`a(b)\[c]";:<>,d`}, "abcd"},
		{[]string{".a.b."}, "a.b"},
		{[]string{strings.Repeat("x", 80)}, strings.Repeat("x", 64)},
		{[]string{"", " "}, ""},
	}
	for _, c := range cases {
		if got := expression.MailNickname(c.in...); got != c.want {
			t.Errorf("MailNickname(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestTruncateCutsBetweenCharacters(t *testing.T) {
	if got := expression.Truncate("žluťoučký", 4); got != "žluť" {
		t.Errorf("got %q", got)
	}
	if got := expression.Truncate(" a \xff ", 9); got != "a \uFFFD" {
		t.Errorf("got %q", got)
	}
	if got := expression.Description("", " first ", "second"); got != "first" {
		t.Errorf("got %q", got)
	}
}

func TestFitObeysTheTenantsLimits(t *testing.T) {
	if got := expression.Fit("employeeId", "12345678901234567890"); got != "1234567890123456" {
		t.Errorf("employeeId: %q", got)
	}
	if got := expression.Fit("userPrincipalName", strings.Repeat("x", 500)); len(got) != 500 {
		t.Errorf("an attribute without a limit was cut to %d", len(got))
	}
}

func TestUsageLocationIsACountryCodeOrNothing(t *testing.T) {
	for in, want := range map[string]string{"cz": "CZ", " US ": "US", "Czechia": "", "1A": "", "": "", "č": ""} {
		if got := expression.UsageLocation(in); got != want {
			t.Errorf("UsageLocation(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSecurityGroupReadsTheSignBit(t *testing.T) {
	for in, want := range map[string]bool{"-2147483646": true, "2147483650": true, "2": false, "8": false, "": false} {
		if got := expression.SecurityGroup(in); got != want {
			t.Errorf("SecurityGroup(%q) = %v", in, got)
		}
	}
}
