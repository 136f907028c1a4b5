package lab

import (
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
)

// Object is a living or deleted object of the lab's tenant.
type Object = tenant.StateObject

// Objects gives the tenant's living users and groups under the key that ties each to the directory: a user's onPremisesImmutableId, a group's
// uniqueName; for objects without one their display name. Two objects under one key are an error: one of them is a duplicate.
func (l *Lab) Objects() (map[string]Object, error) {
	out := map[string]Object{}
	for _, o := range l.Model.State(false).Objects {
		if o.Deleted || (o.Kind != tenant.User && o.Kind != tenant.Group) {
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

// User finds a user of the tenant by sign-in name: a living one, or else a deleted one.
func (l *Lab) User(upn string) (o Object, found bool) {
	for _, x := range l.Model.State(false).Objects {
		if x.Kind != tenant.User || !matches(Text(x, "userPrincipalName"), upn, x.Deleted) {
			continue
		}
		if !x.Deleted {
			return x, true
		}
		o, found = x, true
	}
	return o, found
}

// matches compares sign-in names; Entra puts a deleted user's id before it.
func matches(have, want string, deleted bool) bool {
	have, want = strings.ToLower(have), strings.ToLower(want)
	return have == want || deleted && strings.HasSuffix(have, want)
}

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
