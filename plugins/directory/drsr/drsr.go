// Package drsr reads the NT hashes of users from an Active Directory controller by its replication protocol (MS-DRSR), as
// password hash synchronization needs them. It is the only public way: LDAP never shows unicodePwd.
//
// A [Session] begins with [Dial], which proves the controller and the password over LDAPS, then signs in to the controller's
// replication interface by NTLMv2 with sealing. [Session.Users] reads single users, [Session.Everyone] goes through the whole
// naming context, which costs about an eighth for each object: it is faster once more than that part of it is wanted. Each
// [User] comes with the replication stamp of its password, from the same reply, and, where it was asked for, with the hash as
// a [secret.Value]: hashes of all others stay as encrypted as they came.
//
// What keeps it from working is an [Error] with a [Code]. The account needs two rights, [GetChanges] and [GetChangesAll],
// which make the machine that holds its password as valuable as a controller.
//
// Nothing here writes to the directory. A session is for one goroutine at a time, and never outlives a context that ends in
// the middle of a request.
package drsr

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/ndr"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/ntlm"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/rpc"
	"github.com/tandem-sync/tandem/plugins/secret"
)

// dialTimeout bounds connecting to one port.
const dialTimeout = 15 * time.Second

// Config says from where to read, and as whom.
type Config struct {
	// Connection is the directory, with the account that may replicate. Its certificate has to be verified.
	Connection directory.Connection
	// Port is the controller's TCP port for replication; 0 asks its endpoint mapper at port 135.
	Port int
	// Dial connects to the controller; nil dials TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Random is crypto/rand.Reader if nil.
	Random io.Reader
	// AsOf is what the controller must have; nil: whatever it has. One that lacks it is directory.ErrBehind.
	AsOf *directory.AsOf
	// Now is the clock for controllers that do not tell theirs, time.Now if nil.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Connection.Timeout <= 0 {
		c.Connection.Timeout = directory.DefaultTimeout
	}
	return c
}

// Session is one signed-in connection to one controller's replication interface.
type Session struct {
	config     Config
	controller directory.Controller
	host       string // its address without port, whose certificate was verified
	account    directory.Principal
	conn       *rpc.Conn
	handle     []byte
	offered    uint32 // the controller's capabilities
	table      []prefix
	whole      bool // the controller refused a partial set of attributes
	findings   []*Error
}

