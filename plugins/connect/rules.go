package connect

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
)

// attributes are the values of a metaverse object, or of a tenant object, under their names there. No entry means no value.
type attributes map[string][]string

func (a attributes) first(name string) string {
	if v := a[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Rule is one synchronization rule, inbound (directory to metaverse) or outbound (metaverse to tenant). The rule with the
// lower precedence number wins where several give one attribute a value. A rule whose link is Provision decides whether the
// object is synchronized at all: a clause of it that does not hold excludes the object, with the clause's code.
type Rule struct {
	Name       string       `json:"name"`
	Precedence int          `json:"precedence"`
	Kind       scoping.Kind `json:"kind"`
	Link       Link         `json:"link"`
	Scope      []Clause     `json:"scope,omitempty"` // all must hold
	Flows      []Flow       `json:"flows"`
}

// Link says what a rule does beside its flows.
type Link string

// The link types that the built-in rules use.
const (
	Provision Link = "provision"
	Join      Link = "join"
)

// Clause is one condition of a rule's scope.
type Clause struct {
	Attribute string `json:"attribute"`
	Operator  string `json:"operator"`
	Value     string `json:"value,omitempty"`
	Code      string `json:"code,omitempty"` // of Provision rules: why the object is left out when the clause does not hold
}

// Flow gives one attribute its value: Function applied to the source attributes From. The function "" copies the first.
type Flow struct {
	Target   string   `json:"target"`
	Function string   `json:"function,omitempty"`
	From     []string `json:"from"`
}

// operators are what clauses may use.
var operators = []string{"EQUAL", "NOTEQUAL", "NOTSTARTSWITH", "NOTCONTAINS", "ISNOTNULL", "ISNULL", "ISIN", "ISNOTIN", "ISBITSET",
	"ISBITNOTSET", "COUNTATMOST", "NOTLINKEDMAILBOX", "NOTMAILENABLED",
	"ISADDRESSED", "NOTHIDDEN"}

// pairing are the operators whose value names another attribute.
var pairing = []string{"NOTMAILENABLED", "ISADDRESSED", "NOTHIDDEN"}

// Problems tells what is wrong with a rule: operators and functions that do not exist, and a Provision rule whose clause does
// not say why it leaves an object out.
func (r Rule) Problems() []string {
	var p []string
	for _, c := range r.Scope {
		if !slices.Contains(operators, c.Operator) {
			p = append(p, "unknown operator "+c.Operator)
		}
		if r.Link == Provision && c.Code == "" {
			p = append(p, "no code for the clause on "+c.Attribute)
		}
	}
	for _, f := range r.Flows {
		if functions[f.Function] == nil {
			p = append(p, "unknown function "+f.Function)
		}
	}
	return p
}

// source reads attribute values under whatever names a rule uses.
type source func(name string) []string

func fromEntry(e directory.Entry, domain string) source {
	return func(name string) []string {
		switch name {
		case "%Domain.FQDN%":
			return []string{domain}
		case "%Object.GUID%":
			return []string{e.GUID.String()}
		case "objectGUID":
			return []string{string(e.GUID[:])}
		case "member":
			return make([]string, len(e.Links["member"].Targets))
		}
		return e.Texts(name)
	}
}

func fromAttributes(a attributes) source { return func(name string) []string { return a[name] } }

// holds evaluates a clause. Comparison of texts ignores case, as the directory does.
func (c Clause) holds(src source) bool {
	values := src(c.Attribute)
	value := ""
	if len(values) > 0 {
		value = values[0]
	}
	switch c.Operator {
	case "EQUAL":
		return strings.EqualFold(value, c.Value)
	case "NOTEQUAL":
		return !strings.EqualFold(value, c.Value)
	case "NOTSTARTSWITH":
		return !hasPrefixFold(value, c.Value)
	case "NOTCONTAINS":
		return !strings.Contains(value, c.Value)
	case "ISNOTNULL":
		return value != ""
	case "ISNULL":
		return value == ""
	case "ISIN":
		return slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, c.Value) })
	case "ISNOTIN":
		return !slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, c.Value) })
	case "ISBITSET", "ISBITNOTSET":
		n, _ := strconv.ParseInt(value, 10, 64)
		mask, _ := strconv.ParseInt(c.Value, 0, 64)
		return (n&mask != 0) == (c.Operator == "ISBITSET")
	case "COUNTATMOST":
		limit, _ := strconv.Atoi(c.Value)
		return len(values) <= limit
	case "NOTLINKEDMAILBOX":
		return !expression.LinkedMailbox(value)
	case "NOTMAILENABLED": // Value names the attribute that counts where there are no addresses
		return !expression.MailEnabled(values, first(src(c.Value)))
	case "ISADDRESSED":
		return expression.ContactAddress(values, first(src(c.Value))) != ""
	case "NOTHIDDEN":
		return !expression.Hidden(value, first(src(c.Value)))
	}
	return false
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// functions are what flows may apply. Each gets the source values of its flow's From, in order.
var functions = map[string]func(target string, in [][]string) []string{
	"":       func(target string, in [][]string) []string { return fit(target, first(in[0])) },
	"Binary": func(_ string, in [][]string) []string { return one(first(in[0])) },
	"Coalesce": func(target string, in [][]string) []string {
		return fit(target, expression.Coalesce(firsts(in)...))
	},
	"SourceAnchor": func(_ string, in [][]string) []string {
		anchor := first(in[0])
		if anchor == "" {
			anchor = first(in[1])
		}
		return one(base64.StdEncoding.EncodeToString([]byte(anchor)))
	},
	"AccountEnabled": func(_ string, in [][]string) []string { return one(expression.AccountEnabled(first(in[0]))) },
	"UserPrincipalName": func(_ string, in [][]string) []string {
		return one(expression.UserPrincipalName(first(in[0]), first(in[1]), first(in[2])))
	},
	"ContactAddress": func(_ string, in [][]string) []string {
		return one(expression.ContactAddress(in[0], first(in[1])))
	},
	"MailNickname":  func(_ string, in [][]string) []string { return one(expression.MailNickname(firsts(in)...)) },
	"UsageLocation": func(_ string, in [][]string) []string { return one(expression.UsageLocation(first(in[0]))) },
	"True":          func(string, [][]string) []string { return []string{"true"} },
	"False":         func(string, [][]string) []string { return []string{"false"} },
}

