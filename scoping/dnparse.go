package scoping

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// dnParser reads one distinguished name; i is the next byte.
type dnParser struct {
	s string
	i int
}

func (p *dnParser) name() (DN, error) {
	p.spaces()
	if p.i == len(p.s) {
		return DN{}, nil
	}
	var d DN
	var r RDN
	for {
		a, err := p.ava()
		if err != nil {
			return DN{}, err
		}
		r = append(r, a)
		if p.i < len(p.s) && p.s[p.i] == '+' {
			p.i++
			continue
		}
		d.rdns, r = append(d.rdns, r), nil
		if p.i == len(p.s) {
			return d, nil
		}
		p.i++ // the comma: values end at '+', ',' or the end
	}
}

func (p *dnParser) ava() (AVA, error) {
	typ, err := p.attributeType()
	if err != nil {
		return AVA{}, err
	}
	p.spaces()
	if p.i < len(p.s) && p.s[p.i] == '#' {
		return p.hexValue(typ)
	}
	v, err := p.value()
	return AVA{Type: typ, Value: v}, err
}

func (p *dnParser) spaces() {
	for p.i < len(p.s) && p.s[p.i] == ' ' {
		p.i++
	}
}

func (p *dnParser) attributeType() (string, error) {
	p.spaces()
	start := p.i
	for p.i < len(p.s) && typeByte(p.s[p.i]) {
		p.i++
	}
	t := strings.ToUpper(p.s[start:p.i])
	p.spaces()
	if t == "" || p.i == len(p.s) || p.s[p.i] != '=' {
		return "", fmt.Errorf("at byte %d: expected an attribute type and \"=\" (such as \"OU=\")", start)
	}
	p.i++
	t = strings.TrimPrefix(t, "OID.")
	if short, ok := typeNames[t]; ok {
		return short, nil
	}
	if !validType(t) {
		return "", fmt.Errorf("at byte %d: %q is neither an attribute name nor an object identifier", start, t)
	}
	return t, nil
}

func typeByte(c byte) bool {
	return c == '-' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// validType is RFC 4512 section 1.4: a keystring, or a numeric object identifier.
func validType(t string) bool {
	if t == "" {
		return false
	}
	if t[0] >= 'A' && t[0] <= 'Z' {
		return !strings.Contains(t, ".")
	}
	for _, part := range strings.Split(t, ".") {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return true
}

// typeNames are the short names of RFC 4514 section 3 for their object identifiers and their long names.
var typeNames = map[string]string{
	"2.5.4.3": "CN", "COMMONNAME": "CN",
	"2.5.4.7": "L", "LOCALITYNAME": "L",
	"2.5.4.8": "ST", "STATEORPROVINCENAME": "ST",
	"2.5.4.10": "O", "ORGANIZATIONNAME": "O",
	"2.5.4.11": "OU", "ORGANIZATIONALUNITNAME": "OU",
	"2.5.4.6": "C", "COUNTRYNAME": "C",
	"2.5.4.9": "STREET", "STREETADDRESS": "STREET",
	"0.9.2342.19200300.100.1.25": "DC", "DOMAINCOMPONENT": "DC",
	"0.9.2342.19200300.100.1.1": "UID", "USERID": "UID",
}

// value reads up to the next unescaped separator. Unescaped spaces at its end belong to the separator.
func (p *dnParser) value() (string, error) {
	start, keep := p.i, 0
	var b strings.Builder
	for p.i < len(p.s) {
		c := p.s[p.i]
		if c == ',' || c == '+' {
			break
		}
		if strings.IndexByte("\"<>;\x00", c) >= 0 {
			return "", fmt.Errorf("at byte %d: %q must be escaped as \"\\%c\" or \"\\%02X\"", p.i, c, c, c)
		}
		if c == '\\' {
			u, err := p.escape()
			if err != nil {
				return "", err
			}
			b.WriteByte(u)
			keep = b.Len()
			continue
		}
		p.i++
		b.WriteByte(c)
		if c != ' ' {
			keep = b.Len()
		}
	}
	v := b.String()[:keep]
	if v == "" {
		return "", fmt.Errorf("at byte %d: the value is empty", start)
	}
	if !utf8.ValidString(v) {
		return "", fmt.Errorf("at byte %d: the value is not UTF-8", start)
	}
	return v, nil
}

func (p *dnParser) escape() (byte, error) {
	rest := p.s[p.i+1:]
	if rest != "" && strings.IndexByte(" \"#+,;<=>\\", rest[0]) >= 0 {
		p.i += 2
		return rest[0], nil
	}
	if len(rest) >= 2 {
		if b, err := hex.DecodeString(rest[:2]); err == nil {
			p.i += 3
			return b[0], nil
		}
	}
	return 0, fmt.Errorf("at byte %d: after \"\\\" there must be a special character or two hexadecimal digits", p.i)
}

// hexValue reads "#" and the BER encoding of a value; encodings of strings become the string.
func (p *dnParser) hexValue(typ string) (AVA, error) {
	start := p.i
	end := start + 1
	for end < len(p.s) && p.s[end] != ',' && p.s[end] != '+' {
		end++
	}
	b, err := hex.DecodeString(strings.TrimRight(p.s[start+1:end], " "))
	if err != nil || len(b) < 2 {
		return AVA{}, fmt.Errorf("at byte %d: after \"#\" there must be the hexadecimal digits of a BER value (write \"\\#\" for the character itself)", start)
	}
	p.i = end
	if v, ok := berString(b); ok {
		return AVA{Type: typ, Value: v}, nil
	}
	return AVA{Type: typ, Value: string(b), Raw: true}, nil
}

// berString decodes the short BER forms of OCTET STRING, UTF8String, PrintableString and IA5String.
func berString(b []byte) (string, bool) {
	switch b[0] {
	case 0x04, 0x0c, 0x13, 0x16:
	default:
		return "", false
	}
	if int(b[1]) != len(b)-2 || b[1] == 0 || b[1] > 127 || !utf8.Valid(b[2:]) {
		return "", false
	}
	return string(b[2:]), true
}
