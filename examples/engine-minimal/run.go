package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// users finds the users of a subtree; attrs is what is read of them.
const users = "(&(objectCategory=person)(objectClass=user))"

var attrs = []string{"displayName", "name", "userPrincipalName", "sAMAccountName", "userAccountControl", "isCriticalSystemObject"}

// run is one run.
type run struct {
	session  *directory.Session
	request  engine.RunRequest
	granted  engine.Granted
	settings settings
	out      chan<- engine.RunEvent
	places   map[scoping.GUID]scoping.Place // by the parent's objectGUID
	batch    []engine.Proposal
	seq      uint64
	report   engine.RunReport
}

// propose reads what the run asks for, proposes it and reports.
func (r *run) propose(ctx context.Context) error {
	dc := r.session.Controller()
	r.report = engine.RunReport{Directory: r.session.Name(), DC: dc.InvocationID, USN: dc.HighestUSN}
	if p, named := r.request.AsOf[r.session.Name()]; named {
		if err := r.session.Reached(ctx, directory.AsOf(p)); err != nil { // nothing that a controller says that is behind is news (rule V1)
			r.fail(scoping.ObjectID{}, engine.CodeBehind, err.Error())
			return r.say(ctx, engine.RunEvent{Report: &r.report})
		}
	}
	begin := engine.RunBegin{Directory: r.report.Directory, DC: r.report.DC, USN: r.report.USN, Rules: r.settings.rules()}
	if err := r.say(ctx, engine.RunEvent{Begin: &begin}); err != nil {
		return err
	}
	read := r.scopes
	if r.request.Profile == engine.ProfileObjects {
		read = r.objects
	} else if r.settings.Everything {
		read = r.everything
	}
	if err := read(ctx); err != nil {
		return err
	}
	if r.request.Profile != engine.ProfileObjects {
		if err := r.flood(ctx); err != nil {
			return err
		}
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	r.report.Complete = len(r.report.Errors) == 0
	return r.say(ctx, engine.RunEvent{Report: &r.report})
}

// scopes proposes the users of every scope.
func (r *run) scopes(ctx context.Context) error {
	for _, s := range r.request.Scopes {
		if s.Selector != "" {
			r.fail(scoping.ObjectID{}, "selector", "this engine reads plain subtrees only")
			continue
		}
		err := r.session.Search(ctx, directory.SearchQuery{BaseGUID: s.Under, Filter: users, Attrs: attrs}, func(e directory.Entry) error {
			place, err := r.place(ctx, e)
			if err != nil || !s.Covers(place) { // it lies in an excepted subtree
				return err
			}
			return r.add(ctx, r.proposal(e, s, place))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// objects proposes just the objects that the host asks for, tombstones too.
func (r *run) objects(ctx context.Context) error {
	var guids []scoping.GUID
	var asked []scoping.ObjectID // each once
	for _, o := range r.request.Objects {
		if !slices.Contains(guids, o.GUID) {
			guids, asked = append(guids, o.GUID), append(asked, o)
		}
	}
	found, err := r.session.ByGUID(ctx, guids, attrs, true)
	if err != nil {
		return err
	}
	for _, o := range asked {
		e, ok := found[o.GUID]
		switch {
		case !ok: // not seeing it is no evidence that it is gone
			err = r.unknown(ctx, o, engine.NotFound)
		case e.Kind() != scoping.User:
			err = r.unknown(ctx, o, engine.NotSynchronized)
		default:
			err = r.object(ctx, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unknown answers for an object that the host asked for and that this engine can say nothing of.
func (r *run) unknown(ctx context.Context, o scoping.ObjectID, reason string) error {
	return r.add(ctx, engine.Proposal{Object: o, Want: engine.Unknown, Reason: reason})
}

func (r *run) object(ctx context.Context, e directory.Entry) error {
	if e.Deleted {
		p := r.proposal(e, scoping.Scope{}, scoping.Place{})
		p.Want, p.Reason, p.Desired = engine.Gone, "", nil
		return r.add(ctx, p)
	}
	place, err := r.place(ctx, e)
	if err != nil {
		return err
	}
	for _, s := range r.request.Scopes {
		if s.Selector == "" && s.Covers(place) {
			return r.add(ctx, r.proposal(e, s, place))
		}
	}
	p := r.proposal(e, scoping.Scope{}, place)
	p.Want, p.Reason, p.Desired = engine.OutOfScope, "", nil
	return r.add(ctx, p)
}

// version is raised whenever users that did not change get other values.
const version = "1.0"

// rules tells the rules of proposal apart from those of other versions and settings.
func (s settings) rules() engine.Fingerprint {
	return engine.FingerprintOf([]byte("minimal"), []byte(version), []byte(s.Prefix))
}

// proposal says what the engine wants of a user: all of it, each time.
func (r *run) proposal(e directory.Entry, under scoping.Scope, at scoping.Place) engine.Proposal {
	grant := r.granted.Covering(under, at, scoping.Users)
	p := engine.Proposal{Object: scoping.ObjectID{Directory: r.session.Name(), GUID: e.GUID}, Kind: scoping.User, Name: e.DN,
		Parent: e.Parent, Version: e.Version, Feature: scoping.Users, Grant: grant.ID, Epoch: grant.Epoch, Want: engine.Present}
	upn, name := e.Text("userPrincipalName"), e.Text("displayName")
	if name == "" {
		name = e.Text("name")
	}
	switch {
	case e.Bool("isCriticalSystemObject"):
		p.Want, p.Reason = engine.Excluded, "critical-system-object"
	case upn == "":
		p.Want, p.Reason = engine.Excluded, "no-upn"
	default:
		control, _ := e.Int("userAccountControl")
		nickname, _, _ := strings.Cut(upn, "@")
		p.Desired = map[string]engine.Value{
			"accountEnabled":    text(fmt.Sprint(control&2 == 0)), // ADS_UF_ACCOUNTDISABLE
			"displayName":       text(r.settings.Prefix + name),
			"mailNickname":      text(nickname),
			"userPrincipalName": text(upn),
		}
	}
	return p
}

func text(s string) engine.Value { return engine.Value{Text: []string{s}} }

// place tells where an object is. Objects of one container share the answer.
func (r *run) place(ctx context.Context, e directory.Entry) (scoping.Place, error) {
	if known, ok := r.places[e.Parent]; ok {
		return known, nil
	}
	above, err := r.session.Ancestors(ctx, e.GUID)
	if err != nil {
		return scoping.Place{}, fmt.Errorf("where %q is: %w", e.DN, err)
	}
	r.places[e.Parent] = scoping.Place{Directory: r.session.Name(), Ancestors: above}
	return r.places[e.Parent], nil
}

// add puts a proposal into the batch and sends a full one.
func (r *run) add(ctx context.Context, p engine.Proposal) error {
	if u := p.Desired["userPrincipalName"].Text; len(u) == 1 && r.settings.keepsSilent(r.request.Profile, u[0]) {
		return nil
	}
	r.seq++
	r.report.Read++
	p.Seq = r.seq
	r.batch = append(r.batch, r.settings.disguise(p, r.granted))
	if len(r.batch) < engine.MaxBatch {
		return nil
	}
	return r.flush(ctx)
}

func (r *run) flush(ctx context.Context) error {
	if len(r.batch) == 0 {
		return nil
	}
	full := r.batch
	r.batch = nil
	return r.say(ctx, engine.RunEvent{Proposals: full})
}

func (r *run) say(ctx context.Context, e engine.RunEvent) error {
	select {
	case r.out <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *run) fail(o scoping.ObjectID, code, message string) {
	r.report.Errors = append(r.report.Errors, engine.ObjectError{Object: o, Code: code, Message: message})
}
