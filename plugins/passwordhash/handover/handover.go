// Package handover serves stream engine.Passwords of an engine over Readers of package passwordhash.
package handover

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/drsr"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/passwordhash"
	"github.com/tandem-sync/tandem/scoping"
)

// Directory is one whose passwords are read in a run.
type Directory struct {
	Name   string
	Reader passwordhash.Reader
}

// Run serves a run of stream engine.Passwords, as engine.Engine says: it proposes by stamps, and what the host wants of that once more with its credential.
// Directories that the request does not name are left alone.
func Run(ctx context.Context, r engine.RunRequest, all []Directory, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &stream{request: r, out: out, decided: make(chan []engine.Decision)}
	go engine.Relay(ctx, in, s.decided)
	err := s.run(ctx, named(r, all))
	if err != nil {
		cancel(err)
	}
	for range s.decided { // until the host has decided everything, and Relay has ended
	}
	return err
}

// named returns the directories that a request names, in the order in which they are configured.
func named(r engine.RunRequest, all []Directory) (out []Directory) {
	names := map[string]bool{}
	for _, s := range r.Scopes {
		names[s.Directory] = r.Profile != engine.ProfileObjects
	}
	if r.Profile == engine.ProfileObjects {
		for _, o := range r.Objects {
			names[o.Directory] = true
		}
	}
	for _, d := range all {
		if names[d.Name] {
			out = append(out, d)
		}
	}
	return out
}

// stream is one run.
type stream struct {
	request engine.RunRequest
	out     chan<- engine.RunEvent
	decided chan []engine.Decision
	seq     uint64
}

func (s *stream) send(ctx context.Context, e engine.RunEvent) error {
	select {
	case s.out <- e:
		return nil
	case <-ctx.Done():
		for _, p := range e.Proposals {
			p.Password.Wipe()
		}
		return context.Cause(ctx)
	}
}

func (s *stream) run(ctx context.Context, ds []Directory) error {
	if len(ds) == 0 {
		return s.send(ctx, engine.RunEvent{Report: &engine.RunReport{Complete: true}})
	}
	for i, d := range ds {
		report, err := s.directory(ctx, d)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		report.Directory, report.More = d.Name, i < len(ds)-1
		if err != nil {
			report.Since = nil
			report.Errors = append(report.Errors, engine.ObjectError{Code: codeOf(err), Message: err.Error()})
		}
		report.Complete = err == nil
		if err := s.send(ctx, engine.RunEvent{Report: &report}); err != nil {
			return err
		}
	}
	return nil
}

// coded is an error that came over a wire, with its code; "" if it is none of passwords.
type coded interface{ PasswordCode() string }

// CodeOf names what kept passwords from being read, for programs.
func CodeOf(err error) string { return codeOf(err) }

// codeOf names what kept a directory's passwords from being read.
func codeOf(err error) string {
	var e *drsr.Error
	var c coded
	switch {
	case errors.Is(err, passwordhash.ErrNoAccount):
		return "no-account"
	case errors.Is(err, directory.ErrBehind), errors.Is(err, directory.ErrUnproved):
		return engine.CodeBehind
	case errors.As(err, &e):
		return string(e.Code)
	case errors.As(err, &c) && c.PasswordCode() != "":
		return c.PasswordCode()
	case errors.Is(err, directory.ErrCredentials):
		return "credentials"
	case errors.Is(err, directory.ErrUnreachable):
		return "unreachable"
	}
	return "passwords-unread"
}

// directory proposes what there is to say of one directory.
func (s *stream) directory(ctx context.Context, d Directory) (engine.RunReport, error) {
	q := s.query(d.Name)
	open := map[uint64]scoping.GUID{}
	seen := map[scoping.GUID]bool{}
	begun := false
	r, err := d.Reader.Read(ctx, q, func(r passwordhash.Reading) error {
		if begun {
			return nil
		}
		begun = true
		return s.send(ctx, engine.RunEvent{Begin: &engine.RunBegin{Directory: d.Name, DC: r.DC, USN: r.USN, Rules: Rules}})
	}, func(users []passwordhash.User) error {
		return s.propose(ctx, d.Name, s.fresh(users, seen), open)
	})
	report := engine.RunReport{DC: r.DC, USN: r.USN, Read: len(seen), Since: r.Since}
	if err != nil {
		return report, err
	}
	if err := s.unknown(ctx, d.Name, seen, open); err != nil {
		return report, err
	}
	wanted, err := s.await(ctx, open)
	if err != nil || len(wanted) == 0 {
		return report, err
	}
	return report, s.credentials(ctx, d, q, wanted)
}

