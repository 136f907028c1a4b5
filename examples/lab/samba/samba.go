//go:build linux

// Package samba provisions a Samba Active Directory domain controller in a folder and runs it in network, mount and process
// namespaces of its own, so that several can run side by side on their fixed ports and none outlives its runner.
//
// It needs root and the Debian packages samba-ad-dc and samba-ad-provision; [Available] says what is missing. The domain
// controller is for tests and demonstrations: password complexity and ageing are off and its data is of no value.
//
// Nothing needs cleaning up after a killed runner. The domain controller is process 1 of its process namespace and is
// killed by the kernel together with the thread that started it; the namespaces end with their last process. There is no
// virtual network card: a relay in the runner listens on loopback and dials from a thread that lives in the namespace.
package samba

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	hostName      = "dc1"
	readOnlyName  = "svc-tandem"
	listenTimeout = 90 * time.Second
)

// ErrUnavailable is the kind of the error by which [Available] and [Start] say that this machine cannot run Samba.
var ErrUnavailable = errors.New("samba cannot run here")

// Options say what domain to run. The zero value runs contoso.test in a temporary folder that Stop removes.
type Options struct {
	// Dir holds the domain controller. One that already holds a provisioned domain is started as it is, so that a domain
	// outlives its process. Empty means a temporary folder, removed by Stop.
	Dir string
	// Domain is the DNS name, contoso.test if empty.
	Domain string
	// AdminPassword is the password of Administrator; a fixed one for the lab if empty. It must be the same when Dir is
	// started again.
	AdminPassword string
	// Cache is a folder for freshly provisioned domains, of which Start takes a copy: tens of megabytes for each domain name,
	// and seconds saved with each start. Empty means the user's cache folder. Domains made from one cached original have
	// the same SID and objectGUIDs of built-in objects.
	Cache string
	// Global are lines for the section [global] of smb.conf, such as "ntlm auth = disabled", for a domain that is not there yet.
	Global []string
	// Log gets what the provisioning tools and the domain controller print. Nil discards it.
	Log io.Writer
}

func (o Options) withDefaults() (Options, error) {
	if o.Domain == "" {
		o.Domain = "contoso.test"
	}
	if o.AdminPassword == "" {
		o.AdminPassword = "Lab-Passw0rd!"
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if strings.Count(o.Domain, ".") == 0 || strings.ContainsAny(o.Domain, " ,=/") {
		return o, fmt.Errorf("domain %q is not a DNS name of two or more labels", o.Domain)
	}
	return o, nil
}

// Available returns nil if a domain controller can be run here, else an [ErrUnavailable] that names what is missing.
func Available() error {
	var missing []string
	for _, need := range []struct{ program, pkg string }{
		{"samba", "samba-ad-dc"}, {"samba-tool", "samba-common-bin"}, {"cp", "coreutils"}, {"/usr/bin/python3", "python3-samba"}, {"ip", "iproute2"}, {"mount", "mount"},
	} {
		if _, err := exec.LookPath(need.program); err != nil {
			missing = append(missing, fmt.Sprintf("%s (Debian package %s)", need.program, need.pkg))
		}
	}
	if _, err := os.Stat("/usr/share/samba/setup/provision.ldif"); err != nil {
		missing = append(missing, "the provisioning files (Debian package samba-ad-provision)")
	}
	if len(directoryModules()) == 0 {
		missing = append(missing, "the directory modules (Debian package samba-dsdb-modules)")
	}
	if present, err := exists(home); !present || err != nil {
		missing = append(missing, home+" (Debian package samba-common)")
	}
	if os.Geteuid() != 0 {
		missing = append(missing, "root rights")
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: missing %s", ErrUnavailable, strings.Join(missing, ", "))
	}
	return nil
}

// directoryModules finds Samba's AD modules for its database, whatever the architecture's library folder is called.
func directoryModules() []string {
	found, err := filepath.Glob("/usr/lib/*/samba/ldb/samba_dsdb.so")
	if err != nil {
		return nil
	}
	return found
}

// DC is a running domain controller. Its methods are safe for concurrent use.
type DC struct {
	opts        Options
	removeDir   bool
	ca          *authority
	process     *process
	dialer      *dialer
	secure      *relay
	plain       *relay
	replication *relay
}

// Start provisions the domain if Dir does not hold it yet (about ten seconds), starts the domain controller and returns once
// LDAPS accepts connections. The context bounds the start only: the domain controller runs until Stop, or until this
// process ends.
func Start(ctx context.Context, o Options) (*DC, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	dc := &DC{opts: o}
	if o.Dir == "" {
		if dc.opts.Dir, err = os.MkdirTemp("", "tandem-samba-"); err != nil {
			return nil, fmt.Errorf("making a folder for the domain controller: %w", err)
		}
		dc.removeDir = true
	}
	if dc.opts.Dir, err = filepath.Abs(dc.opts.Dir); err != nil {
		return nil, fmt.Errorf("folder of the domain controller: %w", err)
	}
	if err := dc.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a domain controller for %s: %w", o.Domain, err), dc.Stop())
	}
	return dc, nil
}

