package scoping

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// canonical gives the form in which two values of the syntax are equal exactly if Active Directory holds them equal. It is
// for values as the directory returns them; false means that the value cannot be of this syntax.
func (s Syntax) canonical(raw []byte) (string, bool) {
	switch s {
	case SyntaxText:
		return foldText(string(raw)), utf8.Valid(raw)
	case SyntaxExact, SyntaxOctets, SyntaxSID:
		return string(raw), true
	case SyntaxClass:
		return strings.ToLower(string(raw)), true
	case SyntaxName:
		d, err := ParseDN(string(raw))
		return d.Key(), err == nil && !d.IsZero()
	case SyntaxNameData:
		return canonicalNameData(string(raw))
	}
	return "", false
}

// foldText ignores case, spaces at the ends, and how many spaces stand together, as Samba does. (Windows ignores accents,
// width and kana too; see [Filter].)
func foldText(s string) string { return strings.Trim(foldPart(s), " ") }

// foldPart is foldText for a part of a value, in which spaces at the ends mean something.
func foldPart(s string) string {
	s = fold(s)
	if !strings.Contains(s, "  ") {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if s[i] != ' ' || i == 0 || s[i-1] != ' ' {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// canonicalNameData reads "B:8:0A1B2C3D:CN=x,DC=y" (DN-Binary) or the same with S and text (DN-String).
func canonicalNameData(s string) (string, bool) {
	kind, rest, ok := strings.Cut(s, ":")
	count, rest, ok2 := strings.Cut(rest, ":")
	n, err := strconv.Atoi(count)
	if !ok || !ok2 || err != nil || n < 0 || n >= len(rest) || rest[n] != ':' || kind != "B" && kind != "S" {
		return "", false
	}
	data := rest[:n]
	if kind == "B" {
		data = strings.ToUpper(data)
	}
	d, err := ParseDN(rest[n+1:])
	return kind + ":" + data + ":" + d.Key(), err == nil && !d.IsZero()
}

// number reads a value of a numeric syntax: the integer itself, 0 or 1, or seconds since 1970.
func (s Syntax) number(v string) (int64, bool) {
	switch s {
	case SyntaxInteger:
		n, err := strconv.ParseInt(v, 10, 64)
		if n > math.MaxInt32 && n <= math.MaxUint32 {
			n -= 1 << 32 // 2147483650 is a group type to administrators, -2147483646 to the directory
		}
		return n, err == nil && plainNumber(v) && n >= math.MinInt32 && n <= math.MaxInt32
	case SyntaxLargeInteger:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil && plainNumber(v)
	case SyntaxBoolean:
		return int64(len("FALSE") - len(v)), v == "TRUE" || v == "FALSE"
	case SyntaxTime:
		return generalizedTime(v)
	}
	return 0, false
}

// plainNumber refuses what servers read differently: a plus sign, and zeros in front, which Samba takes for octal.
func plainNumber(v string) bool {
	v = strings.TrimPrefix(v, "-")
	return v == "0" || v != "" && v[0] >= '1' && v[0] <= '9'
}

// generalizedTime reads YYYYMMDDHHMMSS.0Z, the form in which the directory writes times. It counts whole seconds.
func generalizedTime(v string) (int64, bool) {
	whole, fraction, ok := strings.Cut(v, ".")
	digits, zulu := strings.CutSuffix(fraction, "Z")
	if !ok || !zulu || len(whole) != 14 || digits == "" || strings.Trim(whole+digits, "0123456789") != "" {
		return 0, false
	}
	t, err := time.Parse("20060102150405", whole)
	return t.Unix(), err == nil
}

// sidBytes reads S-1-5-21-... into the bytes of an objectSid (MS-DTYP 2.4.2).
func sidBytes(s string) ([]byte, error) {
	f := strings.Split(s, "-")
	if len(f) < 3 || len(f) > 18 || !strings.EqualFold(f[0], "S") || f[1] != "1" {
		return nil, fmt.Errorf("%q is not a security identifier", s)
	}
	authority, err := strconv.ParseUint(f[2], 10, 48)
	if err != nil {
		return nil, fmt.Errorf("%q is not a security identifier: %w", s, err)
	}
	b := binary.BigEndian.AppendUint64(nil, authority)
	b[0], b[1] = 1, byte(len(f)-3)
	for _, sub := range f[3:] {
		n, err := strconv.ParseUint(sub, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is not a security identifier: %w", s, err)
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return b, nil
}

// validSID checks the length that a security identifier's second byte announces.
func validSID(b string) bool {
	return len(b) >= 8 && b[0] == 1 && b[1] <= 15 && len(b) == 8+4*int(b[1])
}
