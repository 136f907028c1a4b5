package language

import "unicode/utf8"

// MaxDepth is how deep calls and parentheses may lie in one another.
const MaxDepth = 64

// parser reads an expression by recursive descent:
//
//	expression = joined [ ("=" | "<>" | "<" | "<=" | ">" | ">=") joined ]
//	joined     = piece { "&" piece }
//	piece      = "[" name "]" | text | number | "%" name "%" | word | word "(" [ argument { "," argument } ] ")" | "(" expression ")"
//	argument   = expression | nothing
type parser struct {
	lexer lexer
	token token
	depth int
	err   *Error // the first; what follows is guesswork
}

// Parse reads an expression. A lone attribute, text or macro is one too. The error is an *[Error].
func Parse(source string) (*Expression, error) {
	start := Position{Line: 1, Column: 1}
	switch {
	case len(source) > MaxSource:
		return nil, errorAt(start, "", "the expression has %d bytes; %d are read", len(source), MaxSource)
	case !utf8.ValidString(source):
		return nil, errorAt(start, "", "the expression is not UTF-8")
	}
	p := &parser{lexer: lexer{rest: source, at: start}}
	p.advance()
	if p.err == nil && p.token.kind == endToken {
		return nil, errorAt(start, `an empty value is ""`, "the expression is empty")
	}
	root := p.expression()
	if p.err == nil && p.token.kind != endToken {
		p.fail(p.surplus())
	}
	if p.err != nil {
		return nil, p.err
	}
	return &Expression{root: root}, nil
}

// surplus says what is wrong with a token after a whole expression.
func (p *parser) surplus() *Error {
	switch p.token.kind {
	case closeToken:
		return errorAt(p.token.at, "", "this ) closes nothing")
	case commaToken:
		return errorAt(p.token.at, "", "a comma stands only between the arguments of a function")
	case operatorToken:
		return errorAt(p.token.at, "Microsoft's languages read operators from left to right without priorities", "put what belongs together in parentheses before a further %s", p.token.text)
	}
	return errorAt(p.token.at, `pieces are joined by & or Join("", …)`, "the expression has ended before this")
}

func (p *parser) fail(e *Error) {
	if p.err == nil {
		p.err = e
	}
	p.token = token{at: p.token.at}
	p.lexer.rest = ""
}

func (p *parser) advance() {
	t, err := p.lexer.next()
	if err != nil {
		p.fail(err)
		return
	}
	p.token = t
}

func (p *parser) expression() *node {
	if p.depth++; p.depth > MaxDepth {
		p.fail(errorAt(p.token.at, "", "the expression is nested more than %d deep", MaxDepth))
	}
	defer func() { p.depth-- }()
	left := p.joined()
	if p.token.kind == operatorToken && p.token.text != "&" {
		return p.operation(left, p.joined)
	}
	return left
}

func (p *parser) joined() *node {
	left := p.piece()
	for n := 1; p.token.kind == operatorToken && p.token.text == "&"; n++ {
		if n > MaxDepth {
			p.fail(errorAt(p.token.at, `Join("", …) takes any number`, "more than %d pieces are joined by &", MaxDepth))
		}
		left = p.operation(left, p.piece)
	}
	return left
}

// operation reads an operator and its right side.
func (p *parser) operation(left *node, right func() *node) *node {
	n := &node{kind: operatorNode, at: p.token.at, text: p.token.text}
	p.advance()
	n.args = []*node{left, right()}
	return n
}

func (p *parser) piece() *node {
	t := p.token
	n := &node{at: t.at, text: t.text, number: t.number}
	switch t.kind {
	case attributeToken:
		n.kind = attributeNode
	case textToken:
		n.kind = textNode
	case numberToken:
		n.kind = numberNode
	case macroToken:
		n.kind = macroNode
	case wordToken:
		return p.wordOrCall(n)
	case openToken:
		return p.parenthesized()
	default:
		p.fail(missing(t))
		return n
	}
	p.advance()
	return n
}

func missing(t token) *Error {
	const what = `an attribute [name], a text "…", a number or a function`
	switch t.kind {
	case endToken:
		return errorAt(t.at, what, "the expression ends where something is missing")
	case closeToken:
		return errorAt(t.at, what, "something is missing before )")
	case commaToken:
		return errorAt(t.at, what, "something is missing before the comma")
	}
	return errorAt(t.at, what, "something is missing before %s", t.text)
}

func (p *parser) parenthesized() *node {
	at := p.token.at
	p.advance()
	n := p.expression()
	if p.err == nil && p.token.kind != closeToken {
		p.fail(errorAt(at, "", "this ( is not closed"))
	}
	p.advance()
	return n
}

func (p *parser) wordOrCall(n *node) *node {
	n.kind = wordNode
	p.advance()
	if p.token.kind != openToken {
		return n
	}
	n.kind = callNode
	open := p.token.at
	p.advance()
	if p.token.kind == closeToken {
		p.advance()
		return n
	}
	for p.err == nil {
		n.args = append(n.args, p.argument())
		switch p.token.kind {
		case commaToken:
			p.advance()
			continue
		case closeToken:
			p.advance()
			return n
		case endToken:
			p.fail(errorAt(open, "", "the ( of %s is not closed", n.text))
		default:
			p.fail(p.surplusArgument())
		}
	}
	return n
}

func (p *parser) surplusArgument() *Error {
	if p.token.kind == operatorToken {
		return p.surplus()
	}
	return errorAt(p.token.at, "arguments are separated by commas", "a comma or ) is missing before this")
}

func (p *parser) argument() *node {
	if p.token.kind == commaToken || p.token.kind == closeToken {
		return &node{kind: omittedNode, at: p.token.at}
	}
	return p.expression()
}
