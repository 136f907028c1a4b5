package tenant

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// shape is how a property looks in JSON.
type shape uint8

const (
	text      shape = iota + 1
	boolean         // true, false, null
	texts           // a collection of text
	extension       // text inside onPremisesExtensionAttributes
)

// property is one property that Tandem reads, and writes unless it is the tenant's own.
type property struct {
	name     string
	shape    shape
	readOnly bool // Graph refuses it, or the client sends it by itself
}

// userProperties: https://learn.microsoft.com/graph/api/resources/user. All are kept in the directory itself, so delta tracks them.
var userProperties = withExtensions([]property{
	{cloud.UPN, text, false}, {cloud.ImmutableID, text, false}, {cloud.Enabled, boolean, false}, {cloud.DisplayName, text, false},
	{cloud.Mail, text, false}, {cloud.Nickname, text, false}, {"userType", text, false}, {"givenName", text, false},
	{"surname", text, false}, {"jobTitle", text, false}, {"department", text, false}, {"companyName", text, false},
	{"employeeId", text, false}, {"employeeType", text, false}, {"officeLocation", text, false}, {"mobilePhone", text, false},
	{"businessPhones", texts, false}, {"faxNumber", text, false}, {"streetAddress", text, false}, {"city", text, false},
	{"state", text, false}, {"postalCode", text, false}, {"country", text, false}, {"usageLocation", text, false},
	{"preferredLanguage", text, false}, {"otherMails", texts, false}, {"proxyAddresses", texts, true},
	{"onPremisesSecurityIdentifier", text, true}, {"onPremisesSamAccountName", text, true},
})

// groupProperties: https://learn.microsoft.com/graph/api/resources/group.
var groupProperties = []property{
	{cloud.DisplayName, text, false}, {"description", text, false}, {cloud.Nickname, text, false}, {cloud.UniqueName, text, false},
	{"securityEnabled", boolean, false}, {"mailEnabled", boolean, false}, {"groupTypes", texts, false}, {"visibility", text, false},
	{cloud.Mail, text, true}, {"proxyAddresses", texts, true}, {"isAssignableToRole", boolean, true},
	{"onPremisesSecurityIdentifier", text, true}, {"onPremisesSamAccountName", text, true},
}

// contactProperties: https://learn.microsoft.com/graph/api/resources/orgcontact; public Graph writes none of them.
var contactProperties = []property{
	{cloud.DisplayName, text, false}, {cloud.Mail, text, false}, {cloud.Nickname, text, false}, {"givenName", text, false},
	{"surname", text, false}, {"jobTitle", text, false}, {"department", text, false}, {"companyName", text, false},
	{"proxyAddresses", texts, true},
}

func withExtensions(p []property) []property {
	for i := 1; i <= 15; i++ {
		p = append(p, property{fmt.Sprintf("extensionAttribute%d", i), extension, false})
	}
	return p
}

func propertiesOf(kind scoping.Kind) []property {
	switch kind {
	case scoping.User:
		return userProperties
	case scoping.Group:
		return groupProperties
	case scoping.Contact:
		return contactProperties
	}
	return nil
}

func lookUp(kind scoping.Kind, name string) (property, bool) {
	all := propertiesOf(kind)
	if i := slices.IndexFunc(all, func(p property) bool { return p.name == name }); i >= 0 {
		return all[i], true
	}
	return property{}, false
}

// Writable lists the attributes of a kind that Send takes in Write.Set, sorted.
func Writable(kind scoping.Kind) []string {
	var names []string
	for _, p := range propertiesOf(kind) {
		if !p.readOnly {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return names
}

const extensionsName = "onPremisesExtensionAttributes"

// selection is the $select of a kind, with extra names.
func selection(kind scoping.Kind, extra ...string) string {
	names := append([]string{"id", "onPremisesSyncEnabled"}, extra...)
	for _, p := range propertiesOf(kind) {
		if p.shape == extension {
			continue
		}
		names = append(names, p.name)
	}
	if kind == scoping.User {
		names = append(names, extensionsName)
	}
	return strings.Join(names, ",")
}

// encodeValues writes Set as a JSON object; names that Tandem does not write and values of the wrong form are errors.
func encodeValues(kind scoping.Kind, set cloud.Values) (map[string]any, error) {
	out := map[string]any{}
	for name, v := range set {
		p, known := lookUp(kind, name)
		if !known || p.readOnly {
			return nil, fmt.Errorf("%s of a %s cannot be written through Graph", name, kind)
		}
		x, err := p.encode(v)
		if err != nil {
			return nil, err
		}
		if p.shape != extension {
			out[name] = x
			continue
		}
		inner, _ := out[extensionsName].(map[string]any)
		if inner == nil {
			inner = map[string]any{}
			out[extensionsName] = inner
		}
		inner[name] = x
	}
	return out, nil
}

func (p property) encode(v []string) (any, error) {
	if p.shape == texts {
		return append([]string{}, v...), nil // never null: [] clears
	}
	if len(v) == 0 {
		return nil, nil
	}
	if len(v) > 1 {
		return nil, fmt.Errorf("%s takes one value, not %d", p.name, len(v))
	}
	if p.shape != boolean {
		return v[0], nil
	}
	if v[0] != "true" && v[0] != "false" {
		return nil, fmt.Errorf("%s is true or false, not %q", p.name, v[0])
	}
	return v[0] == "true", nil
}

// raw is an object of Graph, property by property.
type raw map[string]json.RawMessage

func (r raw) text(name string) string {
	var s string
	_ = json.Unmarshal(r[name], &s) // another form is no text
	return s
}

// flag gives a boolean, nil if the object does not say.
func (r raw) flag(name string) *bool {
	x, said := r[name]
	if !said {
		return nil
	}
	var b bool
	_ = json.Unmarshal(x, &b) // null is false
	return &b
}

// values takes what the object says into canonical text: a null or empty property is there without values, so that it clears.
func (r raw) values(kind scoping.Kind) (cloud.Values, error) {
	out := cloud.Values{}
	var inner raw
	if x, said := r[extensionsName]; said {
		if err := json.Unmarshal(x, &inner); err != nil {
			return nil, fmt.Errorf("%s: %w", extensionsName, err)
		}
		if inner == nil {
			inner = raw{}
		}
	}
	for _, p := range propertiesOf(kind) {
		x, said := r[p.name]
		if p.shape == extension {
			if inner == nil {
				continue
			}
			x, said = inner[p.name], true // the tenant shows the container wholly
		}
		if !said {
			continue
		}
		v, err := p.decode(x)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		out[p.name] = v
	}
	return out, nil
}

func (p property) decode(x json.RawMessage) ([]string, error) {
	if len(x) == 0 || string(x) == "null" {
		return nil, nil
	}
	switch p.shape {
	case boolean:
		var b bool
		err := json.Unmarshal(x, &b)
		return []string{fmt.Sprint(b)}, err
	case texts:
		var v []string
		err := json.Unmarshal(x, &v)
		slices.Sort(v)
		return v, err
	}
	var s string
	if err := json.Unmarshal(x, &s); err != nil || s == "" {
		return nil, err
	}
	return []string{s}, nil
}
