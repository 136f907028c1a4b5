package password

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tandem-sync/tandem/plugins/directory"
)

// policyAttributes are the domain's rules for passwords (MS-SAMR 3.1.1.5).
var policyAttributes = []string{"minPwdLength", "pwdProperties", "minPwdAge"}

// complexityCounts is the bit of pwdProperties by which complexity counts (MS-SAMR 2.2.1.14, DOMAIN_PASSWORD_COMPLEX).
const complexityCounts = 0x1

// effective is what is known of the rules for one user. It explains refusals for which the controller states no reason, and refuses nothing by itself.
type effective struct {
	own    bool // the user has rules of its own (a password settings object), which may not be readable
	length int64
	mixed  bool // complexity counts
	age    time.Duration
	set    time.Time // when the present password was set; zero: not known
	now    time.Time // by the controller's clock
	names  []string
}

func effectiveFrom(root, user directory.Entry, now time.Time) effective {
	p := effective{own: user.Text("msDS-ResultantPSO") != "", now: now,
		names: []string{user.Text("sAMAccountName"), user.Text("displayName")}}
	p.length, _ = root.Int("minPwdLength")
	properties, _ := root.Int("pwdProperties")
	age, _ := root.Int("minPwdAge")
	p.mixed, p.age = properties&complexityCounts != 0, time.Duration(-age)*100
	if set, _ := user.Int("pwdLastSet"); set > 0 {
		p.set = time.UnixMicro((set - 116444736000000000) / 10)
	}
	return p
}

// breaks returns the rule of the domain that refused a password, as far as that can be computed. A password that keeps length, complexity and minimum age was refused by
// the history or by a filter of the controller's, such as a list of forbidden words; these two cannot be told apart.
func (p effective) breaks(a attempt) (Code, string) {
	const unknown = "the controller does not say which rule of the domain or of its password filters it breaks"
	if p.own || a.password == nil {
		return Policy, unknown
	}
	code := Policy
	if err := a.password.Use(func(b []byte) error {
		switch {
		case int64(utf8.RuneCount(b)) < p.length:
			code = Length
		case p.mixed && !isComplex(b, p.names):
			code = Complexity
		case a.change && p.age > 0 && !p.set.IsZero() && p.now.Sub(p.set) < p.age:
			code = MinimumAge
		}
		return nil
	}); err != nil || code == Policy {
		return Policy, unknown
	}
	return code, "worked out from the domain's rules, since the controller does not say which one it breaks"
}

// isComplex reports whether a password has three of the five kinds of characters, and neither the account's name nor a part of the displayed one (MS-SAMR 3.1.1.7.2).
// The runes are looked at one by one: no copy of the password is made.
func isComplex(b []byte, names []string) bool {
	var upper, lower, digit, other, letter int
	for rest := b; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		rest = rest[size:]
		switch {
		case unicode.IsUpper(r):
			upper = 1
		case unicode.IsLower(r):
			lower = 1
		case unicode.IsDigit(r):
			digit = 1
		case unicode.IsLetter(r):
			letter = 1
		default:
			other = 1
		}
	}
	if upper+lower+digit+other+letter < 3 {
		return false
	}
	if contains(b, names[0]) {
		return false
	}
	for _, part := range strings.FieldsFunc(names[1], func(r rune) bool { return strings.ContainsRune(",.-_ #\t", r) }) {
		if contains(b, part) {
			return false
		}
	}
	return true
}

// contains reports whether a name of three or more characters stands in the password, whatever the case.
func contains(b []byte, name string) bool {
	want := []rune(strings.ToLower(name))
	if len(want) < 3 {
		return false
	}
	for len(b) > 0 {
		at, rest := 0, b
		for at < len(want) && len(rest) > 0 {
			r, size := utf8.DecodeRune(rest)
			if unicode.ToLower(r) != want[at] {
				break
			}
			at, rest = at+1, rest[size:]
		}
		if at == len(want) {
			return true
		}
		_, size := utf8.DecodeRune(b)
		b = b[size:]
	}
	return false
}
