package tenant

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// lab serves the lab's own door, /lab/…, behind the lab token:
//
//	GET    /lab/state[?natural=1]        everything, canonical
//	GET    /lab/requests                 the log of writes, and counters
//	POST   /lab/reset-counters
//	GET    /lab/faults                   faults in force, with how often they struck
//	POST   /lab/faults                   one Fault, or an array of them
//	DELETE /lab/faults[/{id}]
//	POST   /lab/settings                 {readLagMillis, throttling (bool or Limits), tokenLifeSeconds, passwordLifeSeconds, serviceLimits (bool),
//	                                     permissions (a list; null is all), provisioning {cycleMillis, logMillis}}
//	POST   /lab/expire-delta-tokens
//	POST   /lab/revoke-tokens            every access token given out is refused from now on
//	POST   /lab/run-ghosts               late effects happen now
//	POST   /lab/objects                  {kind, properties, members}: any object, see Model.Seed
//	PATCH  /lab/objects/{id}             any property, such as onPremisesSyncEnabled
//	POST   /lab/groups/{id}/members      {member}: also of synced groups
//	POST   /lab/roles                    {principalId, roleId, eligible}
//	DELETE /lab/roles/{id}
//	POST   /lab/extensions               {appId, name}: registers a text extension of users, and gives its name
//	GET    /lab/contacts[?sourceAnchor=]  all contacts with their anchors
//	GET    /lab/credentials/{id}         {changedAt, by, mustChange, log, number} of the credential handed in last; 404 without one
//	POST   /lab/sspr/change|reset|unlock {user, oldPassword, newPassword}: what people do in the portal, see portal.go
//	POST   /lab/writeback-faults         one WritebackFault
//	DELETE /lab/writeback-faults
//	GET    /lab/writeback-events         the events of password writeback, without passwords
//
// With the application's token instead of the lab's, the same address serves what Microsoft's engines do through interfaces of their own: see doorRoutes.
func (f *front) lab(w http.ResponseWriter, r *http.Request) {
	if !f.isLab(r) {
		writeError(w, r, &Error{Status: http.StatusUnauthorized, Code: "InvalidAuthenticationToken", Message: "The lab's door needs the lab token as a bearer."})
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		writeError(w, r, err)
		return
	}
	f.settle()
	out, err := f.labAct(r, body)
	switch {
	case err != nil:
		writeError(w, r, err)
	case out == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		sendJSON(w, http.StatusOK, out)
	}
}

// isLab reports whether a request carries the lab's own token.
func (f *front) isLab(r *http.Request) bool {
	return subtle.ConstantTimeCompare([]byte(bearer(r)), []byte(f.labToken)) == 1
}

type labAction func(f *front, r *http.Request, arg string, body []byte) (any, error)

var labActions = map[string]labAction{
	"GET state": func(f *front, r *http.Request, _ string, _ []byte) (any, error) {
		f.runGhosts(false)
		return f.model.State(r.URL.Query().Get("natural") != ""), nil
	},
	"GET requests": func(f *front, _ *http.Request, _ string, _ []byte) (any, error) {
		records, counters := f.log.read()
		return map[string]any{"requests": append([]RequestRecord{}, records...), "counters": counters, "pendingGhosts": f.ghosts.pending()}, nil
	},
	"POST reset-counters": func(f *front, _ *http.Request, _ string, _ []byte) (any, error) { f.log.reset(); return nil, nil },
	"GET faults":          func(f *front, _ *http.Request, _ string, _ []byte) (any, error) { return f.faults.report(), nil },
	"POST faults":         labFaults,
	"DELETE faults":       func(f *front, _ *http.Request, id string, _ []byte) (any, error) { f.faults.clear(id); return nil, nil },
	"POST settings":       labSettings,
	"POST expire-delta-tokens": func(f *front, _ *http.Request, _ string, _ []byte) (any, error) {
		f.model.ExpireDeltaTokens()
		return nil, nil
	},
	"POST revoke-tokens": func(f *front, _ *http.Request, _ string, _ []byte) (any, error) {
		f.tokens.revokeAll()
		return nil, nil
	},
	"POST run-ghosts": func(f *front, _ *http.Request, _ string, _ []byte) (any, error) {
		return map[string]any{"run": f.runGhosts(true)}, nil
	},
	"POST extensions": func(f *front, _ *http.Request, _ string, body []byte) (any, error) {
		var in struct {
			AppID string `json:"appId"`
			Name  string `json:"name"`
		}
		if err := decode(body, &in); err != nil {
			return nil, err
		}
		return map[string]any{"name": f.model.RegisterExtension(in.AppID, in.Name)}, nil
	},
	"GET contacts": func(f *front, r *http.Request, _ string, _ []byte) (any, error) {
		out, err := listContacts(f, &call{query: r.URL.Query()})
		return out.body, err
	},
	"POST objects":  labSeed,
	"PATCH objects": labSeedUpdate,
	"POST groups":   labMember,
	"POST roles":    labRole,
	"GET ": func(*front, *http.Request, string, []byte) (any, error) {
		return map[string]any{"doors": doorNames}, nil
	},
	"GET credentials": func(f *front, _ *http.Request, id string, _ []byte) (any, error) {
		f.runGhosts(false)
		return f.model.Credential(id)
	},
	"POST sspr":               labPortal,
	"POST writeback-faults":   labWritebackFault,
	"DELETE writeback-faults": labClearWritebackFaults,
	"GET writeback-events": func(f *front, _ *http.Request, _ string, _ []byte) (any, error) {
		return map[string]any{"events": f.relay.records(f.model.now())}, nil
	},
	"DELETE roles": func(f *front, _ *http.Request, id string, _ []byte) (any, error) { return nil, f.model.RevokeRole(id) },
}

