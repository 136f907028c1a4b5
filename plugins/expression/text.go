package expression

import (
	"strings"
	"unicode/utf8"

	"github.com/tandem-sync/tandem/scoping/attribute"
)

// Coalesce gives the first value that is not blank, trimmed of surrounding space, or "".
func Coalesce(values ...string) string {
	for _, v := range values {
		if t := strings.TrimSpace(v); t != "" {
			return t
		}
	}
	return ""
}

// Truncate trims surrounding space and cuts s to at most n characters (Unicode code points), never in the middle of one.
// Bytes that are not UTF-8 become U+FFFD, since the tenant's wire format is JSON.
func Truncate(s string, n int) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD"))
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return strings.TrimSpace(string([]rune(s)[:n]))
}

// Description gives a group's description within the tenant's limit. AD allows several values for it; the first counts.
func Description(values ...string) string {
	return Truncate(Coalesce(values...), attribute.Limit("description"))
}

// forbiddenInNickname are the ASCII characters that Graph refuses in mailNickname.
const forbiddenInNickname = `@()\[]";:<>, `

// MailNickname gives the first candidate that leaves something after everything that Graph refuses in mailNickname was
// taken out: it takes ASCII 33 to 126 without @ ( ) \ [ ] " ; : < > , and no more than 64 characters. Common candidates, in
// this order: mailNickname, sAMAccountName, the user principal name's part before the @.
func MailNickname(candidates ...string) string {
	for _, c := range candidates {
		if n := sanitizeNickname(c); n != "" {
			return n
		}
	}
	return ""
}

func sanitizeNickname(s string) string {
	if i := strings.IndexByte(s, '@'); i >= 0 {
		s = s[:i]
	}
	var b strings.Builder
	most := attribute.Limit(attribute.Nickname)
	for _, r := range s {
		if r > ' ' && r < 0x7f && !strings.ContainsRune(forbiddenInNickname, r) && b.Len() < most {
			b.WriteRune(r)
		}
	}
	return strings.Trim(b.String(), ".")
}
