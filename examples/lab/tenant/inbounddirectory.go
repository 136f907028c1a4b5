package tenant

import (
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant/inbound"
)

// inboundDirectory is the model as inbound provisioning finds and writes it.
type inboundDirectory struct{ model *Model }

var _ inbound.Directory = inboundDirectory{}

// ByEmployeeID lists the living users with this employeeId, as written.
func (d inboundDirectory) ByEmployeeID(id string) []inbound.User {
	m := d.model
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []inbound.User
	for _, o := range m.lookup(User, "employeeId", id, m.head()) {
		out = append(out, inboundUser(m.object(o)))
	}
	return out
}

// ByID gives a living user, as written.
func (d inboundDirectory) ByID(id string) (inbound.User, bool) {
	m := d.model
	m.mu.RLock()
	defer m.mu.RUnlock()
	o, err := m.find(User, id, m.head())
	if err != nil {
		return inbound.User{}, false
	}
	return inboundUser(m.object(o)), true
}

func inboundUser(o Object) inbound.User {
	return inbound.User{ID: o.ID, Properties: o.Properties, Manager: o.Manager}
}

// Create makes a user with a random password.
func (d inboundDirectory) Create(properties map[string]any) (inbound.User, error) {
	body := map[string]any{"passwordProfile": map[string]any{"password": "aA1!" + rand.Text(), "forceChangePasswordNextSignIn": true}}
	for k, v := range properties {
		body[k] = v
	}
	o, err := d.model.CreateUser(body)
	return inboundUser(o), refusal(err)
}

// Update changes properties of a user.
func (d inboundDirectory) Update(id string, changes map[string]any) error {
	return refusal(d.model.UpdateUser(id, changes))
}

// SetManager makes somebody a user's manager.
func (d inboundDirectory) SetManager(id, manager string) error {
	return refusal(d.model.SetManager(User, id, manager))
}

func refusal(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	r := &inbound.Refusal{Code: e.Code, Message: e.Message}
	if len(e.Details) > 0 {
		r.Code, r.Property = e.Details[0].Code, e.Details[0].Target
	}
	return r
}

// Target lets HireDate flow into employeeHireDate, extensionAttribute1 to 15 into the fields of that name, the name of a registered
// extension, with or without what stands before it, into that, and the name of any other text of a user that can be written into that.
// What standard attributes of SCIM flow into is left to them.
func (d inboundDirectory) Target(attribute, value string) (inbound.Flow, bool) {
	if strings.EqualFold(attribute, "HireDate") || strings.EqualFold(attribute, "employeeHireDate") {
		return inbound.Flow{Property: "employeeHireDate", Value: moment(value)}, true
	}
	for _, field := range complexFields[edmExt] {
		if strings.EqualFold(field, attribute) {
			return inbound.Flow{Property: "onPremisesExtensionAttributes", Field: field, Value: value}, true
		}
	}
	for _, name := range d.model.Extensions() {
		if strings.EqualFold(name, attribute) || strings.EqualFold(lastPart(name), attribute) {
			return inbound.Flow{Property: name, Value: value}, true
		}
	}
	for _, p := range schemas[User].list {
		if strings.EqualFold(p.Name, attribute) && p.Type == edmString && !p.ReadOnly && !p.Needed && custom[p.Name] {
			return inbound.Flow{Property: p.Name, Value: value}, true
		}
	}
	return inbound.Flow{}, false
}

// custom are the texts of a user that no standard attribute of SCIM flows into.
var custom = map[string]bool{"officeLocation": true, "ageGroup": true, "consentProvidedForMinor": true, "passwordPolicies": false, "usageLocation": true, "userType": true}

// lastPart is what an application called its extension: extension_<application>_<name>.
func lastPart(extension string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(extension, "extension_"), "_")
	return rest
}

// moment gives a day, or a time of any zone, the form in which the tenant keeps times; another text stays, to be refused.
func moment(value string) string {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, value); err == nil {
			return stampTime(t)
		}
	}
	return value
}
