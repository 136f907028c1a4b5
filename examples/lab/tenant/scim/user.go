package scim

import (
	"slices"
	"strings"
)

func (r *reader) user(at string, o object) User {
	schemas := r.texts(o, at, "schemas")
	declared := func(schema string) bool {
		return slices.ContainsFunc(schemas, func(s string) bool { return strings.EqualFold(s, schema) })
	}
	for _, schema := range []string{CoreSchema, EnterpriseSchema} {
		if !declared(schema) {
			r.fail(at+".schemas", schema+" is missing")
		}
	}
	return User{
		ExternalID: r.needed(o, at, "externalId"), UserName: r.text(o, at, "userName"), DisplayName: r.text(o, at, "displayName"), NickName: r.text(o, at, "nickName"),
		Title: r.text(o, at, "title"), UserType: r.text(o, at, "userType"), PreferredLanguage: r.text(o, at, "preferredLanguage"),
		Name: r.name(o, at), Active: r.truth(o, at, "active"), Emails: r.values(o, at, "emails"), PhoneNumbers: r.values(o, at, "phoneNumbers"),
		Addresses: r.addresses(o, at), Enterprise: r.enterprise(o, at), Custom: r.custom(o, at, declared),
	}
}

func (r *reader) name(o object, at string) Name {
	n := r.object(o, at, "name")
	at += ".name"
	return Name{Formatted: r.text(n, at, "formatted"), FamilyName: r.text(n, at, "familyName"), GivenName: r.text(n, at, "givenName")}
}

func (r *reader) values(o object, at, name string) []Value {
	var out []Value
	for _, e := range r.elements(o, at, name) {
		out = append(out, Value{Value: r.text(e.object, e.at, "value"), Type: r.text(e.object, e.at, "type"), Primary: e.primary})
	}
	return out
}

func (r *reader) addresses(o object, at string) []Address {
	var out []Address
	for _, e := range r.elements(o, at, "addresses") {
		out = append(out, Address{Street: r.text(e.object, e.at, "streetAddress"), Locality: r.text(e.object, e.at, "locality"), Region: r.text(e.object, e.at, "region"),
			PostalCode: r.text(e.object, e.at, "postalCode"), Country: r.text(e.object, e.at, "country"), Type: r.text(e.object, e.at, "type"), Primary: e.primary})
	}
	return out
}

func (r *reader) enterprise(o object, at string) Enterprise {
	e := r.object(o, at, EnterpriseSchema)
	at += "." + EnterpriseSchema
	manager := r.object(e, at, "manager")
	return Enterprise{EmployeeNumber: r.text(e, at, "employeeNumber"), CostCenter: r.text(e, at, "costCenter"), Organization: r.text(e, at, "organization"),
		Division: r.text(e, at, "division"), Department: r.text(e, at, "department"), Manager: r.text(manager, at+".manager", "value")}
}

// custom reads the extensions with schemas of the sender's own. Each must be among the user's schemas.
func (r *reader) custom(o object, at string, declared func(string) bool) []Custom {
	var out []Custom
	for _, key := range o.keys() {
		name := o[key].name
		if !strings.HasPrefix(key, "urn:") || strings.EqualFold(name, EnterpriseSchema) {
			continue
		}
		if !declared(name) {
			r.fail(at+"."+name, "it is not among the user's schemas")
		}
		attributes := r.object(o, at, name)
		for _, k := range attributes.keys() {
			if value, scalar := asText(attributes[k].value); scalar && value != "" {
				out = append(out, Custom{name, attributes[k].name, value})
			}
		}
	}
	return out
}
