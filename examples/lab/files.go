package lab

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/tandem-sync/tandem/scoping"
)

// The lab's files.
const (
	configFile   = "tandem.yaml"
	policyFile   = "policy.yaml"
	caFile       = "lab-ca.pem" // of directory and tenant
	passwordFile = "ad-password"
	secretFile   = "entra-secret"
	infoFile     = "lab.json"
)

// info is lab.json: what somebody else's tools need to join in.
type info struct {
	DirectoryURL      string `json:"directoryURL"`
	DirectoryBase     string `json:"directoryBase"`
	DirectoryUser     string `json:"directoryUser"`     // reads everything, writes nothing
	DirectoryAdmin    string `json:"directoryAdmin"`    // writes
	DirectoryPassword string `json:"directoryPassword"` // of both
	GraphEndpoint     string `json:"graphEndpoint"`
	Authority         string `json:"authority"`
	TenantID          string `json:"tenantId"`
	ClientID          string `json:"clientId"`
	ClientSecret      string `json:"clientSecret"`
	CAFile            string `json:"caFile"`
	LabToken          string `json:"labToken"`      // for the tenant's paths below /lab/
	AdminUser         string `json:"adminUser"`     // may do in the tenant what Graph does for people only: reset passwords
	AdminPassword     string `json:"adminPassword"` // for the token endpoint with grant_type=password
	BulkUpload        string `json:"bulkUpload"`    // to which an HR system sends people
}

const configText = `# The lab's configuration: written by tandem lab up.
version: 1
state: ./state
directories:
  - name: %q
    url: %s
    base: %q
    bind: {user: %q, passwordFile: ./ad-password}
    tls: {caFile: ./lab-ca.pem}
%stenant:
  endpoint: %s
  authority: %s
  tenantId: %s
  clientId: %s
  clientSecretFile: ./entra-secret
  tls: {caFile: ./lab-ca.pem}
  delay: 2s        # the lab's tenant shows a write at once
  ghostLife: 10s   # and keeps no request that it did not answer
  tenure: 6s       # so that a take-over need not wait for minutes
engines:
  - name: connect
    kind: connect
    schedule: 30m
  - name: cloudsync
    kind: cloudsync
    schedule: 2m
    settings:
      agents:
        listen: %s
        minimum: 1
        embedded: 1
%s`

const policyText = `# Who owns what, to begin with: written by tandem lab up.
version: 1
features: [%[1]s]
assignments:
  - name: everything
    under: %[2]q
    engine: connect
    features: [%[3]s]
`

const servicePolicy = `  - name: service accounts
    under: %q
    engine: none
    features: [%s]
`

// write puts the lab's files into its folder; lab.json comes last, so that whoever waits for it finds everything.
func (l *Lab) write(o Options) error {
	listen, err := freePort()
	if err != nil {
		return err
	}
	name := l.World.Domain
	for i, c := range name {
		if c == '.' {
			name = name[:i]
			break
		}
	}
	t := l.Tenant
	features := "users, groups"
	if l.Replicates() {
		features += ", password-hash, password-writeback"
	}
	all := features
	if l.hired != "" {
		all += ", user-provisioning"
	}
	policy := fmt.Sprintf(policyText, all, l.site.base, features)
	if o.Directory != NoDirectory {
		policy += fmt.Sprintf(servicePolicy, l.OU("Service"), features)
	}
	policy += l.hiresPolicy(o)
	services, err := l.services()
	if err != nil {
		return err
	}
	l.ConfigFile, l.PolicyFile = filepath.Join(l.Dir, configFile), filepath.Join(l.Dir, policyFile)
	ca, err := filepath.Abs(filepath.Join(l.Dir, caFile))
	if err != nil {
		return fmt.Errorf("the lab's folder: %w", err)
	}
	i := info{DirectoryURL: l.site.url, DirectoryBase: l.site.base, DirectoryUser: l.site.reader, DirectoryAdmin: l.site.admin, DirectoryPassword: l.site.password,
		GraphEndpoint: t.GraphEndpoint(), Authority: t.Authority(), TenantID: t.TenantID, ClientID: t.ClientID, ClientSecret: t.ClientSecret, CAFile: ca, LabToken: t.LabToken,
		AdminUser: l.admin.user, AdminPassword: l.admin.password, BulkUpload: t.BulkUpload()}
	if o.Directory == NoDirectory {
		i.DirectoryURL = ""
	}
	b, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding lab.json: %w", err)
	}
	password := l.site.password
	if password == "" {
		password = "write the directory's password here"
	}
	for _, f := range []struct{ name, text string }{
		{caFile, string(l.site.ca) + string(t.CAPEM())}, {passwordFile, password + "\n"}, {secretFile, t.ClientSecret + "\n"}, {policyFile, policy},
		{configFile, fmt.Sprintf(configText, name, l.site.url, l.site.base, l.site.reader, services, t.GraphEndpoint(), t.Authority(), t.TenantID, t.ClientID, listen, l.hiresSettings())},
		{infoFile, string(b) + "\n"},
	} {
		if err := put(filepath.Join(l.Dir, f.name), f.text); err != nil {
			return err
		}
	}
	return nil
}

// services writes the passwords of the accounts by purpose, and returns their lines of tandem.yaml.
func (l *Lab) services() (lines string, err error) {
	for _, s := range l.site.services {
		file := "ad-password-" + string(s.purpose)
		port := ""
		if s.purpose == scoping.Replicate {
			port = fmt.Sprintf(", port: %d", l.site.replication)
		}
		if len(s.under) > 0 {
			port += fmt.Sprintf(", under: [%q]", s.under[0])
		}
		lines += fmt.Sprintf("    %s: {user: %q, passwordFile: ./%s%s}\n", s.purpose, s.user, file, port)
		if err := put(filepath.Join(l.Dir, file), s.password+"\n"); err != nil {
			return "", err
		}
	}
	return lines, nil
}

// put writes a file as a whole, readable by this user alone: nobody finds half of it.
func put(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the lab's files: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing the lab's files: %w", err)
	}
	return nil
}

// freePort finds an address on which the agents' service can listen.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a port for agents: %w", err)
	}
	return l.Addr().String(), l.Close()
}
