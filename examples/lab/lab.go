// Package lab puts a whole lab together: a directory (embedded, or a Samba domain controller), a tenant that speaks Microsoft Graph, people and
// groups in the directory, and the files with which Tandem finds all of it.
//
// A lab is for demonstrations and tests: its passwords are fixed, everything listens on loopback, and the embedded parts forget everything when they end.
package lab

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
	"github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/examples/lab/samba"
	"github.com/tandem-sync/tandem/examples/lab/seed"
	"github.com/tandem-sync/tandem/examples/lab/tenant"
	ad "github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// The kinds of directories.
const (
	Embedded    = "embedded"
	Samba       = "samba"
	NoDirectory = "none"
)

// DefaultDomain is the lab's domain when none is named.
const DefaultDomain = "contoso.test"

// Options say what lab to make.
type Options struct {
	Dir       string // gets the files; made when absent
	Users     int    // people in the directory; groups and OUs around them
	Directory string // Embedded (default), Samba or NoDirectory
	Domain    string // DefaultDomain if empty
	Seed      uint64 // the same seed gives the same people
	Hires     bool   // people that HR hires in the tenant are to be brought into the directory: see hires.go
}

// Lab is a running lab. Close it.
type Lab struct {
	Dir        string
	ConfigFile string
	PolicyFile string
	World      seed.World
	Model      *tenant.Model
	Tenant     *tenant.Server

	domain string
	site   site
	admin  admin
	hired  string // id of the group of whom HR hired; "" without
	close  []func() error
}

// site is a directory and how to sign in to it.
type site struct {
	url, base, admin, reader, password string
	ca                                 []byte
	replication                        int // TCP port of it; 0: the directory has none
	services                           []service
}

// service is an account for one purpose beside reading, with the rights for that alone.
type service struct {
	purpose  scoping.Purpose
	user     string
	password string
	under    []string // the containers in which it has something to do; none: everywhere
}

// admin is an administrator of the tenant, a person that no directory has.
type admin struct{ id, user, password string }

// Up starts a lab and writes its files once everything accepts connections.
func Up(ctx context.Context, o Options) (*Lab, error) {
	if o.Domain == "" {
		o.Domain = DefaultDomain
	}
	l := &Lab{Dir: o.Dir, domain: o.Domain}
	if err := l.up(ctx, o); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) up(ctx context.Context, o Options) error {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fmt.Errorf("making the lab's folder: %w", err)
	}
	l.Model = tenant.NewModel(tenant.Options{Domain: o.Domain})
	var err error
	// The lab ends by Close and not with ctx, so that what works with it can end first.
	if l.Tenant, err = tenant.Serve(context.WithoutCancel(ctx), l.Model, tenant.ServeOptions{}); err != nil {
		return fmt.Errorf("starting the lab's tenant: %w", err)
	}
	l.close = append(l.close, l.Tenant.Close)
	if err := l.administrator(); err != nil {
		return err
	}
	l.World = seed.Plan(o.Users, o.Seed, o.Domain)
	switch o.Directory {
	case "", Embedded:
		err = l.embedded(ctx)
	case Samba:
		err = l.samba(ctx)
	case NoDirectory:
		l.site = site{url: "ldaps://dc1." + o.Domain, base: l.World.Base, reader: directory.ReadOnlyName + "@" + o.Domain}
	default:
		err = fmt.Errorf("the lab has no directory %q: embedded, samba or none", o.Directory)
	}
	if err == nil && o.Hires {
		err = l.hires(o)
	}
	if err != nil {
		return err
	}
	return l.write(o)
}

func (l *Lab) administrator() error {
	domains := l.Model.Domains()
	l.admin = admin{user: "lab-administrator@" + domains[len(domains)-1], password: "aA1!" + rand.Text()}
	o, err := l.Model.AddAdministrator(l.admin.user, "Lab Administrator", secret.Take([]byte(l.admin.password)))
	l.admin.id = o.ID
	return err
}

