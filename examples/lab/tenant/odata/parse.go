package odata

import (
	"strconv"
	"strings"
)

// maxDepth bounds nesting, so that no text makes the parser or an evaluation run away.
const maxDepth = 100

// Parse reads a $filter. Its errors are *SyntaxError.
func Parse(text string) (Expr, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	x, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != tokenEnd {
		return nil, &SyntaxError{t.offset, "syntax error: unexpected " + strconv.Quote(t.text)}
	}
	return x, nil
}

type parser struct {
	tokens []token
	at     int
	lambda string // the range variable inside any(), or ""
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokenEnd {
		p.at++
	}
	return t
}

func (p *parser) word(w string) bool {
	t := p.peek()
	if t.kind != tokenWord || !strings.EqualFold(t.text, w) {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(kind tokenKind, what string) error {
	if t := p.next(); t.kind != kind {
		return &SyntaxError{t.offset, "syntax error: expected " + what}
	}
	return nil
}

func (p *parser) or(depth int) (Expr, error) {
	left, err := p.and(depth)
	for err == nil && p.word("or") {
		var right Expr
		if depth++; depth > maxDepth {
			return nil, p.tooDeep()
		}
		right, err = p.and(depth)
		left = Or{left, right}
	}
	return left, err
}

func (p *parser) and(depth int) (Expr, error) {
	left, err := p.unary(depth)
	for err == nil && p.word("and") {
		var right Expr
		if depth++; depth > maxDepth {
			return nil, p.tooDeep()
		}
		right, err = p.unary(depth)
		left = And{left, right}
	}
	return left, err
}

func (p *parser) tooDeep() error {
	return &SyntaxError{p.peek().offset, "the expression is too complex"}
}

func (p *parser) unary(depth int) (Expr, error) {
	if depth > maxDepth {
		return nil, p.tooDeep()
	}
	if p.word("not") {
		x, err := p.unary(depth + 1)
		return Not{x}, err
	}
	if p.peek().kind == tokenOpen {
		p.at++
		x, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		return x, p.expect(tokenClose, "')'")
	}
	return p.condition(depth)
}

// condition reads a comparison, a function call or a lambda: each begins with a word.
func (p *parser) condition(depth int) (Expr, error) {
	t := p.next()
	if t.kind != tokenWord {
		return nil, &SyntaxError{t.offset, "syntax error: expected a property"}
	}
	if p.peek().kind != tokenOpen {
		return p.comparison(t)
	}
	switch strings.ToLower(t.text) {
	case "startswith", "endswith", "contains":
		return p.function(Op(strings.ToLower(t.text)))
	}
	if path, ok := strings.CutSuffix(t.text, "/any"); ok && p.lambda == "" {
		return p.any(path, depth)
	}
	return nil, &SyntaxError{t.offset, "unknown function " + strconv.Quote(t.text)}
}

func (p *parser) function(op Op) (Expr, error) {
	p.at++ // the parenthesis that condition saw
	t := p.next()
	if t.kind != tokenWord {
		return nil, &SyntaxError{t.offset, "syntax error: expected a property"}
	}
	path, err := p.path(t)
	if err != nil {
		return nil, err
	}
	if err := p.expect(tokenComma, "','"); err != nil {
		return nil, err
	}
	value := p.next()
	if value.kind != tokenString {
		return nil, &SyntaxError{value.offset, "syntax error: expected a string"}
	}
	return Compare{path, op, []any{value.text}}, p.expect(tokenClose, "')'")
}

func (p *parser) any(path string, depth int) (Expr, error) {
	p.at++
	if p.peek().kind == tokenClose {
		p.at++
		return Any{Path: path}, nil
	}
	name := p.next()
	if name.kind != tokenWord || strings.Contains(name.text, "/") {
		return nil, &SyntaxError{name.offset, "syntax error: expected a range variable"}
	}
	if err := p.expect(tokenColon, "':'"); err != nil {
		return nil, err
	}
	p.lambda = name.text
	x, err := p.or(depth + 1)
	p.lambda = ""
	if err != nil {
		return nil, err
	}
	return Any{path, x}, p.expect(tokenClose, "')'")
}

// path turns a word into a property's path; inside a lambda only the range variable may stand.
func (p *parser) path(t token) (string, error) {
	if p.lambda == "" {
		return t.text, nil
	}
	if t.text == p.lambda {
		return "", nil
	}
	if rest, ok := strings.CutPrefix(t.text, p.lambda+"/"); ok {
		return rest, nil
	}
	return "", &SyntaxError{t.offset, "unknown range variable " + strconv.Quote(t.text)}
}

func (p *parser) comparison(property token) (Expr, error) {
	path, err := p.path(property)
	if err != nil {
		return nil, err
	}
	t := p.next()
	op := Op(strings.ToLower(t.text))
	if t.kind != tokenWord {
		return nil, &SyntaxError{t.offset, "syntax error: expected an operator"}
	}
	switch op {
	case Eq, Ne, Gt, Ge, Lt, Le:
		v, err := p.value()
		return Compare{path, op, []any{v}}, err
	case In:
		values, err := p.list()
		return Compare{path, op, values}, err
	}
	return nil, &SyntaxError{t.offset, "unknown operator " + strconv.Quote(t.text)}
}

func (p *parser) list() ([]any, error) {
	if err := p.expect(tokenOpen, "'('"); err != nil {
		return nil, err
	}
	var values []any
	for {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		values = append(values, v)
		switch t := p.next(); t.kind {
		case tokenComma:
		case tokenClose:
			return values, nil
		default:
			return nil, &SyntaxError{t.offset, "syntax error: expected ',' or ')'"}
		}
	}
}

func (p *parser) value() (any, error) {
	t := p.next()
	switch t.kind {
	case tokenString:
		return t.text, nil
	case tokenWord:
		return literal(t.text), nil
	}
	return nil, &SyntaxError{t.offset, "syntax error: expected a value"}
}

func literal(word string) any {
	switch strings.ToLower(word) {
	case "true":
		return true
	case "false":
		return false
	case "null":
		return nil
	}
	if n, err := strconv.ParseInt(word, 10, 64); err == nil {
		return n
	}
	return Literal(word)
}
