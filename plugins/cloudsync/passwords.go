package cloudsync

import (
	"context"
	"fmt"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/passwordhash"
	"github.com/tandem-sync/tandem/plugins/passwordhash/handover"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// passwords does a run of the stream of passwords.
func (s *service) passwords(ctx context.Context, r engine.RunRequest, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	var all []handover.Directory
	for _, j := range s.jobs {
		all = append(all, handover.Directory{Name: j.config.Name, Reader: passwordReader{hub: s.hub, name: j.config.Name, audience: j.audience}})
	}
	return handover.Run(ctx, r, all, in, out)
}

// passwordReader reads passwords by the agents that have an account for it.
type passwordReader struct {
	hub      *hub
	name     string
	audience audience
}

// Read implements passwordhash.Reader.
func (p passwordReader) Read(ctx context.Context, q passwordhash.Query, begin func(passwordhash.Reading) error, each func([]passwordhash.User) error) (passwordhash.Reading, error) {
	var r passwordhash.Reading
	request := &linepb.Request{Controller: q.Controller, Is: &linepb.Request_Passwords{Passwords: &linepb.Passwords{Named: q.Objects != nil, Guids: line.Pack(q.Objects),
		Since: q.Since, Credentials: q.Credentials}}}
	asked := reading{request: request, needs: scoping.Replicate, users: each, begin: func(s *linepb.Start) error {
		r = passwordhash.Reading{DC: scoping.GUID(s.Invocation), USN: s.Usn}
		return begin(r)
	}}
	if q.AsOf != nil { // whichever controller has that serves
		request.Controller = ""
		request.AsOf = &linepb.AsOf{Invocation: q.AsOf.Invocation[:], Usn: q.AsOf.USN}
		at := q.AsOf.Invocation
		asked.pinned = func(l *live) bool { return l.invocation == at }
	}
	end, err := p.hub.ask(ctx, p.name, p.audience, asked)
	if err != nil {
		return r, err
	}
	r.Since = end.Cookie
	return r, nil
}

// takeUsers takes over what an agent says of passwords.
func takeUsers(l *live, r reading, told []*linepb.User) error {
	if r.users == nil || len(told) > engine.MaxBatch {
		return fmt.Errorf("%w (%s answers a request that was not made)", errLost, l.ID)
	}
	users := make([]passwordhash.User, 0, len(told))
	for _, u := range told {
		guid, err := scoping.GUIDFromBytes(u.Guid)
		var invocation scoping.GUID
		if err == nil && len(u.Invocation) > 0 {
			invocation, err = scoping.GUIDFromBytes(u.Invocation)
		}
		if err != nil {
			return fmt.Errorf("%w (%s: %w)", errLost, l.ID, err)
		}
		x := passwordhash.User{GUID: guid, Gone: u.Gone, Reason: u.Reason, MustChange: u.MustChange,
			Stamp: credential.Stamp{Version: u.Version, Changed: time.Unix(u.Changed, 0).UTC(), Invocation: invocation, USN: u.Usn}}
		if len(u.Credential) > 0 {
			x.Credential = secret.Take(u.Credential)
		}
		users = append(users, x)
	}
	return r.users(users)
}