func (l *Lab) embedded(ctx context.Context) error {
	m := directory.New(directory.Options{Domain: l.domain, Own: rand.Reader})
	s, err := directory.Serve(context.WithoutCancel(ctx), m, directory.ServerOptions{})
	if err != nil {
		return fmt.Errorf("starting the embedded directory: %w", err)
	}
	l.close = append(l.close, s.Close)
	l.site = site{url: s.URL(), base: m.Base(), admin: m.AdminUser(), reader: m.ReadOnlyUser(), password: m.AdminPassword(), ca: s.CAPEM()}
	return l.World.Fill(ctx, m)
}

func (l *Lab) samba(ctx context.Context) error {
	d, err := samba.Start(ctx, samba.Options{Domain: l.domain})
	if err != nil {
		return fmt.Errorf("starting Samba: %w", err)
	}
	l.close = append(l.close, d.Stop)
	l.site = site{url: d.URL(), base: d.Base(), admin: d.AdminUser(), reader: d.ReadOnlyUser(), password: d.AdminPassword(), ca: d.CAPEM()}
	l.site.replication = d.ReplicationPort()
	c, err := l.Dial()
	if err != nil {
		return err
	}
	return errors.Join(l.World.Apply(ctx, c), l.delegate(c), c.Close())
}

// delegate makes the accounts by purpose.
func (l *Lab) delegate(c *ldap.Conn) error {
	for _, p := range []struct {
		purpose scoping.Purpose
		name    string
		rights  map[string]delegation.Entry
	}{{scoping.Replicate, "svc-hash", delegation.Replicate}, {scoping.Reset, "svc-reset", delegation.Reset}} {
		password := "aA1!" + rand.Text()
		_, sid, err := delegation.Account(c, "CN=Users,"+l.site.base, p.name, password)
		if err == nil {
			err = delegation.Grant(c, l.site.base, sid, slices.Collect(maps.Values(p.rights))...)
		}
		if err != nil {
			return fmt.Errorf("the lab's account for %s: %w", p.purpose, err)
		}
		l.site.services = append(l.site.services, service{purpose: p.purpose, user: p.name + "@" + l.domain, password: password})
	}
	return nil
}

// Connection returns how to sign in to the directory to read it, and the accounts for other purposes.
func (l *Lab) Connection() (ad.Connection, map[scoping.Purpose]ad.Account) {
	accounts := map[scoping.Purpose]ad.Account{}
	for _, s := range l.site.services {
		accounts[s.purpose] = ad.Account{User: s.user, Password: secret.Take([]byte(s.password)), Port: l.site.replication, Under: s.under}
	}
	return ad.Connection{Name: "contoso", URLs: []string{l.site.url}, Base: l.site.base, User: l.site.reader, Password: l.site.password, CA: l.site.ca}, accounts
}

// Replicates reports whether password hashes can be read from the lab's directory.
func (l *Lab) Replicates() bool { return l.site.replication != 0 }

// Base is the domain's distinguished name.
func (l *Lab) Base() string { return l.site.base }

// Domain is the domain's DNS name.
func (l *Lab) Domain() string { return l.domain }

// Dial signs in to the directory as its administrator, to change it.
func (l *Lab) Dial() (*ldap.Conn, error) {
	c, err := l.dial()
	if err != nil {
		return nil, err
	}
	if err := c.Bind(l.site.admin, l.site.password); err != nil {
		return nil, errors.Join(fmt.Errorf("signing in to the lab's directory: %w", err), c.Close())
	}
	return c, nil
}

// dial connects to the directory.
func (l *Lab) dial() (*ldap.Conn, error) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(l.site.ca)
	c, err := ldap.DialURL(l.site.url, ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool}))
	if err != nil {
		return nil, fmt.Errorf("connecting to the lab's directory: %w", err)
	}
	return c, nil
}

// Close ends directory and tenant and waits for them. The files stay.
func (l *Lab) Close() error {
	var errs []error
	for _, f := range l.close {
		errs = append(errs, f())
	}
	l.close = nil
	return errors.Join(errs...)
}

// OU gives the DN of an OU of the lab, the deepest name first.
func (l *Lab) OU(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString("OU=" + ldap.EscapeDN(n) + ",")
	}
	return b.String() + l.site.base
}
