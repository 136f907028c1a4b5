package odata

import (
	"slices"
	"strings"
	"time"
)

// Match tells whether an object satisfies x. get returns a property's value (string, bool, []string) or nil.
// Strings compare without regard to case, as the directory does.
func Match(x Expr, get func(path string) any) bool {
	switch n := x.(type) {
	case And:
		return Match(n.Left, get) && Match(n.Right, get)
	case Or:
		return Match(n.Left, get) || Match(n.Right, get)
	case Not:
		return !Match(n.X, get)
	case Any:
		return matchAny(n, get)
	case Compare:
		return n.match(get(n.Path))
	}
	return false
}

func matchAny(n Any, get func(string) any) bool {
	elements, _ := get(n.Path).([]string)
	if n.X == nil {
		return len(elements) > 0
	}
	return slices.ContainsFunc(elements, func(e string) bool {
		return Match(n.X, func(path string) any {
			if path == "" {
				return e
			}
			return nil
		})
	})
}

func (c Compare) match(have any) bool {
	switch c.Op {
	case Eq:
		return equal(have, c.Values[0])
	case Ne:
		return !equal(have, c.Values[0])
	case In:
		return slices.ContainsFunc(c.Values, func(v any) bool { return equal(have, v) })
	case StartsWith, EndsWith, Contains:
		return textual(c.Op, have, c.Values[0])
	}
	order, ok := compare(have, c.Values[0])
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

func textual(op Op, have, want any) bool {
	h, ok := have.(string)
	w, _ := want.(string)
	if !ok {
		return false
	}
	h, w = strings.ToLower(h), strings.ToLower(w)
	switch op {
	case StartsWith:
		return strings.HasPrefix(h, w)
	case EndsWith:
		return strings.HasSuffix(h, w)
	}
	return strings.Contains(h, w)
}

func equal(have, want any) bool {
	if have == nil || want == nil {
		return have == nil && want == nil
	}
	if h, ok := have.(bool); ok {
		w, isBool := want.(bool)
		return isBool && h == w
	}
	order, ok := compare(have, want)
	return ok && order == 0
}

// compare orders two texts: as times when both are, else without regard to case.
func compare(have, want any) (order int, ok bool) {
	h, ok := have.(string)
	if !ok {
		return 0, false
	}
	switch w := want.(type) {
	case string:
		return strings.Compare(strings.ToLower(h), strings.ToLower(w)), true
	case Literal:
		return compareLiteral(h, string(w)), true
	}
	return 0, false
}

func compareLiteral(have, want string) int {
	h, errHave := time.Parse(time.RFC3339, have)
	w, errWant := time.Parse(time.RFC3339, want)
	if errHave == nil && errWant == nil {
		return h.Compare(w)
	}
	return strings.Compare(strings.ToLower(have), strings.ToLower(want))
}
