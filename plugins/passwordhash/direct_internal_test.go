package passwordhash

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/drsr"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// controller is one whose users all have the password "User-N".
type controller struct {
	invocation scoping.GUID
	users      map[scoping.GUID]drsr.User
	order      []scoping.GUID
	changed    []scoping.GUID
	said       []string
	hashes     []*secret.Value
	fail       error
}

func (c *controller) give(g scoping.GUID, d drsr.Depth, each func(drsr.User) error) error {
	u, there := c.users[g]
	if !there || d == drsr.Nothing {
		return nil
	}
	if d == drsr.WithHash && u.HasHash {
		h, err := credential.NTHash(secret.Take([]byte("User-" + u.Name)))
		if err != nil {
			return err
		}
		u.Hash = h
		c.hashes = append(c.hashes, h)
	}
	return each(u)
}

func (c *controller) Users(_ context.Context, guids []scoping.GUID, d drsr.Depth, each func(drsr.User) error) error {
	c.said = append(c.said, fmt.Sprintf("users %d at %d", len(guids), d))
	for _, g := range guids {
		if err := c.give(g, d, each); err != nil {
			return err
		}
	}
	return c.fail
}

func (c *controller) Everyone(_ context.Context, depth func(scoping.GUID) drsr.Depth, each func(drsr.User) error) (drsr.Watermark, error) {
	c.said = append(c.said, "everyone")
	for _, g := range c.order {
		if err := c.give(g, depth(g), each); err != nil {
			return drsr.Watermark{}, err
		}
	}
	return drsr.Watermark{Invocation: c.invocation}, c.fail
}

func (c *controller) Changed(_ context.Context, since drsr.Watermark, each func(scoping.GUID) error) (drsr.Watermark, error) {
	c.said = append(c.said, "changed")
	for _, g := range c.changed {
		if err := each(g); err != nil {
			return since, err
		}
	}
	return since, nil
}

func (c *controller) Controller() directory.Controller {
	return directory.Controller{InvocationID: c.invocation, HighestUSN: 42}
}

func (c *controller) Close() error { return nil }

func controllerOf(n int) *controller {
	c := &controller{invocation: scoping.GUID{7}, users: map[scoping.GUID]drsr.User{}}
	for i := range n {
		g := scoping.GUID{byte(i), byte(i >> 8), 1}
		c.order = append(c.order, g)
		c.users[g] = drsr.User{GUID: g, Name: fmt.Sprint(i), HasHash: true, PasswordSet: time.Unix(1, 0), Stamp: credential.Stamp{Version: uint32(i + 1), USN: 1}}
	}
	return c
}

func (c *controller) reader() *Direct {
	return &Direct{Account: directory.Connection{Name: "contoso", User: "svc-hash"}, open: func(context.Context, drsr.Config) (session, error) { return c, nil }}
}

