package lab

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/plugins/secret"
)

// Object is a living or deleted object of the lab's tenant.
type Object = tenant.StateObject

// Objects gives the tenant's living users and groups under the key that ties each to the directory: a user's onPremisesImmutableId, a group's
// uniqueName; for objects without one their display name. The lab's own administrator and the group of whom HR hired are not among them. Two objects under one key are an error: one of them is a duplicate.
func (l *Lab) Objects() (map[string]Object, error) {
	out := map[string]Object{}
	for _, o := range l.Model.State(false).Objects {
		if o.Deleted || o.ID == l.admin.id || o.ID == l.hired || (o.Kind != tenant.User && o.Kind != tenant.Group) {
			continue
		}
		k := Text(o, "onPremisesImmutableId")
		if o.Kind == tenant.Group {
			k = Text(o, "uniqueName")
		}
		if k == "" {
			k = Text(o, "displayName")
		}
		k = string(o.Kind) + " " + k
		if before, ok := out[k]; ok {
			return nil, fmt.Errorf("the tenant has two objects for %s: %s and %s", k, before.ID, o.ID)
		}
		out[k] = o
	}
	return out, nil
}

// Users are the tenant's users at one moment. To ask the tenant for all of them once a person would take minutes with some thousand people.
type Users struct {
	living  map[string]Object // by sign-in name in lower case
	deleted []Object
}

// Users lists the tenant's users as they are now.
func (l *Lab) Users() Users {
	us := Users{living: map[string]Object{}}
	for _, x := range l.Model.State(false).Objects {
		switch {
		case x.Kind != tenant.User:
		case x.Deleted:
			us.deleted = append(us.deleted, x)
		default:
			us.living[strings.ToLower(Text(x, "userPrincipalName"))] = x
		}
	}
	return us
}

// Named finds a user by sign-in name: a living one, or else a deleted one. Entra puts a deleted user's id before its name.
func (us Users) Named(upn string) (o Object, found bool) {
	upn = strings.ToLower(upn)
	if o, found = us.living[upn]; found {
		return o, true
	}
	for _, x := range us.deleted {
		if strings.HasSuffix(strings.ToLower(Text(x, "userPrincipalName")), upn) {
			o, found = x, true
		}
	}
	return o, found
}

// User finds a user of the tenant by sign-in name: a living one, or else a deleted one.
func (l *Lab) User(upn string) (o Object, found bool) { return l.Users().Named(upn) }

// Text gives a property's text, "" when there is none.
func Text(o Object, property string) string {
	s, _ := o.Properties[property].(string)
	return s
}

// Writes counts the requests to write that the tenant has seen since it began.
func (l *Lab) Writes() int64 {
	_, c := l.Tenant.Requests()
	return c.Writes
}

// SignIn signs a person in to the tenant with a password, and returns why that is refused.
func (l *Lab) SignIn(upn, password string) error {
	_, err := l.Model.SignIn(upn, secret.Take([]byte(password)))
	return err
}

// SignInDirectory signs a person in to the directory with a password, and returns why that is refused.
func (l *Lab) SignInDirectory(upn, password string) error {
	c, err := l.dial()
	if err != nil {
		return err
	}
	return errors.Join(c.Bind(upn, password), c.Close())
}

// PasswordBy returns which engine handed over the password that the tenant has of a person.
func (l *Lab) PasswordBy(upn string) (string, error) {
	c, err := l.Model.Credential(upn)
	return c.By, err
}

// EncodePassword returns a password in the form in which a directory takes it as unicodePwd.
func EncodePassword(password string) string { return directory.EncodePassword(password) }