func first(v []string) string {
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

func firsts(in [][]string) []string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = first(v)
	}
	return out
}

func one(v string) []string {
	if v == "" {
		return nil
	}
	return []string{v}
}

func fit(target, v string) []string { return one(expression.Fit(target, v)) }

// evaluate applies the rules for one kind to a source. rules stand in order of precedence. excluded is the code of the first
// clause of a Provision rule that does not hold; "no-rule" if no Provision rule is for the kind.
func evaluate(rules []Rule, kind scoping.Kind, src source) (out attributes, excluded string) {
	out, excluded = attributes{}, "no-rule"
	for _, r := range rules {
		if r.Kind != kind {
			continue
		}
		failed := slices.IndexFunc(r.Scope, func(c Clause) bool { return !c.holds(src) })
		if r.Link == Provision {
			if failed >= 0 {
				return nil, r.Scope[failed].Code
			}
			excluded = ""
		}
		if failed < 0 {
			r.flow(src, out)
		}
	}
	return out, excluded
}

func (r Rule) flow(src source, out attributes) {
	for _, f := range r.Flows {
		if _, taken := out[f.Target]; taken {
			continue
		}
		in := make([][]string, len(f.From))
		for i, name := range f.From {
			in[i] = src(name)
		}
		if v := functions[f.Function](f.Target, in); len(v) > 0 {
			out[f.Target] = v
		}
	}
}
