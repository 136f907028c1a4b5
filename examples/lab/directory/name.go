package directory

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// rdn is one single-valued relative distinguished name.
type rdn struct{ attribute, value string }

// key is what siblings must differ in.
func (r rdn) key() string { return r.attribute + "=" + fold(r.value) }

// parseName splits a DN into its RDNs, leaf first. Multi-valued RDNs are invalid, as in AD.
func parseName(dn string) ([]rdn, error) {
	parsed, err := ldap.ParseDN(dn)
	if err != nil || bareEquals(dn) {
		return nil, refuse(ldap.LDAPResultInvalidDNSyntax, "00002032: invalid dn '%s'", dn)
	}
	out := make([]rdn, len(parsed.RDNs))
	for i, r := range parsed.RDNs {
		if len(r.Attributes) != 1 || r.Attributes[0].Value == "" || !utf8.ValidString(r.Attributes[0].Value) {
			return nil, refuse(ldap.LDAPResultInvalidDNSyntax, "00002032: invalid dn '%s'", dn)
		}
		out[i] = rdn{strings.ToUpper(r.Attributes[0].Type), r.Attributes[0].Value}
	}
	return out, nil
}

// bareEquals finds an "=" in a value that is not escaped. RFC 4514 allows it; AD wants it escaped and Samba refuses it.
func bareEquals(dn string) bool {
	inValue := false
	for i := 0; i < len(dn); i++ {
		switch dn[i] {
		case '\\':
			i++
		case ',', '+', ';':
			inValue = false
		case '=':
			if inValue {
				return true
			}
			inValue = true
		}
	}
	return false
}

// escapeValue writes a value for a DN as AD does (RFC 4514 section 2.4; Samba writes the same).
func escapeValue(v string) string {
	if !strings.ContainsAny(v, ",+\"\\<>;=\n\r\x00# ") {
		return v
	}
	var b strings.Builder
	for i := range len(v) {
		edge := i == 0 || i == len(v)-1
		switch c := v[i]; {
		case strings.IndexByte(`,+"\<>`, c) >= 0, c == ' ' && edge, c == '#' && i == 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case strings.IndexByte(";=\n\r\x00", c) >= 0:
			b.WriteByte('\\')
			b.WriteString(strings.ToUpper(hex.EncodeToString([]byte{c})))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// fold gives the form in which names and texts compare: no case, runs of spaces as one, none at the ends.
func fold(s string) string {
	if strings.IndexByte(s, ' ') >= 0 {
		s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }), " ")
	}
	return strings.ToLower(s)
}

func sameText(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	if strings.IndexByte(a, ' ') < 0 && strings.IndexByte(b, ' ') < 0 {
		return false
	}
	return fold(a) == fold(b)
}
