package tenant

import (
	"net/http"
	"slices"
	"strings"
	"sync"
)

// grants are the application permissions that the application has. The tenant asks for them only where an operation names some.
type grants struct {
	mu    sync.Mutex
	some  bool // only names; otherwise everything is granted
	names []string
}

func (g *grants) set(some bool, names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.some, g.names = some, slices.Clone(names)
}

func (g *grants) cover(needed []string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.some || len(needed) == 0 || slices.ContainsFunc(needed, func(n string) bool { return slices.Contains(g.names, n) })
}

// admits returns an error if the operation does not take the caller: a person's token is never the application's, and gives only
// the rights that the operation finds in the person's roles.
func (f *front) admits(r *route, c *call) error {
	switch {
	case r.who != anybody && (r.who == people) != (c.person != ""):
		return denied("Insufficient privileges to complete the operation.")
	case c.person == "" && !f.granted.cover(r.permissions):
		return lacking(r.permissions)
	case c.person != "" && len(r.roles) > 0:
		held, err := f.rolesOf(c.person)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(held, func(h Role) bool { return slices.Contains(r.roles, h.TemplateID) }) {
			return denied("Insufficient privileges to complete the operation.")
		}
	}
	return nil
}

// lacking is what reports, and here every operation that names permissions, say to an application without them.
func lacking(permissions []string) *Error {
	return &Error{Status: http.StatusForbidden, Code: "Authentication_MSGraphPermissionMissing",
		Message: "The principal does not have required Microsoft Graph permission(s): " + strings.Join(permissions, ",") + " to call this API."}
}
