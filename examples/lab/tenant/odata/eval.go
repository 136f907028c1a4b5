package odata

import (
	"slices"
	"strings"
	"time"
)

// Match tells whether an object satisfies x. get returns a property's value (string, bool, []string) or nil.
// Strings compare without regard to case, as the directory does.
func Match(x Expr, get func(path string) any) bool { return match(x, get, strings.ToLower) }

// MatchExactly is Match for collections whose strings are compared with regard to case, as reports are.
func MatchExactly(x Expr, get func(path string) any) bool {
	return match(x, get, func(s string) string { return s })
}

// folding gives a string the form in which it is compared.
type folding func(string) string

func match(x Expr, get func(path string) any, fold folding) bool {
	switch n := x.(type) {
	case And:
		return match(n.Left, get, fold) && match(n.Right, get, fold)
	case Or:
		return match(n.Left, get, fold) || match(n.Right, get, fold)
	case Not:
		return !match(n.X, get, fold)
	case Any:
		return matchAny(n, get, fold)
	case Compare:
		return n.match(get(n.Path), fold)
	}
	return false
}

func matchAny(n Any, get func(string) any, fold folding) bool {
	elements, _ := get(n.Path).([]string)
	if n.X == nil {
		return len(elements) > 0
	}
	return slices.ContainsFunc(elements, func(e string) bool {
		return match(n.X, func(path string) any {
			if path == "" {
				return e
			}
			return nil
		}, fold)
	})
}

func (c Compare) match(have any, fold folding) bool {
	switch c.Op {
	case Eq:
		return equal(have, c.Values[0], fold)
	case Ne:
		return !equal(have, c.Values[0], fold)
	case In:
		return slices.ContainsFunc(c.Values, func(v any) bool { return equal(have, v, fold) })
	case StartsWith, EndsWith, Contains:
		return textual(c.Op, have, c.Values[0], fold)
	}
	order, ok := compare(have, c.Values[0], fold)
	if !ok {
		return false
	}
	switch c.Op {
	case Gt:
		return order > 0
	case Ge:
		return order >= 0
	case Lt:
		return order < 0
	}
	return order <= 0
}

func textual(op Op, have, want any, fold folding) bool {
	h, ok := have.(string)
	w, _ := want.(string)
	if !ok {
		return false
	}
	h, w = fold(h), fold(w)
	switch op {
	case StartsWith:
		return strings.HasPrefix(h, w)
	case EndsWith:
		return strings.HasSuffix(h, w)
	}
	return strings.Contains(h, w)
}

func equal(have, want any, fold folding) bool {
	if have == nil || want == nil {
		return have == nil && want == nil
	}
	if h, ok := have.(bool); ok {
		w, isBool := want.(bool)
		return isBool && h == w
	}
	order, ok := compare(have, want, fold)
	return ok && order == 0
}

// compare orders two texts: as times when both are, else as the folding gives them.
func compare(have, want any, fold folding) (order int, ok bool) {
	h, ok := have.(string)
	if !ok {
		return 0, false
	}
	switch w := want.(type) {
	case string:
		return strings.Compare(fold(h), fold(w)), true
	case Literal:
		return compareLiteral(h, string(w), fold), true
	}
	return 0, false
}

func compareLiteral(have, want string, fold folding) int {
	h, errHave := time.Parse(time.RFC3339, have)
	w, errWant := time.Parse(time.RFC3339, want)
	if errHave == nil && errWant == nil {
		return h.Compare(w)
	}
	return strings.Compare(fold(have), fold(want))
}
