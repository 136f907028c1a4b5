// Package directory reads Active Directory over LDAP.
//
// A [Session] is one authenticated connection to one domain controller and one naming context. It offers what the engines,
// the agents and the census need and nothing of LDAP's breadth: DirSync ([Session.Sync]), streaming searches
// ([Session.Search]), objects by objectGUID ([Session.ByGUID]), and names resolved to identities ([Session.Resolve]). What is
// read comes as an [Entry], with attributes under AD's names; its encoding is also an agent's line and a connector space's
// record.
//
// Nothing here writes to the directory by itself: [Session.Modify] takes what only packages below this one can make, such as
// package password. Connections are always encrypted: ldaps:// or ldap:// with StartTLS.
package directory

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// DefaultTimeout is how long a controller may stay silent before a request is given up.
const DefaultTimeout = 2 * time.Minute

// dialTimeout bounds connecting and the TLS handshake, so that a dead controller does not hold up the next one.
const dialTimeout = 15 * time.Second

// Connection says how to reach one directory.
type Connection struct {
	Name     string        // the directory's name in tandem.yaml
	URLs     []string      // ldaps://host[:port], or ldap://host[:port] which uses StartTLS; tried in order
	Base     string        // DN of the naming context's root
	User     string        // UPN, DOMAIN\name or DN
	Password string        // a secret: it appears in no error
	CA       []byte        // PEM; empty: the system's
	Insecure bool          // the certificate is not verified
	Timeout  time.Duration // longest silence of the controller; zero: DefaultTimeout
}

func (c Connection) timeout() time.Duration {
	if c.Timeout <= 0 {
		return DefaultTimeout
	}
	return c.Timeout
}

// Dial connects to the first controller that answers, signs in, and reads what the session needs to know of it. Its errors
// are of the kinds [ErrUnreachable], [ErrTLS] and [ErrCredentials]. Wrong credentials end the attempt at once: asking every
// controller with a wrong password would only lock the account.
func Dial(ctx context.Context, c Connection) (*Session, error) {
	if len(c.URLs) == 0 {
		return nil, fmt.Errorf("directory %s has no URL: name a controller such as ldaps://dc1.contoso.test", c.Name)
	}
	var failures []error
	for _, u := range c.URLs {
		s, err := dialOne(ctx, c, u)
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("connect to directory %s: %w", c.Name, context.Cause(ctx))
		}
		failures = append(failures, err)
		if errors.Is(err, ErrCredentials) {
			break
		}
	}
	return nil, fmt.Errorf("connect to directory %s: %w", c.Name, errors.Join(failures...))
}

func dialOne(ctx context.Context, c Connection, address string) (*Session, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || (u.Scheme != "ldaps" && u.Scheme != "ldap") {
		return nil, &DialError{URL: address, Kind: ErrUnreachable, Cause: errors.New("not an ldaps:// or ldap:// URL"),
			Hint: "write it as ldaps://dc1.contoso.test"}
	}
	config, err := c.tlsConfig(u.Hostname())
	if err != nil {
		return nil, &DialError{URL: address, Kind: ErrTLS, Cause: err, Hint: "give a PEM file with the CA's certificate"}
	}
	raw, conn, err := open(ctx, u, config)
	if err != nil {
		return nil, classifyOpen(address, err)
	}
	s := &Session{connection: c, raw: raw, conn: conn, controller: Controller{URL: address}}
	if tls, encrypted := conn.TLSConnectionState(); encrypted && len(tls.PeerCertificates) > 0 {
		s.controller.CertificateEnds = tls.PeerCertificates[0].NotAfter
	}
	if err := s.signIn(ctx); err != nil {
		s.abort()
		return nil, err
	}
	if err := s.learn(ctx); err != nil {
		s.abort()
		return nil, err
	}
	return s, nil
}

func (c Connection) tlsConfig(host string) (*tls.Config, error) {
	config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Insecure}
	if len(c.CA) == 0 {
		return config, nil
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(c.CA) {
		return nil, errors.New("the CA file holds no PEM certificate")
	}
	return config, nil
}

// open makes an encrypted LDAP connection. It returns the raw connection too, since closing that is what ends a stuck write.
func open(ctx context.Context, u *url.URL, config *tls.Config) (*counted, *ldap.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldaps": "636", "ldap": "389"}[u.Scheme]
	}
	plain, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, nil, err
	}
	raw := &counted{Conn: plain}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	conn, err := encrypt(ctx, raw, u.Scheme, config)
	if err != nil {
		raw.Close()
		return nil, nil, err
	}
	return raw, conn, nil
}

func encrypt(ctx context.Context, raw net.Conn, scheme string, config *tls.Config) (*ldap.Conn, error) {
	if scheme == "ldap" {
		conn := ldap.NewConn(raw, false)
		conn.Start()
		if err := conn.StartTLS(config); err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
	secured := tls.Client(raw, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	conn := ldap.NewConn(secured, true)
	conn.Start()
	return conn, nil
}

// signIn does a simple bind. An empty password would be an anonymous bind that succeeds (RFC 4513 5.1.2): it is refused here.
func (s *Session) signIn(ctx context.Context) error {
	c := s.connection
	if c.User == "" || c.Password == "" {
		return &DialError{URL: s.controller.URL, User: c.User, Kind: ErrCredentials, Cause: errors.New("user or password is empty"),
			Hint: "set bind.user and bind.passwordFile or bind.passwordEnv"}
	}
	return s.do(ctx, func() error {
		if err := s.conn.Bind(c.User, c.Password); err != nil {
			return classifyBind(s.controller.URL, c.User, err)
		}
		return nil
	})
}
