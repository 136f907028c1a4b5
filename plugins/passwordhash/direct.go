package passwordhash

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/drsr"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// Direct reads a controller from this process. It may be used by several goroutines at once; each Read is a connection of its own.
type Direct struct {
	// Account is the directory, with the account that may replicate; without a user there is none.
	Account directory.Connection
	// Port is the controllers' TCP port for replication; 0 asks their endpoint mappers.
	Port int
	// Own are the names of accounts of Tandem's own, in small letters: their passwords are nothing for the tenant.
	Own []string
	// Random is where salts come from; nil: crypto/rand.
	Random io.Reader
	// Now is the clock; nil: time.Now.
	Now func() time.Time

	rest directory.Rest

	open func(context.Context, drsr.Config) (session, error) // nil: drsr.Dial
}

// session is what is needed of a drsr.Session.
type session interface {
	Users(ctx context.Context, guids []scoping.GUID, d drsr.Depth, each func(drsr.User) error) error
	Everyone(ctx context.Context, depth func(scoping.GUID) drsr.Depth, each func(drsr.User) error) (drsr.Watermark, error)
	Changed(ctx context.Context, since drsr.Watermark, each func(scoping.GUID) error) (drsr.Watermark, error)
	Controller() directory.Controller
	Close() error
}

// everyoneFrom is how many objects are read in one go through the whole directory rather than singly: going through everybody costs an eighth for each object, of
// which there are not known how many.
const everyoneFrom = 2000

// Read implements Reader.
func (d *Direct) Read(ctx context.Context, q Query, begin func(Reading) error, each func([]User) error) (Reading, error) {
	if d.Account.User == "" {
		return Reading{}, fmt.Errorf("directory %s: %w", d.Account.Name, ErrNoAccount)
	}
	s, err := d.dial(ctx, q)
	if err != nil {
		return Reading{}, err
	}
	defer s.Close() // nothing was written
	c := s.Controller()
	r := Reading{DC: c.InvocationID, USN: c.HighestUSN}
	if err := begin(r); err != nil {
		return r, err
	}
	b := &batch{random: d.Random, credentials: q.Credentials, own: d.Own, each: each}
	if b.random == nil {
		b.random = rand.Reader
	}
	defer b.wipe()
	if r.Since, err = read(ctx, s, q, b); err != nil {
		return r, err
	}
	return r, b.flush()
}

// refusedRest is how long no sign-in is tried after one that was refused: more of them would lock the account.
const refusedRest = 30 * time.Minute

func (d *Direct) now() time.Time {
	if d.Now == nil {
		return time.Now()
	}
	return d.Now()
}

func (d *Direct) dial(ctx context.Context, q Query) (s session, err error) {
	err = d.rest.SignIn(d.now, refusedRest, func() (err error) {
		s, err = d.connect(ctx, q)
		return err
	})
	return s, err
}

func (d *Direct) connect(ctx context.Context, q Query) (session, error) {
	config := drsr.Config{Connection: d.Account, Port: d.Port, AsOf: q.AsOf}
	if q.Controller != "" {
		config.Connection.URLs = []string{q.Controller}
	}
	if d.open != nil {
		return d.open(ctx, config)
	}
	return drsr.Dial(ctx, config)
}

// read reads what a query asks for and returns where to go on.
func read(ctx context.Context, s session, q Query, b *batch) (since []byte, err error) {
	depth := drsr.StampOnly
	if q.Credentials {
		depth = drsr.WithHash
	}
	if q.Objects != nil && len(q.Objects) < everyoneFrom {
		return nil, s.Users(ctx, q.Objects, depth, b.add)
	}
	if q.Objects != nil {
		wanted := make(map[scoping.GUID]bool, len(q.Objects))
		for _, g := range q.Objects {
			wanted[g] = true
		}
		_, err := s.Everyone(ctx, func(g scoping.GUID) drsr.Depth {
			if wanted[g] {
				return depth
			}
			return drsr.Nothing
		}, b.add)
		return nil, err
	}
	at, err := drsr.ParseWatermark(q.Since)
	if err != nil || at.Invocation != s.Controller().InvocationID {
		at, err = s.Everyone(ctx, func(scoping.GUID) drsr.Depth { return depth }, b.add)
		return at.Encode(), err
	}
	changed := map[scoping.GUID]bool{}
	var order []scoping.GUID
	at, err = s.Changed(ctx, at, func(g scoping.GUID) error {
		if !changed[g] {
			changed[g], order = true, append(order, g)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return at.Encode(), s.Users(ctx, order, depth, b.add)
}

// batch gathers what was read, derives credentials of it, as many at a time as there are processors, and passes it on.
type batch struct {
	random      io.Reader
	credentials bool
	own         []string
	each        func([]User) error

	read []drsr.User
}

func (b *batch) add(u drsr.User) error {
	b.read = append(b.read, u)
	if len(b.read) < MaxBatch {
		return nil
	}
	return b.flush()
}

func (b *batch) wipe() {
	for _, u := range b.read {
		u.Hash.Wipe()
	}
	b.read = nil
}

func (b *batch) flush() error {
	if len(b.read) == 0 {
		return nil
	}
	out := make([]User, len(b.read))
	for i, u := range b.read {
		if out[i] = userOf(u); slices.Contains(b.own, strings.ToLower(u.Name)) {
			out[i].Reason = OwnAccount
		}
	}
	defer b.wipe()
	if b.credentials {
		if err := b.derive(out); err != nil {
			return err
		}
	}
	return b.each(out)
}

func (b *batch) derive(out []User) error {
	errs := make([]error, len(out))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(out)) {
		workers.Go(func() {
			for i := range next {
				out[i].Credential, errs[i] = b.credential(b.read[i].Hash, out[i])
			}
		})
	}
	for i, u := range b.read {
		if u.Hash != nil && out[i].Reason == "" {
			next <- i
		}
	}
	close(next)
	workers.Wait()
	if err := errors.Join(errs...); err != nil {
		for _, u := range out {
			u.Credential.Wipe()
		}
		return err
	}
	return nil
}

func (b *batch) credential(hash *secret.Value, u User) (*secret.Value, error) {
	salt := make([]byte, credential.SaltSize)
	if _, err := io.ReadFull(b.random, salt); err != nil {
		return nil, fmt.Errorf("a salt for the credential of %s: %w", u.GUID, err)
	}
	c, err := credential.Derive(hash, salt)
	if err != nil {
		return nil, fmt.Errorf("the credential of %s: %w", u.GUID, err)
	}
	return c, nil
}

// Bits of userAccountControl (MS-ADTS 2.2.16).
const (
	neverExpires      = 0x10000
	smartCardRequired = 0x40000
)

// userOf says what is to be handed over of a user. One whose password never expires need not change it, whatever pwdLastSet says.
func userOf(u drsr.User) User {
	out := User{GUID: u.GUID, Gone: u.Deleted, Stamp: u.Stamp, MustChange: u.PasswordSet.IsZero() && u.AccountControl&neverExpires == 0}
	switch {
	case u.AccountControl&smartCardRequired != 0:
		out.Reason = SmartCard
	case u.HasHash && !u.Stamp.IsZero():
	case u.Lacks() == drsr.NoNTHash:
		out.Reason = NoNTHash
	default:
		out.Reason = NoPassword
	}
	return out
}
