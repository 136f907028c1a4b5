package inbound

import "fmt"

// Directory is the tenant's users as the service finds and writes them: always as they were written last, whatever readers are shown.
// Its errors on writing are *Refusal where the tenant refuses the value.
type Directory interface {
	// ByEmployeeID lists the living users with this employeeId.
	ByEmployeeID(id string) []User
	// ByID gives a living user.
	ByID(id string) (User, bool)
	// Create makes a user with a random password that nobody learns. Properties are Graph's.
	Create(properties map[string]any) (User, error)
	// Update changes properties of a user, by their names in Graph.
	Update(id string, changes map[string]any) error
	// SetManager makes somebody a user's manager.
	SetManager(id, manager string) error
	// Target says what an attribute of a sender's own schema flows into; ok is false if nothing has its name.
	Target(attribute, value string) (flow Flow, ok bool)
}

// Flow is a value on its way into a property, or into a field of one.
type Flow struct{ Property, Field, Value string }

// User is one user of the tenant.
type User struct {
	ID         string
	Properties map[string]any // Graph's: string, bool, []string, map[string]any
	Manager    string         // id, or ""
}

func (u User) text(property string) string {
	s, _ := u.Properties[property].(string)
	return s
}

// fed reports whether a directory is the source of a user: it is synchronized, or carries the source anchor of whoever feeds it.
func (u User) fed() bool {
	synced, _ := u.Properties["onPremisesSyncEnabled"].(bool)
	return synced || u.text("onPremisesImmutableId") != ""
}

// Refusal is why the tenant does not take a value.
type Refusal struct {
	Code     string // ObjectConflict, InvalidValue, MissingValue
	Property string // Graph's name; "" if it is about the object
	Message  string
}

// Error gives the tenant's words.
func (r *Refusal) Error() string {
	if r.Property == "" {
		return r.Message
	}
	return fmt.Sprintf("%s (%s)", r.Message, r.Property)
}