// query is what a run reads of a directory first: stamps.
func (s *stream) query(name string) passwordhash.Query {
	q := passwordhash.Query{Controller: s.request.DC[name]}
	if p, named := s.request.AsOf[name]; named {
		at := directory.AsOf(p)
		q.AsOf = &at
	}
	switch s.request.Profile {
	case engine.ProfileObjects:
		q.Objects = []scoping.GUID{}
		for _, o := range s.request.Objects {
			if o.Directory == name && !slices.Contains(q.Objects, o.GUID) {
				q.Objects = append(q.Objects, o.GUID)
			}
		}
	case engine.ProfileDelta:
		q.Since = s.request.Since[name]
	}
	return q
}

// fresh returns the users that were not read before in this run, and wipes what came again.
func (s *stream) fresh(users []passwordhash.User, seen map[scoping.GUID]bool) []passwordhash.User {
	return slices.DeleteFunc(users, func(u passwordhash.User) bool {
		again := seen[u.GUID]
		seen[u.GUID] = true
		if again {
			u.Credential.Wipe()
		}
		return again
	})
}

// propose sends proposals about users; open gets those whose decision tells whether the credential is wanted.
func (s *stream) propose(ctx context.Context, name string, users []passwordhash.User, open map[uint64]scoping.GUID) error {
	var batch []engine.Proposal
	for _, u := range users {
		p := s.proposal(name, u)
		if p.Want == 0 {
			continue
		}
		s.seq++
		p.Seq = s.seq
		open[p.Seq] = u.GUID
		batch = append(batch, p)
	}
	if len(batch) == 0 {
		return nil
	}
	return s.send(ctx, engine.RunEvent{Proposals: batch})
}

// proposal says what is wanted of a user. Of one that is gone the base feature answers; asked for singly, there has to be an answer.
func (s *stream) proposal(name string, u passwordhash.User) engine.Proposal {
	p := engine.Proposal{Object: scoping.ObjectID{Directory: name, GUID: u.GUID}, Kind: scoping.User, Feature: scoping.PasswordHash}
	switch {
	case u.Gone && s.request.Profile == engine.ProfileObjects:
		p.Want, p.Reason = engine.Unknown, engine.NotFound
	case u.Gone:
	case u.Reason != "":
		p.Want, p.Reason = engine.Excluded, u.Reason
	default:
		p.Want, p.Password = engine.Present, &engine.Password{Stamp: u.Stamp, MustChange: u.MustChange, Credential: u.Credential}
	}
	return p
}

// unknown answers for objects that were asked for singly and that the controller does not have.
func (s *stream) unknown(ctx context.Context, name string, seen map[scoping.GUID]bool, open map[uint64]scoping.GUID) error {
	if s.request.Profile != engine.ProfileObjects {
		return nil
	}
	var batch []engine.Proposal
	for _, o := range s.request.Objects {
		if o.Directory != name || seen[o.GUID] {
			continue
		}
		seen[o.GUID] = true
		s.seq++
		open[s.seq] = o.GUID
		batch = append(batch, engine.Proposal{Seq: s.seq, Object: o, Kind: scoping.User, Feature: scoping.PasswordHash, Want: engine.Unknown, Reason: engine.NotFound})
	}
	for chunk := range slices.Chunk(batch, engine.MaxBatch) {
		if err := s.send(ctx, engine.RunEvent{Proposals: chunk}); err != nil {
			return err
		}
	}
	return nil
}

// await waits for the decisions about what is open and returns the objects whose credentials are wanted.
func (s *stream) await(ctx context.Context, open map[uint64]scoping.GUID) (wanted []scoping.GUID, err error) {
	for len(open) > 0 {
		select {
		case ds, more := <-s.decided:
			if !more {
				return nil, fmt.Errorf("the host decides nothing more, and %d proposals are open", len(open))
			}
			for _, d := range ds {
				if g, ours := open[d.Seq]; ours && d.Outcome == engine.Wanted {
					wanted = append(wanted, g)
				}
				delete(open, d.Seq)
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return wanted, nil
}

// credentials proposes once more what is wanted, with credentials.
func (s *stream) credentials(ctx context.Context, d Directory, q passwordhash.Query, wanted []scoping.GUID) error {
	q.Objects, q.Since, q.Credentials = wanted, nil, true
	open, seen, done := map[uint64]scoping.GUID{}, map[scoping.GUID]bool{}, 0
	_, err := d.Reader.Read(ctx, q, func(passwordhash.Reading) error { return nil }, func(users []passwordhash.User) error {
		if err := s.propose(ctx, d.Name, s.fresh(users, seen), open); err != nil {
			return err
		}
		if _, err := s.await(ctx, open); err != nil { // no more credentials at a time than one batch
			return err
		}
		done += len(users)
		return s.send(ctx, engine.RunEvent{Progress: &engine.Progress{Phase: "passwords", Done: done, Total: len(wanted)}})
	})
	return err
}

// Rules is the fingerprint of what makes proposals of what is read.
var Rules = engine.FingerprintOf([]byte("passwordhash 1"))