func readAll(t *testing.T, d *Direct, q Query) (users []User, r Reading) {
	t.Helper()
	r, err := d.Read(t.Context(), q, func(Reading) error { return nil }, func(us []User) error {
		if len(us) > MaxBatch {
			t.Errorf("a batch of %d", len(us))
		}
		users = append(users, us...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return users, r
}

func TestEachCredentialIsThatOfItsUserAndNoHashIsLeft(t *testing.T) {
	c := controllerOf(600)
	users, _ := readAll(t, c.reader(), Query{Objects: c.order, Credentials: true})
	if len(users) != 600 {
		t.Fatalf("%d users", len(users))
	}
	for i, u := range users[:50] {
		err := u.Credential.Use(func(b []byte) error {
			salt := make([]byte, credential.SaltSize)
			if _, err := fmt.Sscanf(string(b), "v1;PPH1_MD4,%x,1000,", &salt); err != nil {
				return err
			}
			hash, err := credential.NTHash(secret.Take(fmt.Appendf(nil, "User-%d", i)))
			if err != nil {
				return err
			}
			same, err := credential.Derive(hash, salt)
			if err != nil {
				return err
			}
			if !same.Equal(secret.Take(append([]byte(nil), b...))) {
				t.Errorf("user %d has another's credential", i)
			}
			return nil
		})
		if err != nil || u.GUID != c.order[i] {
			t.Errorf("user %d: %v", i, err)
		}
	}
	for _, h := range c.hashes {
		if err := h.Use(func([]byte) error { return nil }); !errors.Is(err, secret.ErrWiped) {
			t.Fatal("a hash is left")
		}
	}
}

// After an error too.
func TestNoHashIsLeftByAReadingThatFails(t *testing.T) {
	c := controllerOf(10)
	c.fail = directory.ErrUnreachable
	_, err := c.reader().Read(t.Context(), Query{Objects: c.order, Credentials: true}, func(Reading) error { return nil }, func([]User) error { return nil })
	if !errors.Is(err, directory.ErrUnreachable) || len(c.hashes) != 10 {
		t.Fatalf("%v, %d hashes", err, len(c.hashes))
	}
	for _, h := range c.hashes {
		if err := h.Use(func([]byte) error { return nil }); !errors.Is(err, secret.ErrWiped) {
			t.Error("a hash is left")
		}
	}
}

func TestWhatIsReadIsNoMoreThanIsAskedFor(t *testing.T) {
	c := controllerOf(2500)
	_, first := readAll(t, c.reader(), Query{})
	c.changed = []scoping.GUID{c.order[3], c.order[4], c.order[3]}
	users, next := readAll(t, c.reader(), Query{Since: first.Since})
	if len(users) != 2 || string(next.Since) != string(first.Since) || next.USN != 42 {
		t.Errorf("changed: %d users, %+v", len(users), next)
	}
	c.invocation = scoping.GUID{8} // another controller: its numbers are others
	if users, next = readAll(t, c.reader(), Query{Since: first.Since}); len(users) != 2500 || string(next.Since) == string(first.Since) {
		t.Errorf("another controller: %d users, %+v", len(users), next)
	}
	if users, next = readAll(t, c.reader(), Query{Objects: c.order[:2100]}); len(users) != 2100 || next.Since != nil {
		t.Errorf("many: %d users, %+v", len(users), next)
	}
	if users, _ = readAll(t, c.reader(), Query{Objects: []scoping.GUID{}}); len(users) != 0 {
		t.Errorf("none: %d users", len(users))
	}
	if got, want := fmt.Sprint(c.said), "[everyone changed users 2 at 1 everyone everyone users 0 at 1]"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

func TestWhatIsHandedOverOfAUser(t *testing.T) {
	set := drsr.User{HasHash: true, PasswordSet: time.Unix(1, 0), Stamp: credential.Stamp{Version: 1}}
	for name, x := range map[string]struct {
		with   func(*drsr.User)
		reason string
		must   bool
	}{
		"a password":           {func(*drsr.User) {}, "", false},
		"disabled":             {func(u *drsr.User) { u.AccountControl = 2 }, "", false},
		"temporary":            {func(u *drsr.User) { u.PasswordSet = time.Time{} }, "", true},
		"never expires":        {func(u *drsr.User) { u.PasswordSet, u.AccountControl = time.Time{}, 0x10000 }, "", false},
		"a smart card":         {func(u *drsr.User) { u.AccountControl = 0x40000 }, SmartCard, false},
		"never set":            {func(u *drsr.User) { *u = drsr.User{} }, NoPassword, true},
		"no NT hash":           {func(u *drsr.User) { u.HasHash = false }, NoNTHash, false},
		"a hash without stamp": {func(u *drsr.User) { u.Stamp = credential.Stamp{} }, NoPassword, false},
	} {
		u := set
		x.with(&u)
		if got := userOf(u); got.Reason != x.reason || got.MustChange != x.must {
			t.Errorf("%s: %+v", name, got)
		}
	}
	c := controllerOf(3)
	d := c.reader()
	d.Own = []string{nameOf("1@contoso.test"), nameOf(`CONTOSO\2`)}
	users, _ := readAll(t, d, Query{Credentials: true})
	if len(users) != 3 || users[0].Reason != "" || users[1].Reason != OwnAccount || users[2].Reason != OwnAccount || users[1].Credential != nil {
		t.Errorf("own accounts: %+v", users)
	}
	if _, err := new(Direct).Read(t.Context(), Query{}, nil, nil); !errors.Is(err, ErrNoAccount) {
		t.Errorf("without an account: %v", err)
	}
}

// More sign-ins would lock the account.
func TestARefusedSignInIsNotTriedAgainSoon(t *testing.T) {
	now, tries := time.Unix(0, 0), 0
	d := &Direct{Account: directory.Connection{User: "svc-hash"}, Now: func() time.Time { return now }, open: func(context.Context, drsr.Config) (session, error) {
		tries++
		return nil, directory.ErrCredentials
	}}
	for range 3 {
		if _, err := d.Read(t.Context(), Query{}, nil, nil); !errors.Is(err, directory.ErrCredentials) {
			t.Error(err)
		}
	}
	now = now.Add(refusedRest)
	if _, err := d.Read(t.Context(), Query{}, nil, nil); !errors.Is(err, directory.ErrCredentials) || tries != 2 {
		t.Errorf("%d tries, %v", tries, err)
	}
}
