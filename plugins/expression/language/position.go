package language

import (
	"errors"
	"fmt"
	"strings"
)

// Position is a place in an expression's text. Lines and columns count from 1; a column is one character (a code point).
type Position struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

// Error is one mistake of an expression, or what hindered an evaluation, with its place.
type Error struct {
	At      Position `json:"at"`
	Message string   `json:"message"`
	Hint    string   `json:"hint,omitempty"` // what to write instead
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.At.String() + ": " + e.Message
	}
	return e.At.String() + ": " + e.Message + " (" + e.Hint + ")"
}

// Errors are all mistakes of one expression in the order of their places.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, x := range e {
		lines[i] = x.Error()
	}
	return strings.Join(lines, "\n")
}

func errorAt(at Position, hint, format string, args ...any) *Error {
	return &Error{At: at, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// Mistakes returns the mistakes that an error of this package holds, one by one.
func Mistakes(err error) []*Error {
	var all Errors
	if errors.As(err, &all) {
		return all
	}
	var one *Error
	if errors.As(err, &one) {
		return []*Error{one}
	}
	return nil
}
