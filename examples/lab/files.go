package lab

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
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
tenant:
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
`

const policyText = `# Who owns what, to begin with: written by tandem lab up.
version: 1
features: [users, groups]
assignments:
  - name: everything
    under: %q
    engine: connect
    features: [users, groups]
`

const servicePolicy = `  - name: service accounts
    under: %q
    engine: none
    features: [users, groups]
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
	policy := fmt.Sprintf(policyText, l.site.base)
	if o.Directory != NoDirectory {
		policy += fmt.Sprintf(servicePolicy, l.OU("Service"))
	}
	l.ConfigFile, l.PolicyFile = filepath.Join(l.Dir, configFile), filepath.Join(l.Dir, policyFile)
	ca, err := filepath.Abs(filepath.Join(l.Dir, caFile))
	if err != nil {
		return fmt.Errorf("the lab's folder: %w", err)
	}
	i := info{DirectoryURL: l.site.url, DirectoryBase: l.site.base, DirectoryUser: l.site.reader, DirectoryAdmin: l.site.admin, DirectoryPassword: l.site.password,
		GraphEndpoint: t.GraphEndpoint(), Authority: t.Authority(), TenantID: t.TenantID, ClientID: t.ClientID, ClientSecret: t.ClientSecret, CAFile: ca, LabToken: t.LabToken,
		AdminUser: l.admin.user, AdminPassword: l.admin.password}
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
		{configFile, fmt.Sprintf(configText, name, l.site.url, l.site.base, l.site.reader, t.GraphEndpoint(), t.Authority(), t.TenantID, t.ClientID, listen)},
		{infoFile, string(b) + "\n"},
	} {
		if err := put(filepath.Join(l.Dir, f.name), f.text); err != nil {
			return err
		}
	}
	return nil
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
