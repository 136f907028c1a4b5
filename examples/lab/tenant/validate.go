package tenant

import (
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// patch reads a request's body into property values: nil clears. It refuses unknown and read-only properties and wrong types.
// Entries with an @ (annotations and binds) are left to the caller.
func patch(kind Kind, body map[string]any) (map[string]any, error) {
	out := map[string]any{}
	for _, name := range sortedKeys(body) {
		if strings.Contains(name, "@") {
			continue
		}
		p := schemas[kind].byName[name]
		if p == nil {
			return nil, badRequest("Invalid property '%s'.", name)
		}
		if p.ReadOnly {
			return nil, badRequest("Property '%s' is read-only and cannot be set.", name)
		}
		v, err := p.value(kind, body[name])
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// value checks a JSON value against the property's type and limits, and gives it the model's form.
func (p *Property) value(kind Kind, v any) (any, error) {
	if v == nil {
		if p.Needed {
			return nil, invalidValue(kind, p.Name)
		}
		return nil, nil
	}
	switch p.Type {
	case edmString:
		return p.text(kind, v)
	case edmBool:
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return nil, p.wrongType()
	case edmTime:
		return p.time(v)
	case edmStrings:
		return p.texts(kind, v)
	case edmExt, edmOrgData:
		return p.complex(kind, v)
	case edmPassword:
		return password(v)
	}
	return nil, p.wrongType()
}

func (p *Property) wrongType() *Error {
	return badRequest("A value without a type name was found or the value is invalid for property '%s': expected type is '%s'.", p.Name, p.Type)
}

// text refuses empty strings, as Graph does: a property is cleared by null.
func (p *Property) text(kind Kind, v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, p.wrongType()
	}
	if s == "" || p.Max > 0 && utf8.RuneCountInString(s) > p.Max {
		return nil, invalidValue(kind, p.Name)
	}
	return s, nil
}

func (p *Property) time(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, p.wrongType()
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return nil, p.wrongType()
	}
	return stampTime(t), nil
}

func (p *Property) texts(kind Kind, v any) (any, error) {
	var out []string
	switch list := v.(type) {
	case []string:
		out = slices.Clone(list)
	case []any:
		for _, e := range list {
			s, ok := e.(string)
			if !ok {
				return nil, p.wrongType()
			}
			out = append(out, s)
		}
	default:
		return nil, p.wrongType()
	}
	for _, s := range out {
		if s == "" || p.Max > 0 && utf8.RuneCountInString(s) > p.Max {
			return nil, invalidValue(kind, p.Name)
		}
	}
	if p.Name == "businessPhones" && len(out) > 1 {
		return nil, invalidValue(kind, p.Name) // one number only, says the user resource
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// complexFields names the fields of the complex types that can be written.
var complexFields = map[string][]string{
	edmOrgData: {"costCenter", "division"},
	edmExt: {"extensionAttribute1", "extensionAttribute2", "extensionAttribute3", "extensionAttribute4", "extensionAttribute5", "extensionAttribute6",
		"extensionAttribute7", "extensionAttribute8", "extensionAttribute9", "extensionAttribute10", "extensionAttribute11", "extensionAttribute12",
		"extensionAttribute13", "extensionAttribute14", "extensionAttribute15"},
}

// complex checks the fields of a complex value; a null field stays, to clear it when merged.
func (p *Property) complex(kind Kind, v any) (any, error) {
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, p.wrongType()
	}
	out := map[string]any{}
	for _, name := range sortedKeys(fields) {
		if strings.HasPrefix(name, "@") {
			continue
		}
		if !slices.Contains(complexFields[p.Type], name) {
			return nil, badRequest("Invalid property '%s'.", name)
		}
		s, isText := fields[name].(string)
		if fields[name] != nil && (!isText || s == "" || p.Max > 0 && utf8.RuneCountInString(s) > p.Max) {
			return nil, invalidValue(kind, p.Name)
		}
		out[name] = fields[name]
	}
	return out, nil
}

// password checks a passwordProfile; the value is a profile.
func password(v any) (any, error) {
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, invalidValue(User, "passwordProfile")
	}
	var out profile
	for _, name := range sortedKeys(fields) {
		switch name {
		case "password":
			s, isText := fields[name].(string)
			if !isText || !strongPassword(s) {
				return nil, weakPassword()
			}
			out.password = secret.Take([]byte(s))
		case "forceChangePasswordNextSignIn", "forceChangePasswordNextSignInWithMfa":
			force, isBool := fields[name].(bool)
			if fields[name] != nil && !isBool {
				return nil, invalidValue(User, "passwordProfile")
			}
			if force = force || out.mustChange != nil && *out.mustChange; isBool {
				out.mustChange = &force
			}
		default:
			if !strings.HasPrefix(name, "@") {
				return nil, badRequest("Invalid property '%s'.", name)
			}
		}
	}
	return out, nil
}

func weakPassword() *Error {
	e := badRequest("The specified password does not comply with password complexity requirements. Please provide a different password.")
	e.Details = []Detail{{"PasswordComplexityError", e.Message, "passwordProfile"}}
	return e
}

// strongPassword: 8 to 256 characters, three of the four classes.
// See https://learn.microsoft.com/entra/identity/authentication/concept-sspr-policy.
func strongPassword(s string) bool {
	if n := utf8.RuneCountInString(s); n < 8 || n > 256 {
		return false
	}
	classes := map[int]bool{}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z':
			classes[0] = true
		case r >= 'A' && r <= 'Z':
			classes[1] = true
		case r >= '0' && r <= '9':
			classes[2] = true
		default:
			classes[3] = true
		}
	}
	return len(classes) >= 3
}

// merge applies a patch to the properties of a version that is not yet written.
func merge(props, changes map[string]any) {
	for name, v := range changes {
		fields, isComplex := v.(map[string]any)
		switch {
		case v == nil:
			delete(props, name)
		case isComplex:
			props[name] = mergeFields(props[name], fields)
			if props[name] == nil {
				delete(props, name)
			}
		default:
			props[name] = v
		}
	}
}

func mergeFields(old any, changes map[string]any) any {
	out := map[string]any{}
	before, _ := old.(map[string]any)
	for k, v := range before {
		out[k] = v
	}
	for k, v := range changes {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// missing names the first property of the list that a create lacks.
func missing(kind Kind, body map[string]any, names ...string) error {
	for _, n := range names {
		if v, ok := body[n]; !ok || v == nil {
			e := badRequest("A value is required for property '%s' of resource '%s'.", n, kind.resource())
			e.Details = []Detail{{"MissingValue", e.Message, n}}
			return e
		}
	}
	return nil
}
