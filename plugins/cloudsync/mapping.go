package cloudsync

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// MappingType says where a mapping's value comes from.
type MappingType string

// The mapping types, those of a synchronization schema's attribute mappings (Microsoft Graph, resource type attributeMapping).
const (
	Direct     MappingType = "direct"     // the first value of the one source attribute
	Constant   MappingType = "constant"   // Value
	Expression MappingType = "expression" // Function of the source attributes
)

// Mapping gives one tenant attribute its value. A value is fitted to the tenant's limits; no value clears the attribute, or
// leaves it unmanaged if the mapping is Optional.
type Mapping struct {
	Target   string      `json:"target"`             // the tenant's attribute, one that the engine writes to objects of this kind
	Type     MappingType `json:"type"`               // direct, constant or expression
	Source   []string    `json:"source,omitempty"`   // AD names; "%Domain.FQDN%" and "%Object.GUID%" besides
	Value    string      `json:"value,omitempty"`    // of a constant
	Function string      `json:"function,omitempty"` // of an expression
	Required string      `json:"required,omitempty"` // the code with which an object without a value is left out
	Optional bool        `json:"optional,omitempty"` // without a value the attribute is unmanaged, instead of cleared
}

func direct(target, source string) Mapping {
	return Mapping{Target: target, Type: Direct, Source: []string{source}}
}

func computed(target, required, function string, source ...string) Mapping {
	return Mapping{Target: target, Type: Expression, Function: function, Source: source, Required: required}
}

// userMappings are the defaults for users (cloud sync's schema, Microsoft Learn "Attribute mapping in Microsoft Entra Cloud
// Sync"), for what the tenant's public interface can write.
var userMappings = []Mapping{
	computed("accountEnabled", "no-account-state", "AccountEnabled", "userAccountControl"),
	computed("userPrincipalName", "no-upn", "UserPrincipalName", "userPrincipalName", "sAMAccountName", "%Domain.FQDN%"),
	computed("displayName", "no-display-name", "Coalesce", "displayName", "name"),
	computed("mailNickname", "no-mail-nickname", "MailNickname", "mailNickname", "sAMAccountName", "userPrincipalName", "%Object.GUID%"),
	direct("givenName", "givenName"),
	direct("surname", "sn"),
	direct("jobTitle", "title"),
	direct("department", "department"),
	direct("companyName", "company"),
	direct("employeeId", "employeeID"),
	direct("officeLocation", "physicalDeliveryOfficeName"),
	direct("streetAddress", "streetAddress"),
	direct("city", "l"),
	direct("state", "st"),
	direct("postalCode", "postalCode"),
	direct("country", "co"),
	direct("mobilePhone", "mobile"),
	direct("businessPhones", "telephoneNumber"),
	direct("mail", "mail"),
	{Target: "usageLocation", Type: Expression, Function: "UsageLocation", Source: []string{"msExchUsageLocation"}, Optional: true},
}

// groupMappings are the defaults for groups: security groups that are not mail-enabled (rule J4).
var groupMappings = []Mapping{
	computed("displayName", "no-display-name", "Coalesce", "displayName", "name"),
	direct("description", "description"),
	computed("mailNickname", "no-mail-nickname", "MailNickname", "mailNickname", "sAMAccountName", "%Object.GUID%"),
	{Target: "mailEnabled", Type: Constant, Value: "false"},
	{Target: "securityEnabled", Type: Constant, Value: "true"},
}

// contactMappings are the defaults for contacts. The anchor is the host's to compute, as for every kind.
var contactMappings = []Mapping{
	computed("displayName", "no-display-name", "Coalesce", "displayName", "name"),
	computed("mail", expression.NoAddress, "ContactAddress", "proxyAddresses", "mail"),
	computed("mailNickname", "", "MailNickname", "mailNickname", "mail", "%Object.GUID%"),
	direct("givenName", "givenName"),
	direct("surname", "sn"),
	direct("jobTitle", "title"),
	direct("department", "department"),
	direct("companyName", "company"),
}

// functions are what expressions may use, on the first value of each source attribute. Package expression holds their
// meaning: the other engine's rules use the same.
var functions = map[string]func(target string, in []string) string{
	"AccountEnabled":    func(_ string, in []string) string { return expression.AccountEnabled(in[0]) },
	"UserPrincipalName": func(_ string, in []string) string { return expression.UserPrincipalName(in[0], in[1], in[2]) },
	"Coalesce":          func(target string, in []string) string { return expression.Fit(target, expression.Coalesce(in...)) },
	"MailNickname":      func(_ string, in []string) string { return expression.MailNickname(in...) },
	"UsageLocation":     func(_ string, in []string) string { return expression.UsageLocation(in[0]) },
}

// ofAll are the functions that look at all values of their first source.
var ofAll = map[string]func(first []string, in []string) string{
	"ContactAddress": func(first, in []string) string { return expression.ContactAddress(first, in[1]) },
}

// functionNames lists the functions that expressions may use, sorted.
func functionNames() []string {
	return slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(functions)), slices.Collect(maps.Keys(ofAll))...)))
}

// arity is how many sources a function takes; those that are not here take one or more.
var arity = map[string]int{"AccountEnabled": 1, "UserPrincipalName": 3, "UsageLocation": 1, "ContactAddress": 2}

