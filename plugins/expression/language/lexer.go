package language

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxSource is the longest expression that is read, in bytes.
const MaxSource = 32 << 10

type tokenKind uint8

const (
	endToken tokenKind = iota
	attributeToken
	textToken
	numberToken
	wordToken
	macroToken
	openToken
	closeToken
	commaToken
	operatorToken
)

type token struct {
	kind   tokenKind
	at     Position
	text   string // a name without its marks, a text without its escapes, an operator
	number int64
}

// lexer cuts an expression into tokens.
type lexer struct {
	rest string
	at   Position
}

// peek returns the next character without taking it; 0 at the end.
func (l *lexer) peek() rune {
	r, _ := utf8.DecodeRuneInString(l.rest)
	if l.rest == "" {
		return 0
	}
	return r
}

func (l *lexer) take() rune {
	r, n := utf8.DecodeRuneInString(l.rest)
	l.rest = l.rest[n:]
	if r == '\n' {
		l.at.Line, l.at.Column = l.at.Line+1, 1
	} else {
		l.at.Column++
	}
	return r
}

// takeWhile takes characters as long as they are wanted.
func (l *lexer) takeWhile(wanted func(rune) bool) string {
	all := l.rest
	for l.rest != "" && wanted(l.peek()) {
		l.take()
	}
	return all[:len(all)-len(l.rest)]
}

func (l *lexer) next() (token, *Error) {
	l.takeWhile(unicode.IsSpace)
	t := token{at: l.at}
	if l.rest == "" {
		return t, nil
	}
	switch r := l.peek(); {
	case r == '[':
		return l.enclosed(attributeToken, ']', "an attribute", `an attribute is written as [displayName]`)
	case r == '%':
		return l.enclosed(macroToken, '%', "a macro", `a macro is written as %DomainFQDN%`)
	case r == '"':
		return l.quoted()
	case r == '(' || r == ')' || r == ',':
		l.take()
		t.kind = map[rune]tokenKind{'(': openToken, ')': closeToken, ',': commaToken}[r]
		return t, nil
	case r == '-' || isDigit(r) || r == '&' && isHex(l.rest):
		return l.numeral()
	case strings.ContainsRune("=<>&|", r):
		return l.operator()
	case isWord(r):
		t.kind, t.text = wordToken, l.takeWhile(func(r rune) bool { return isWord(r) || isDigit(r) })
		return t, nil
	case strings.ContainsRune("“”„‟«»", r):
		return t, errorAt(t.at, `write straight quotes: "`, "%q is no quote of this language", r)
	case r == '\'':
		return t, errorAt(t.at, `texts stand in double quotes: "…"`, "a text cannot begin with '")
	default:
		return t, errorAt(t.at, "", "%q means nothing here", r)
	}
}

// enclosed reads a name between two marks.
func (l *lexer) enclosed(kind tokenKind, closing rune, what, hint string) (token, *Error) {
	t := token{kind: kind, at: l.at}
	l.take()
	t.text = l.takeWhile(func(r rune) bool { return r != closing && r != '[' && unicode.IsPrint(r) })
	switch {
	case l.peek() != closing || l.rest == "":
		return t, errorAt(t.at, hint, "%s has no closing %c", what, closing)
	case strings.TrimSpace(t.text) != t.text || t.text == "":
		return t, errorAt(t.at, hint, "%s needs a name without spaces around it", what)
	}
	l.take()
	return t, nil
}

// quoted reads a text. A backslash escapes a quotation mark and itself, and nothing else
// (https://learn.microsoft.com/entra/identity/app-provisioning/functions-for-customizing-application-data#syntax-overview).
func (l *lexer) quoted() (token, *Error) {
	t := token{kind: textToken, at: l.at}
	l.take()
	var b strings.Builder
	for l.rest != "" {
		at := l.at
		switch r := l.take(); r {
		case '"':
			t.text = b.String()
			return t, nil
		case '\\':
			if l.rest == "" || l.peek() != '"' && l.peek() != '\\' {
				return t, errorAt(at, `a backslash in a text is written \\`, `a backslash escapes only " and \`)
			}
			b.WriteRune(l.take())
		default:
			b.WriteRune(r)
		}
	}
	return t, errorAt(t.at, `a text ends with "; a quotation mark inside is written \"`, "the text has no end")
}

// numeral reads a whole number: decimal with or without a minus, or hexadecimal after &H.
func (l *lexer) numeral() (token, *Error) {
	t := token{kind: numberToken, at: l.at}
	sign, base := "", 10
	switch l.peek() {
	case '-':
		l.take()
		sign = "-"
	case '&':
		l.take()
		l.take()
		base = 16
	}
	digits := l.takeWhile(func(r rune) bool { return isDigit(r) || isWord(r) || r == '.' })
	n, err := strconv.ParseInt(sign+digits, base, 64)
	if err != nil {
		return t, errorAt(t.at, "whole numbers of 64 bits: 15, -10, &HFF", "%q is not a number", sign+digits)
	}
	t.number = n
	return t, nil
}

func (l *lexer) operator() (token, *Error) {
	t := token{kind: operatorToken, at: l.at}
	t.text = l.takeWhile(func(r rune) bool { return strings.ContainsRune("=<>&|", r) })
	switch t.text {
	case "=", "<>", "<", "<=", ">", ">=", "&":
		return t, nil
	case "&&":
		return t, errorAt(t.at, `nest: IIF(a, IIF(b, x, y), y)`, "conditions cannot be joined by &&, as in Microsoft Entra")
	case "||":
		return t, errorAt(t.at, `nest: IIF(a, x, IIF(b, x, y))`, "conditions cannot be joined by ||, as in Microsoft Entra")
	case "==":
		return t, errorAt(t.at, "equal is =", "there is no operator ==")
	case "!=":
		return t, errorAt(t.at, "not equal is <>", "there is no operator !=")
	}
	return t, errorAt(t.at, "operators are = <> < <= > >= &", "there is no operator %s", t.text)
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

func isWord(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' }

// isHex reports whether a hexadecimal number begins here: &H and a digit, up to the end of the word.
func isHex(s string) bool {
	if len(s) < 3 || s[1] != 'H' && s[1] != 'h' {
		return false
	}
	n := 2
	for n < len(s) && (isDigit(rune(s[n])) || isWord(rune(s[n]))) {
		if !strings.ContainsRune("0123456789abcdefABCDEF", rune(s[n])) {
			return false
		}
		n++
	}
	return n > 2
}
