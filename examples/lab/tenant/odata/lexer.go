package odata

import "strings"

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenString
	tokenOpen
	tokenClose
	tokenComma
	tokenColon
)

type token struct {
	kind   tokenKind
	text   string
	offset int
}

// lex splits text into tokens. A quote inside a string is doubled (OData 4.01 §5.1.1.6.1).
func lex(text string) ([]token, error) {
	var out []token
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i++
		case c == '\'':
			value, next, ok := quoted(text, i)
			if !ok {
				return nil, &SyntaxError{i, "there is an unterminated string literal"}
			}
			out = append(out, token{tokenString, value, i})
			i = next
		case punctuation(c) != tokenEnd:
			out = append(out, token{punctuation(c), string(c), i})
			i++
		case wordByte(c):
			start := i
			for i < len(text) && (wordByte(text[i]) || timeColon(text, start, i)) {
				i++
			}
			out = append(out, token{tokenWord, text[start:i], start})
		default:
			return nil, &SyntaxError{i, "syntax error: unexpected character"}
		}
	}
	return append(out, token{tokenEnd, "", len(text)}), nil
}

func punctuation(c byte) tokenKind {
	switch c {
	case '(':
		return tokenOpen
	case ')':
		return tokenClose
	case ',':
		return tokenComma
	case ':':
		return tokenColon
	}
	return tokenEnd
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '_' || c == '/' || c == '-' || c == '.' || c == '@' || c == '$' || c == '+' || c >= 0x80
}

// timeColon tells the colon of a date-time from that of a lambda: only the former stands in a word that begins with a digit.
func timeColon(text string, start, i int) bool {
	return text[i] == ':' && text[start] >= '0' && text[start] <= '9'
}

func quoted(text string, start int) (value string, next int, ok bool) {
	var b strings.Builder
	for i := start + 1; i < len(text); i++ {
		if text[i] != '\'' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), i + 1, true
	}
	return "", 0, false
}
