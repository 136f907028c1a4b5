package agent

import (
	"bytes"
	"context"
	"slices"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/passwordhash"
	"github.com/tandem-sync/tandem/scoping"
)

// passwords answers a request for passwords. The controller is read with the account for that, in a connection of its own.
func passwords(ctx context.Context, r *reader, request *linepb.Request, p *parts) (*linepb.End, error) {
	is := request.GetPasswords()
	q := passwordhash.Query{Controller: request.Controller, Since: is.Since, Credentials: is.Credentials}
	if q.Controller != "" && !slices.Contains(r.connection.URLs, q.Controller) {
		return nil, errController
	}
	if request.AsOf != nil {
		invocation, err := scoping.GUIDFromBytes(request.AsOf.Invocation)
		if err != nil {
			return nil, errRequest
		}
		q.AsOf = &directory.AsOf{Invocation: invocation, USN: request.AsOf.Usn}
	}
	if is.Named {
		guids, err := line.Unpack(is.Guids)
		if err != nil {
			return nil, err
		}
		q.Objects = append([]scoping.GUID{}, guids...)
	}
	reading, err := r.passwords.Read(ctx, q, func(at passwordhash.Reading) error {
		return p.send(&linepb.Part{Is: &linepb.Part_Start{Start: &linepb.Start{Invocation: at.DC[:], Usn: at.USN, Reached: request.AsOf != nil}}})
	}, p.users)
	return &linepb.End{Cookie: reading.Since}, err
}

// users sends what was read of passwords, and clears its credentials. What gRPC copied is not reached.
func (p *parts) users(users []passwordhash.User) error {
	out := make([]*linepb.User, len(users))
	for i, u := range users {
		out[i] = &linepb.User{Guid: u.GUID[:], Gone: u.Gone, Reason: u.Reason, MustChange: u.MustChange, Version: u.Stamp.Version, Changed: u.Stamp.Changed.Unix(),
			Invocation: u.Stamp.Invocation[:], Usn: u.Stamp.USN}
		_ = u.Credential.Use(func(b []byte) error { // without one there is none
			out[i].Credential = bytes.Clone(b)
			return nil
		})
		u.Credential.Wipe()
	}
	defer func() {
		for _, u := range out {
			clear(u.Credential)
		}
	}()
	return p.send(&linepb.Part{Is: &linepb.Part_Users{Users: &linepb.Users{Users: out}}})
}