func (d *DC) start(ctx context.Context) error {
	var err error
	if d.ca, err = openAuthority(d.opts.Dir, d.fqdn()); err != nil {
		return err
	}
	if err := provision(ctx, d.opts); err != nil {
		return err
	}
	if d.process, err = startProcess(d.opts); err != nil {
		return err
	}
	if d.dialer, err = newDialer(d.process.pid()); err != nil {
		return err
	}
	if err := d.awaitListening(ctx); err != nil {
		return err
	}
	if d.secure, err = newRelay(d.dialer, 636); err != nil {
		return err
	}
	if d.plain, err = newRelay(d.dialer, 389); err != nil {
		return err
	}
	d.replication, err = newRelay(d.dialer, replicationPort)
	return err
}

// awaitListening returns when the LDAPS port takes connections: the last sign of a start that can be seen from outside.
func (d *DC) awaitListening(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := d.dialer.dial(636)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-d.process.done:
			return fmt.Errorf("samba ended before it listened: %w", d.process.failure())
		case <-ctx.Done():
			return fmt.Errorf("samba does not listen on port 636: %w (last: %w)", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// Stop ends the domain controller and waits until no process and no connection of it is left. Dir stays unless it was
// made by Start. Stopping twice is allowed.
func (d *DC) Stop() error {
	for _, r := range []*relay{d.secure, d.plain, d.replication} {
		if r != nil {
			r.close()
		}
	}
	if d.dialer != nil {
		d.dialer.close()
	}
	if d.process != nil {
		d.process.stop()
	}
	if d.removeDir {
		return os.RemoveAll(d.opts.Dir)
	}
	return nil
}

// URL is the address for LDAP over TLS, "ldaps://127.0.0.1:PORT". The port changes with each start.
func (d *DC) URL() string { return "ldaps://" + d.secure.addr() }

// PlainURL is the address for plain LDAP, on which Samba takes a simple bind only after StartTLS.
func (d *DC) PlainURL() string { return "ldap://" + d.plain.addr() }

// ReplicationPort is the port at 127.0.0.1 for replication (MS-DRSR over TCP). It changes with each start.
func (d *DC) ReplicationPort() int { return d.replication.listener.Addr().(*net.TCPAddr).Port }

// Dial connects to any TCP port of the domain controller, such as 135 for the RPC endpoint mapper.
func (d *DC) Dial(port int) (net.Conn, error) { return d.dialer.dial(port) }

// Done is closed when the domain controller has ended, by Stop or by itself.
func (d *DC) Done() <-chan struct{} { return d.process.done }

// CAFile is the PEM file of the authority that issued the server's certificate.
func (d *DC) CAFile() string { return d.ca.certFile }

// CAPEM is the content of CAFile.
func (d *DC) CAPEM() []byte { return d.ca.certPEM }

// Base is the domain's distinguished name.
func (d *DC) Base() string { return baseDN(d.opts.Domain) }

// Domain is the domain's DNS name.
func (d *DC) Domain() string { return d.opts.Domain }

// Dir is the folder that holds the domain controller.
func (d *DC) Dir() string { return d.opts.Dir }

// AdminUser is the bind name of the domain administrator.
func (d *DC) AdminUser() string { return "Administrator@" + d.opts.Domain }

// AdminPassword is the password of AdminUser and of ReadOnlyUser.
func (d *DC) AdminPassword() string { return d.opts.AdminPassword }

// ReadOnlyUser is the bind name of a service account that can write nothing, may use DirSync, and sees tombstones.
func (d *DC) ReadOnlyUser() string { return readOnlyName + "@" + d.opts.Domain }

// ReadOnlyPassword is the password of ReadOnlyUser.
func (d *DC) ReadOnlyPassword() string { return d.opts.AdminPassword }

func (d *DC) fqdn() string { return hostName + "." + d.opts.Domain }

func baseDN(domain string) string {
	return "DC=" + strings.ReplaceAll(domain, ".", ",DC=")
}
