package handover_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/drsr"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/passwordhash"
	"github.com/tandem-sync/tandem/plugins/passwordhash/handover"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// reader is a directory of users; what is asked is kept.
type reader struct {
	users []passwordhash.User
	asked []passwordhash.Query
	fail  error
	twice bool // the first answer begins anew in the middle
	given []*secret.Value
}

func (r *reader) Read(_ context.Context, q passwordhash.Query, begin func(passwordhash.Reading) error, each func([]passwordhash.User) error) (passwordhash.Reading, error) {
	r.asked = append(r.asked, q)
	at := passwordhash.Reading{DC: scoping.GUID{7}, USN: 42, Since: []byte("later")}
	if r.fail != nil {
		return at, r.fail
	}
	times := 1
	if r.twice {
		times, r.twice = 2, false
	}
	for range times {
		if err := begin(at); err != nil {
			return at, err
		}
		for _, u := range r.users {
			if q.Objects != nil && !slices.Contains(q.Objects, u.GUID) {
				continue
			}
			if q.Credentials {
				u.Credential = secret.Take([]byte("credential of " + u.Stamp.Text()))
				r.given = append(r.given, u.Credential)
			}
			if err := each([]passwordhash.User{u}); err != nil {
				return at, err
			}
		}
	}
	return at, nil
}

func user(n byte) passwordhash.User {
	return passwordhash.User{GUID: scoping.GUID{n}, Stamp: credential.Stamp{Version: uint32(n), Changed: time.Unix(int64(n), 0), Invocation: scoping.GUID{7}, USN: uint64(n)}}
}

// talk runs a stream against a host that wants the credentials of what wants says, and returns what was said, in words.
func talk(t *testing.T, r engine.RunRequest, d []handover.Directory, wants func(engine.Proposal) bool) (said []string, reports []engine.RunReport) {
	t.Helper()
	served := served{run: func(ctx context.Context, r engine.RunRequest, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
		return handover.Run(ctx, r, d, in, out)
	}}
	reports, err := engine.Drive(t.Context(), served, r, engine.Conversation{
		Begin: func(b engine.RunBegin) error {
			said = append(said, fmt.Sprintf("begin %s %d", b.Directory, b.USN))
			return nil
		},
		Decide: func(ps []engine.Proposal) (ds []engine.Decision, err error) {
			for _, p := range ps {
				what := fmt.Sprintf("%d want %d %s", p.Object.GUID[0], p.Want, p.Reason)
				outcome := engine.Unchanged
				if p.Password != nil {
					what += fmt.Sprintf("version %d", p.Password.Stamp.Version)
					err := p.Password.Credential.Use(func(b []byte) error { what += " with " + string(b[:10]); return nil })
					if err != nil && wants(p) {
						outcome = engine.Wanted
					}
					p.Password.Wipe()
				}
				said = append(said, what)
				ds = append(ds, engine.Decision{Seq: p.Seq, Outcome: outcome})
			}
			return ds, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	return said, reports
}

type served struct {
	engine.Engine
	run func(context.Context, engine.RunRequest, <-chan []engine.Decision, chan<- engine.RunEvent) error
}

func (s served) Run(ctx context.Context, r engine.RunRequest, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	return s.run(ctx, r, in, out)
}

var everywhere = []scoping.Scope{{Directory: "contoso", Under: scoping.GUID{1}}}

func TestOnlyWhatIsWantedIsReadWithItsCredential(t *testing.T) {
	r := &reader{users: []passwordhash.User{user(2), user(3), user(4)}, twice: true}
	r.users = append(r.users, passwordhash.User{GUID: scoping.GUID{5}, Reason: passwordhash.SmartCard}, passwordhash.User{GUID: scoping.GUID{6}, Gone: true})
	said, reports := talk(t, engine.RunRequest{Stream: engine.Passwords, Profile: engine.ProfileDelta, Scopes: everywhere, Since: map[string][]byte{"contoso": []byte("before")}},
		[]handover.Directory{{Name: "contoso", Reader: r}, {Name: "elsewhere"}}, func(p engine.Proposal) bool { return p.Object.GUID[0] != 3 })
	want := []string{"begin contoso 42", "2 want 1 version 2", "3 want 1 version 3", "4 want 1 version 4", "5 want 4 smart-card", "2 want 1 version 2 with credential", "4 want 1 version 4 with credential"}
	if d := cmp.Diff(want, said); d != "" {
		t.Error(d)
	}
	if len(r.asked) != 2 || string(r.asked[0].Since) != "before" || r.asked[0].Credentials || !r.asked[1].Credentials || len(r.asked[1].Objects) != 2 {
		t.Errorf("asked %+v", r.asked)
	}
	if len(reports) != 1 || !reports[0].Complete || string(reports[0].Since) != "later" || reports[0].Read != 5 {
		t.Errorf("%+v", reports)
	}
	for _, v := range r.given {
		if err := v.Use(func([]byte) error { return nil }); !errors.Is(err, secret.ErrWiped) {
			t.Error("a credential is left")
		}
	}
}

func TestWhoIsAskedForSinglyGetsOneAnswer(t *testing.T) {
	r := &reader{users: []passwordhash.User{user(2), {GUID: scoping.GUID{6}, Gone: true}}}
	id := func(n byte) scoping.ObjectID { return scoping.ObjectID{Directory: "contoso", GUID: scoping.GUID{n}} }
	said, _ := talk(t, engine.RunRequest{Stream: engine.Passwords, Profile: engine.ProfileObjects, Scopes: everywhere, Objects: []scoping.ObjectID{id(2), id(6), id(9), id(2)}},
		[]handover.Directory{{Name: "contoso", Reader: r}}, func(engine.Proposal) bool { return false })
	want := []string{"begin contoso 42", "2 want 1 version 2", "6 want 5 not-found", "9 want 5 not-found"}
	if d := cmp.Diff(want, said); d != "" {
		t.Error(d)
	}
}

func TestADirectoryThatCannotBeReadIsToldAndKeepsItsPlace(t *testing.T) {
	for code, err := range map[string]error{"no-account": passwordhash.ErrNoAccount, engine.CodeBehind: directory.ErrBehind, "drs-rights": &drsr.Error{Code: drsr.Rights}} {
		_, reports := talk(t, engine.RunRequest{Stream: engine.Passwords, Profile: engine.ProfileFull, Scopes: everywhere},
			[]handover.Directory{{Name: "contoso", Reader: &reader{fail: fmt.Errorf("contoso: %w", err)}}}, nil)
		r := reports[0]
		if r.Complete || r.Since != nil || len(r.Errors) != 1 || r.Errors[0].Code != code || !strings.Contains(r.Errors[0].Message, "contoso") {
			t.Errorf("%s: %+v", code, r)
		}
	}
}