func (f *front) labAct(r *http.Request, body []byte) (any, error) {
	name, arg, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/lab/"), "/")
	act := labActions[r.Method+" "+name]
	if act == nil && atDoor(strings.TrimPrefix(r.URL.Path, "/lab")) {
		return nil, denied(r.Method + " /lab/" + name + " takes the application's access token, not the lab's.")
	}
	if act == nil {
		return nil, &Error{Status: http.StatusNotFound, Code: "ResourceNotFound", Message: "The lab has no " + r.Method + " /lab/" + name + "."}
	}
	return act(f, r, arg, body)
}

func decode(body []byte, into any) error {
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return plainBadRequest("Reading the lab request: " + err.Error())
	}
	return nil
}

func labFaults(f *front, _ *http.Request, _ string, body []byte) (any, error) {
	var list []Fault
	if strings.HasPrefix(strings.TrimSpace(string(body)), "[") {
		if err := decode(body, &list); err != nil {
			return nil, err
		}
	} else {
		list = make([]Fault, 1)
		if err := decode(body, &list[0]); err != nil {
			return nil, err
		}
	}
	ids := []string{}
	for _, t := range list {
		id, err := f.faults.add(t)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return map[string]any{"ids": ids}, nil
}

func labSettings(f *front, _ *http.Request, _ string, body []byte) (any, error) {
	var in struct {
		ReadLagMillis    *int64          `json:"readLagMillis"`
		TokenLifeSeconds *int64          `json:"tokenLifeSeconds"`
		Throttling       json.RawMessage `json:"throttling"`

		PasswordLifeSeconds *int64 `json:"passwordLifeSeconds"`

		inboundSettings
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if in.ReadLagMillis != nil {
		f.model.SetReadLag(time.Duration(*in.ReadLagMillis) * time.Millisecond)
	}
	if in.TokenLifeSeconds != nil {
		f.tokens.setLife(time.Duration(*in.TokenLifeSeconds) * time.Second)
	}
	if in.PasswordLifeSeconds != nil {
		f.model.SetPasswordValidity(time.Duration(*in.PasswordLifeSeconds) * time.Second)
	}
	if err := f.setInbound(in.inboundSettings); err != nil {
		return nil, err
	}
	if in.Throttling == nil {
		return nil, nil
	}
	limits := Limits{}
	switch string(in.Throttling) {
	case "true":
		limits = EntraLimits()
	case "false":
	default:
		if err := decode(in.Throttling, &limits); err != nil {
			return nil, err
		}
	}
	f.throttle.set(limits, f.model.now())
	return nil, nil
}

// inboundSettings are those of what HR systems do.
type inboundSettings struct {
	ServiceLimits *bool           `json:"serviceLimits"`
	Permissions   json.RawMessage `json:"permissions"`
	Provisioning  *struct {
		CycleMillis int64 `json:"cycleMillis"`
		LogMillis   int64 `json:"logMillis"`
	} `json:"provisioning"`
}

func (f *front) setInbound(in inboundSettings) error {
	if in.Permissions != nil {
		var names []string
		if err := decode(in.Permissions, &names); err != nil {
			return err
		}
		f.granted.set(names != nil, names)
	}
	if in.ServiceLimits != nil {
		f.services.set(*in.ServiceLimits, f.model.now())
	}
	if p := in.Provisioning; p != nil {
		f.inbound.SetDelays(asked(p.CycleMillis), asked(p.LogMillis))
	}
	return nil
}

// asked is a delay that somebody asked for: 0 is none, and not the default.
func asked(millis int64) time.Duration {
	if millis == 0 {
		return -1
	}
	return time.Duration(millis) * time.Millisecond
}

func labSeed(f *front, _ *http.Request, _ string, body []byte) (any, error) {
	var in struct {
		Kind       Kind           `json:"kind"`
		Properties map[string]any `json:"properties"`
		Members    []string       `json:"members"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	o, err := f.model.Seed(in.Kind, in.Properties)
	if err != nil {
		return nil, err
	}
	for _, member := range in.Members {
		if err := f.model.SeedMember(o.ID, member); err != nil {
			return nil, err
		}
	}
	return map[string]any{"id": o.ID}, nil
}

func labSeedUpdate(f *front, _ *http.Request, id string, body []byte) (any, error) {
	var properties map[string]any
	if err := decode(body, &properties); err != nil {
		return nil, err
	}
	return nil, f.model.SeedUpdate(id, properties)
}

func labMember(f *front, _ *http.Request, arg string, body []byte) (any, error) {
	var in struct {
		Member string `json:"member"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	return nil, f.model.SeedMember(strings.TrimSuffix(arg, "/members"), in.Member)
}

func labRole(f *front, _ *http.Request, _ string, body []byte) (any, error) {
	var in struct {
		PrincipalID string `json:"principalId"`
		RoleID      string `json:"roleId"`
		Eligible    bool   `json:"eligible"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	a, err := f.model.AssignRole(in.PrincipalID, in.RoleID, in.Eligible)
	return map[string]any{"id": a.ID}, err
}
