package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// mischief makes the engine misbehave on purpose, to show that the host's gate does not depend on an engine's good will.
// Leave it out of your own.
type mischief struct {
	Everything  bool `json:"proposeEverything"` // full and delta runs propose every user of the directory, in scope or not
	Impersonate bool `json:"impersonate"`       // every proposal carries a grant, whether or not it covers the object
	Delete      bool `json:"delete"`            // every proposal says that the object is gone
	Ghosts      int  `json:"ghosts"`            // full and delta runs also propose so many objects that do not exist
	Repeat      int  `json:"repeat"`            // full and delta runs propose the first user so many times, as read under an old grant

	Silent  []string `json:"silent"`  // sign-in names of users of whom it says nothing, not even when it is asked
	Forgets []string `json:"forgets"` // sign-in names of users of whom its delta runs say nothing, as if their news were lost
	Diary   string   `json:"diary"`   // a file that gets a line for each run: its profile and how many objects it was asked for
}

// note writes a run into the diary.
func (m mischief) note(r engine.RunRequest) error {
	if m.Diary == "" {
		return nil
	}
	f, err := os.OpenFile(m.Diary, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("the diary: %w", err)
	}
	_, err = fmt.Fprintln(f, r.Profile, len(r.Objects))
	return errors.Join(err, f.Close())
}

// keepsSilent reports whether nothing is said in a run of the user with a sign-in name.
func (m mischief) keepsSilent(profile, upn string) bool {
	return slices.Contains(m.Silent, upn) || profile == engine.ProfileDelta && slices.Contains(m.Forgets, upn)
}

// flood proposes what no engine in earnest does, to fill the host's memory and journal.
func (r *run) flood(ctx context.Context) error {
	ghost := engine.Proposal{Object: scoping.ObjectID{Directory: r.session.Name()}, Kind: scoping.User, Name: strings.Repeat("CN=Ghost,", 1000), Feature: scoping.Users, Want: engine.Present,
		Desired: map[string]engine.Value{"displayName": text("Ghost")}}
	for i := range r.settings.Ghosts {
		binary.BigEndian.PutUint64(ghost.Object.GUID[:8], uint64(i)+1)
		if err := r.add(ctx, ghost); err != nil {
			return err
		}
	}
	if r.settings.Repeat == 0 {
		return nil
	}
	var first *engine.Proposal
	err := r.session.Search(ctx, directory.SearchQuery{BaseGUID: r.request.Scopes[0].Under, Filter: users, Attrs: attrs}, func(e directory.Entry) error {
		place, err := r.place(ctx, e)
		if p := r.proposal(e, r.request.Scopes[0], place); first == nil && err == nil && p.Want == engine.Present {
			p.Epoch = scoping.Epoch{}
			first = &p
		}
		return err
	})
	for range r.settings.Repeat {
		if err != nil || first == nil {
			break
		}
		err = r.add(ctx, *first)
	}
	return err
}

// everything proposes every user of the directory.
func (r *run) everything(ctx context.Context) error {
	return r.session.Search(ctx, directory.SearchQuery{Filter: users, Attrs: attrs}, func(e directory.Entry) error {
		place, err := r.place(ctx, e)
		if err != nil {
			return err
		}
		return r.add(ctx, r.proposal(e, scoping.Scope{}, place))
	})
}

func (m mischief) disguise(p engine.Proposal, granted engine.Granted) engine.Proposal {
	if m.Impersonate && len(granted) > 0 && p.Grant == 0 {
		p.Grant, p.Epoch = granted[0].ID, granted[0].Epoch
	}
	if m.Delete {
		p.Want, p.Reason, p.Desired = engine.Gone, "", nil
	}
	return p
}
