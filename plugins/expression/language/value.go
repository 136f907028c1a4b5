package language

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what a value is.
type Kind uint8

// The kinds. An absent attribute is Null, whatever kind it has otherwise.
const (
	Any     Kind = iota // not known before evaluation; no value is of it
	Null                // no value
	Text                // characters
	Number              // a whole number of 64 bits
	Boolean             // True or False
	Date                // a moment, in UTC
	Texts               // several values in their order
	ignored             // the flow is dropped (IgnoreFlowIfNullOrEmpty)
)

var kindNames = [...]string{Any: "any value", Null: "nothing", Text: "text", Number: "number", Boolean: "boolean", Date: "date", Texts: "several values", ignored: "no flow"}

func (k Kind) String() string { return kindNames[k] }

// dateText is how a date is written as text: .NET's M/d/yyyy h:mm:ss tt, as the documentation of CDate and DateAdd says.
const dateText = "1/2/2006 3:04:05 PM"

// value is what a piece of an expression evaluates to.
type value struct {
	kind   Kind
	text   string
	number int64
	truth  bool
	when   time.Time
	list   []string
}

var null = value{kind: Null}

func textValue(s string) value      { return value{kind: Text, text: s} }
func numberValue(n int64) value     { return value{kind: Number, number: n} }
func truthValue(b bool) value       { return value{kind: Boolean, truth: b} }
func dateValue(t time.Time) value   { return value{kind: Date, when: t.UTC()} }
func listValue(list []string) value { return value{kind: Texts, list: list} }

// plain returns a single value as text, "" for none. Of several it knows none.
func (v value) plain() string {
	switch v.kind {
	case Text:
		return v.text
	case Number:
		return strconv.FormatInt(v.number, 10)
	case Boolean:
		if v.truth {
			return "True"
		}
		return "False"
	case Date:
		return v.when.Format(dateText)
	}
	return ""
}

// texts returns all values as texts.
func (v value) texts() []string {
	switch v.kind {
	case Null, ignored:
		return nil
	case Texts:
		return v.list
	}
	return []string{v.plain()}
}

// empty reports whether there is nothing in a value: no value, or only empty ones.
func (v value) empty() bool {
	return !slices.ContainsFunc(v.texts(), func(s string) bool { return s != "" })
}

// String shows a value to people.
func (v value) String() string {
	switch v.kind {
	case Null:
		return "NULL"
	case ignored:
		return "unmanaged"
	case Text:
		return shown(v.text)
	case Texts:
		var out []string
		for i, s := range v.list {
			if i == maxShown/10 {
				out = append(out, fmt.Sprintf("… %d values", len(v.list)))
				break
			}
			out = append(out, shown(s))
		}
		return "{" + strings.Join(out, ", ") + "}"
	}
	return v.plain()
}

// maxShown is how many characters of a text people are shown.
const maxShown = 200

func shown(s string) string {
	if p := prefix(s, maxShown); p != s {
		return quote(p) + "…"
	}
	return quote(s)
}
