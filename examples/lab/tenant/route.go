package tenant

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// route is one operation of Graph that the tenant serves.
type route struct {
	method  string
	pattern []string // {} takes any segment
	units   int      // resource units, before modifiers
	write   bool
	serve   func(*front, *call) (reply, error)
	who     callers

	permissions []string // one of them is needed of an application; none is no question
	roles       []string // one of them is needed of a person, by template id
	limited     service  // whose own limits count; "" is none's
}

// callers says whose tokens an operation takes.
type callers uint8

const (
	applications callers = iota
	people               // who signed in themselves
	anybody
)

func get(pattern string, units int, serve func(*front, *call) (reply, error)) route {
	return route{method: http.MethodGet, pattern: strings.Split(pattern, "/"), units: units, serve: serve}
}

func writes(method, pattern string, serve func(*front, *call) (reply, error)) route {
	return route{method: method, pattern: strings.Split(pattern, "/"), units: 1, write: true, serve: serve}
}

// asks is a POST that reads.
func asks(pattern string, units int, serve func(*front, *call) (reply, error)) route {
	return route{method: http.MethodPost, pattern: strings.Split(pattern, "/"), units: units, serve: serve}
}

// by is the route for other callers than applications.
func (r route) by(who callers) route {
	r.who = who
	return r
}

// allowed is the route for applications with one of the permissions, and for people with one of the roles.
func (r route) allowed(permissions, roles []string) route {
	r.who, r.permissions, r.roles = anybody, permissions, roles
	return r
}

// under is the route of a service that has limits of its own.
func (r route) under(s service) route {
	r.limited = s
	return r
}

func denied(message string) *Error {
	return &Error{Status: http.StatusForbidden, Code: "Authorization_RequestDenied", Message: message}
}

func (r *route) match(segments []string) (args []string, ok bool) {
	if len(segments) != len(r.pattern) {
		return nil, false
	}
	for i, p := range r.pattern {
		switch {
		case p == "{}":
			args = append(args, segments[i])
		case !strings.EqualFold(p, segments[i]):
			return nil, false
		}
	}
	return args, true
}

// keyed is a segment with its key in parentheses: users('id'), groups(uniqueName='x').
var keyed = regexp.MustCompile(`^([A-Za-z]+)\((?:([A-Za-z]+)=)?'(.*)'\)$`)

// bare are the functions and casts that may carry a namespace and empty parentheses.
var bare = map[string]bool{"user": true, "group": true, "orgcontact": true, "directoryrole": true, "serviceprincipal": true, "delta": true,
	"restore": true, "getbyids": true, "getavailableextensionproperties": true, "getmembergroups": true, "getmemberobjects": true, "checkmembergroups": true,
	"checkmemberobjects": true}

// segments splits a path below the version into decoded segments, keys apart from their collections.
func segments(path string) []string {
	var out []string
	for _, raw := range strings.Split(strings.Trim(path, "/"), "/") {
		s, err := url.PathUnescape(raw)
		if err != nil {
			s = raw
		}
		if m := keyed.FindStringSubmatch(s); m != nil {
			name := m[1]
			if m[2] != "" && !strings.EqualFold(m[2], "id") {
				name += "(" + m[2] + ")"
			}
			out = append(out, name, strings.ReplaceAll(m[3], "''", "'"))
			continue
		}
		out = append(out, unqualified(s))
	}
	return out
}

func unqualified(s string) string {
	name := strings.TrimSuffix(s, "()")
	name = strings.TrimPrefix(strings.TrimPrefix(name, "microsoft."), "graph.")
	if bare[strings.ToLower(name)] {
		return name
	}
	return s
}

// routeFor finds a call's operation; the error is what Graph says of an unknown path or a wrong method.
func routeFor(c *call) (*route, error) {
	parts := segments(c.path)
	known := false
	served := routes
	if c.lab {
		served = doorRoutes
	}
	for i := range served {
		r := &served[i]
		args, ok := r.match(parts)
		if !ok {
			continue
		}
		if known = true; r.method == c.method {
			c.args = args
			return r, nil
		}
	}
	if known {
		return nil, &Error{Status: http.StatusMethodNotAllowed, Code: "Request_BadRequest", Message: "Specified HTTP method is not allowed for the request target."}
	}
	return nil, plainBadRequest("Resource not found for the segment '" + parts[len(parts)-1] + "'.")
}

// routes holds every operation; the first match counts. init breaks the cycle with $batch, which routes its parts.
var routes []route

func init() {
	routes = append(routes, asks("$batch", 0, batch).by(anybody))
	routes = append(routes, objectRoutes("users", User)...)
	routes = append(routes, managerRoutes("users", User)...)
	routes = append(routes, userRoutes...)
	routes = append(routes, personRoutes...)
	routes = append(routes, objectRoutes("groups", Group)...)
	routes = append(routes, groupRoutes...)
	routes = append(routes, managerRoutes("contacts", Contact)...)
	routes = append(routes, objectRoutes("contacts", Contact)...)
	routes = append(routes, objectRoutes("servicePrincipals", ServicePrincipal)...)
	routes = append(routes, directoryRoutes...)
	routes = append(routes, roleRoutes...)
	routes = append(routes, inboundRoutes...)
}