// Dial proves the controller's certificate and the password over LDAPS, then signs in to replication at the same address, and
// tries there whether the account has the rights. Where a controller cannot be used the next URL is tried, except after a
// wrong password, which would only lock the account. Errors are, joined, [Error] for each controller, those of
// [directory.Dial], such as directory.ErrCredentials for a wrong password, and the context's.
func Dial(ctx context.Context, c Config) (*Session, error) {
	c = c.withDefaults()
	if c.Connection.Insecure {
		return nil, fmt.Errorf("directory %s: password hashes are read only from a controller whose certificate is verified: set tls.caFile, and insecure to false", c.Connection.Name)
	}
	if len(c.Connection.URLs) == 0 {
		return nil, fmt.Errorf("directory %s has no URL: name a controller such as ldaps://dc1.contoso.test", c.Connection.Name)
	}
	var failures []error
	for _, u := range c.Connection.URLs {
		one := c
		one.Connection.URLs = []string{u}
		s, err := dial(ctx, one)
		if err == nil {
			return s, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil || errors.Is(err, directory.ErrCredentials) {
			break
		}
	}
	return nil, errors.Join(failures...)
}

func dial(ctx context.Context, c Config) (*Session, error) {
	s := &Session{config: c}
	if err := s.prove(ctx); err != nil {
		return nil, err
	}
	if err := s.connect(ctx); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// prove signs in over LDAPS and learns what the session needs to know.
func (s *Session) prove(ctx context.Context) error {
	l, err := directory.Dial(ctx, s.config.Connection)
	if err != nil {
		return s.unproved(err)
	}
	defer l.Close() // it was read from only
	s.controller = l.Controller()
	if s.controller.ReadOnly {
		return s.fail(ReadOnly, "it is a read-only controller", nil)
	}
	if s.config.AsOf != nil {
		if err := l.Reached(ctx, *s.config.AsOf); err != nil {
			return fmt.Errorf("%s: read passwords: %w", s.controller.URL, err)
		}
	}
	if s.host, _, err = net.SplitHostPort(l.Address().String()); err != nil {
		return fmt.Errorf("%s: its address: %w", s.controller.URL, err)
	}
	s.account, err = l.Principal(ctx, s.config.Connection.User)
	return err
}

func (s *Session) connect(ctx context.Context) error {
	port, err := s.port(ctx)
	if err != nil {
		return err
	}
	raw, err := s.reach(ctx, port)
	if err != nil {
		return err
	}
	hash, err := s.passwordHash()
	if err != nil {
		raw.Close()
		return err
	}
	defer hash.Wipe()
	who := ntlm.Account{User: s.account.User, Domain: s.account.Domain, Hash: hash}
	name := s.controller.DNSName
	if name == "" {
		name = s.host
	}
	handshake := ntlm.Begin(who, ntlm.Options{Target: "ldap/" + name, Random: s.config.Random, Now: s.config.Now})
	if s.conn, err = rpc.Bind(ctx, raw, drsuapi, handshake, s.config.Connection.Timeout); err == nil {
		err = s.bind(ctx)
	}
	if err == nil {
		err = s.learn(ctx)
	}
	return s.classify(ctx, err)
}

func (s *Session) passwordHash() (*secret.Value, error) {
	password := secret.Take([]byte(s.config.Connection.Password))
	defer password.Wipe()
	hash, err := credential.NTHash(password)
	if err != nil {
		return nil, fmt.Errorf("%s: password of %s: %w", s.controller.URL, s.config.Connection.User, err)
	}
	return hash, nil
}

// port asks the endpoint mapper where replication listens.
func (s *Session) port(ctx context.Context) (int, error) {
	if s.config.Port != 0 {
		return s.config.Port, nil
	}
	raw, err := s.reach(ctx, rpc.MapperPort)
	if err != nil {
		return 0, err
	}
	mapper, err := rpc.Bind(ctx, raw, rpc.Mapper, nil, s.config.Connection.Timeout)
	if err != nil {
		return 0, s.classify(ctx, err)
	}
	defer mapper.Close()
	port, err := mapper.Port(ctx, drsuapi)
	return port, s.classify(ctx, err)
}

func (s *Session) reach(ctx context.Context, port int) (net.Conn, error) {
	bounded, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := s.config.Dial(bounded, "tcp", net.JoinHostPort(s.host, strconv.Itoa(port)))
	if err == nil {
		return conn, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s: connect to TCP port %d: %w", s.controller.URL, port, context.Cause(ctx))
	}
	return nil, s.fail(Ports, fmt.Sprintf("TCP port %d", port), errors.Join(directory.ErrUnreachable, err))
}

// Controller tells which controller is read. Stamps of it name the controllers where passwords were set.
func (s *Session) Controller() directory.Controller { return s.controller }

// Findings are what was found meanwhile and does not keep hashes from being read, such as [PartialSet].
func (s *Session) Findings() []*Error { return s.findings }

// Close gives the controller its handle back and ends the session. It may be called more than once.
func (s *Session) Close() error {
	if s.conn == nil || s.handle == nil {
		s.end()
		return nil
	}
	handle := s.handle
	s.handle = nil
	defer s.end()
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	var w ndr.Writer
	w.Bytes(handle)
	if _, err := s.conn.Call(ctx, operationUnbind, w.Data()); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%s: end replication: %w", s.controller.URL, err)
	}
	return nil
}

func (s *Session) end() {
	if s.conn != nil {
		s.conn.Close()
	}
}
