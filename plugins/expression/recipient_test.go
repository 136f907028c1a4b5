package expression_test

import (
	"testing"

	"github.com/tandem-sync/tandem/plugins/expression"
)

func TestAGroupIsMailEnabledByAnSMTPAddressOrAMailAlone(t *testing.T) {
	cases := []struct {
		name      string
		addresses []string
		mail      string
		want      bool
	}{
		{"nothing", nil, "", false},
		{"a primary address", []string{"SMTP:staff@contoso.test"}, "", true},
		{"a secondary address", []string{"smtp:staff@contoso.test"}, "", true},
		{"an SMTP value among others", []string{"X500:/o=old", "smtp:staff@contoso.test"}, "", true},
		{"X500 alone", []string{"X500:/o=old/cn=staff"}, "", false},
		{"X500 and a mail", []string{"X500:/o=old/cn=staff"}, "staff@contoso.test", false},
		{"a mail alone", nil, "staff@contoso.test", true},
		{"blank values", []string{" "}, " ", false},
		{"an SMTP value without an address", []string{"SMTP:"}, "", false},
	}
	for _, c := range cases {
		if got := expression.MailEnabled(c.addresses, c.mail); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestOnlyLinkedMailboxesAreLinked(t *testing.T) {
	for v, want := range map[string]bool{"2": true, " 2 ": true, "": false, "1": false, "4": false, "16": false, "32": false, "128": false, "2147483648": false, "x": false, "6": false} {
		if got := expression.LinkedMailbox(v); got != want {
			t.Errorf("%q: %v", v, got)
		}
	}
}