func (m Mapping) value(e directory.Entry, domain string) string {
	switch m.Type {
	case Constant:
		return m.Value
	case Direct:
		return expression.Fit(m.Target, sourceOf(e, domain, m.Source[0]))
	}
	in := make([]string, len(m.Source))
	for i, name := range m.Source {
		in[i] = sourceOf(e, domain, name)
	}
	if all := ofAll[m.Function]; all != nil {
		return expression.Fit(m.Target, all(e.Texts(m.Source[0]), in))
	}
	return functions[m.Function](m.Target, in)
}

func sourceOf(e directory.Entry, domain, name string) string {
	switch name {
	case "%Domain.FQDN%":
		return domain
	case "%Object.GUID%":
		return e.GUID.String()
	}
	return e.Text(name)
}

// schema is the mappings in force, by kind.
type schema map[scoping.Kind][]Mapping

func defaultSchema() schema {
	return schema{scoping.User: slices.Clone(userMappings), scoping.Group: slices.Clone(groupMappings), scoping.Contact: slices.Clone(contactMappings)}
}

// desired makes the whole wanted state of an object; reason is the code that leaves it out instead.
func (s schema) desired(e directory.Entry, domain string) (values map[string]engine.Value, reason string) {
	values = make(map[string]engine.Value, len(s[e.Kind()]))
	for _, m := range s[e.Kind()] {
		v := m.value(e, domain)
		switch {
		case v != "":
			values[m.Target] = engine.Value{Text: []string{v}}
		case m.Required != "":
			return nil, m.Required
		case !m.Optional:
			values[m.Target] = engine.Value{}
		}
	}
	return values, ""
}

// writes is the engine's table of tenant attributes per feature (rule F2).
func (s schema) writes() map[scoping.Feature][]string {
	out := map[scoping.Feature][]string{scoping.References: {"manager", "members"}, scoping.Extensions: attribute.OfFeature(scoping.Extensions)}
	for kind, mappings := range s {
		for _, m := range mappings {
			out[scoping.Base(kind)] = append(out[scoping.Base(kind)], m.Target)
		}
	}
	return out
}

// attributes are what the directory is asked for: all that mappings and exclusions read, the links, and what extensions are made of.
func (s schema) attributes(extensions []string) []string {
	names := map[string]bool{"member": true, "manager": true}
	for _, n := range expression.ExtensionSources(extensions) {
		names[n] = true
	}
	for kind := range s {
		for _, n := range s.readOf(kind, nil) {
			names[n] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// reads is what proposals depend on, per kind. Settings may map more: what they say comes after the engine has described itself.
func (s schema) reads() map[scoping.Kind]engine.Reads {
	users := append(s.readOf(scoping.User, []string{"manager"}), attribute.OfFeature(scoping.Extensions)...)
	slices.Sort(users)
	return map[scoping.Kind]engine.Reads{
		scoping.User:    {Attributes: users, More: true},
		scoping.Group:   {Attributes: s.readOf(scoping.Group, []string{"member"}), More: true},
		scoping.Contact: {Attributes: s.readOf(scoping.Contact, []string{"manager"}), More: true},
	}
}

func (s schema) readOf(kind scoping.Kind, links []string) []string {
	names := map[string]bool{}
	for _, list := range [][]string{links, expression.ExcludedBy} {
		for _, n := range list {
			names[n] = true
		}
	}
	for _, m := range s[kind] {
		for _, n := range m.Source {
			names[n] = true
		}
	}
	maps.DeleteFunc(names, func(n string, _ bool) bool { return strings.HasPrefix(n, "%") })
	return slices.Sorted(maps.Keys(names))
}

// fingerprint tells these value rules apart from those of other settings, extensions and versions.
func (s schema) fingerprint(extensions []string) engine.Fingerprint {
	rules := map[string]any{"mappings": s, "expressions": expression.Revision}
	if len(extensions) > 0 {
		rules["extensions"] = slices.Sorted(slices.Values(extensions))
	}
	b, err := json.Marshal(rules)
	if err != nil {
		return engine.Fingerprint{}
	}
	return engine.FingerprintOf([]byte("cloudsync"), []byte(Version), b)
}

// extensionsOf gives the extensions of a user that are asked for, empty where it has none.
func extensionsOf(e directory.Entry, names []string) map[string]engine.Value {
	out := make(map[string]engine.Value, len(names))
	for n, v := range expression.Extensions(names, e.Text) {
		out[n] = engine.Value{}
		if v != "" {
			out[n] = engine.Value{Text: []string{v}}
		}
	}
	return out
}

// references gives the whole wanted sets of references.
func references(name string, e directory.Entry) map[string]engine.Refs {
	attribute, target := "manager", "manager"
	if e.Kind() == scoping.Group {
		attribute, target = "member", "members"
	}
	refs := engine.Refs{Whole: true}
	for _, l := range e.Links[attribute].Targets {
		if !l.GUID.IsZero() {
			refs.Targets = append(refs.Targets, scoping.ObjectID{Directory: name, GUID: l.GUID})
		}
	}
	slices.SortFunc(refs.Targets, scoping.ObjectID.Compare)
	return map[string]engine.Refs{target: refs}
}
