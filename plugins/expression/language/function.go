package language

import (
	"maps"
	"slices"
	"strings"
)

// The pages that say what functions mean.
const (
	entraPage   = "https://learn.microsoft.com/entra/identity/app-provisioning/functions-for-customizing-application-data"
	cloudPage   = "https://learn.microsoft.com/entra/identity/hybrid/cloud-sync/reference-expressions"
	connectPage = "https://learn.microsoft.com/entra/identity/hybrid/connect/reference-connect-sync-functions-reference"
)

// parameter is what a function takes at one place. The last ones of a function repeat, as many as repeats says.
type parameter struct {
	name     string
	kind     Kind
	optional bool
	words    []string // an enumeration: one of these words, without quotes
}

// function is one function of the language.
type function struct {
	name    string
	page    string
	about   string // one sentence, for the table that people read
	params  []parameter
	repeats int  // how many of the last parameters may come again, together
	result  Kind // Any: of its arguments
	each    bool // of a first argument with several values the function makes as many
	// check looks at what is written beyond counts and kinds, and may keep what evaluation needs in s.prepared.
	check func(c *compiler, s *step)
	// plain evaluates with the values of all arguments; Null where one was omitted.
	plain func(r *run, s *step, args []value) (value, error)
	// lazy evaluates the arguments that it needs itself.
	lazy func(r *run, s *step) (value, error)
	// examples show the function, and are tested.
	examples []Example
}

// Example is an expression with what it gives for some attributes.
type Example struct {
	Expression string
	Attributes map[string][]string
	Result     string // as Step shows values
}

// functions is the table of all functions, by name.
var functions map[string]*function

func init() { // not where it is declared: functions check themselves with it
	functions = index(textFunctions, nameFunctions, listFunctions, flowFunctions, replaceFunctions, codeFunctions, dateFunctions)
}

func index(tables ...[]function) map[string]*function {
	out := map[string]*function{}
	for _, t := range tables {
		for i := range t {
			if t[i].page == "" {
				t[i].page = entraPage
			}
			out[t[i].name] = &t[i]
		}
	}
	return out
}

// Function describes a function of the language.
type Function struct {
	Name      string    `json:"name"`
	Signature string    `json:"signature"` // such as Split(source, delimiter[, limit])
	About     string    `json:"about"`
	Page      string    `json:"page"` // Microsoft's page that says what it means
	Examples  []Example `json:"-"`
}

// Functions lists the functions of the language by name.
func Functions() []Function {
	out := make([]Function, 0, len(functions))
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		f := functions[name]
		out = append(out, Function{Name: name, Signature: f.signature(), About: f.about, Page: f.page + "#" + strings.ToLower(name), Examples: f.examples})
	}
	return out
}

func (f *function) signature() string {
	var b strings.Builder
	b.WriteString(f.name + "(")
	open := 0
	for i, p := range f.params {
		if p.optional && trailing(f.params[i:]) {
			b.WriteString("[")
			open++
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p.name)
	}
	b.WriteString(strings.Repeat("]", open))
	if f.repeats > 0 {
		b.WriteString(", …")
	}
	return b.String() + ")"
}

// trailing reports whether all parameters of a rest may be left out.
func trailing(rest []parameter) bool {
	return !slices.ContainsFunc(rest, func(p parameter) bool { return !p.optional })
}

// least is how many arguments a call needs.
func (f *function) least() int {
	n := len(f.params)
	for n > 0 && f.params[n-1].optional {
		n--
	}
	return n
}

// parameter returns the parameter of the argument at i.
func (f *function) parameter(i int) parameter {
	if n := len(f.params); i >= n {
		return f.params[n-f.repeats+(i-n)%f.repeats]
	}
	return f.params[i]
}

// arity says what is wrong with a number of arguments, or "".
func (f *function) arity(n int) string {
	switch {
	case n < f.least() || f.repeats == 0 && n > len(f.params):
		return "takes"
	case f.repeats > 1 && (n-len(f.params))%f.repeats != 0:
		return "takes its last arguments in pairs:"
	}
	return ""
}

// absent are functions that the languages of Microsoft have and this one refuses, and why.
var absent = map[string]string{
	"Now":                       "it gives another value every time, so that nothing would ever be settled; the same facts have to give the same values",
	"Guid":                      "it gives another value every time, so that nothing would ever be settled; objectId is a value that no other object has",
	"RandomString":              "it gives another value every time, so that nothing would ever be settled; Tandem makes passwords itself and keeps none",
	"RandomNum":                 "it gives another value every time, so that nothing would ever be settled; SelectUniqueValue takes the first name that is free",
	"AppRoleAssignmentsComplex": "what goes to a directory has no app roles",
	"SingleAppRoleAssignment":   "what goes to a directory has no app roles",
	"Redact":                    "Tandem's journal has digests and no values already",
	"And":                       "nest: IIF(a, IIF(b, x, y), y), as in Microsoft Entra",
	"Or":                        "nest: IIF(a, x, IIF(b, x, y)), as in Microsoft Entra",
	"LCase":                     "it is Connect's name of ToLower",
	"UCase":                     "it is Connect's name of ToUpper",
	"Length":                    "the number of characters is Len",
	"ImportedValue":             "it is a function of Connect's exports",
	"Select":                    "it is a function of Connect; text functions take each of several values already",
	"Where":                     "it is a function of Connect",
	"With":                      "it is a function of Connect",
}
