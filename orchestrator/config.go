// Package orchestrator wires Tandem together: the configuration and the real edges (state folder, directories, tenant, engine processes, channels to people) around one
// host.Host.
//
// A command or the daemon reads the configuration ([LoadConfig]), opens one [Orchestrator] ([Open]), uses it, and closes it at the end. Open takes the state folder, so only one
// process has an Orchestrator of a folder at a time, except those that only look (Options.Glance). Nothing is dialled and no engine is started before it is needed. The daemon
// also calls [Orchestrator.RunSchedules], which runs engines, waves and notifications until its context ends. All methods except Close may be called by several goroutines at
// once.
//
// Only this package imports the tenant client. It decides nothing about ownership; the host does.
package orchestrator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/tandem-sync/tandem/plugins/proxy"
	"github.com/tandem-sync/tandem/scoping"
)

// ConfigVersion is the version of tandem.yaml.
const ConfigVersion = 1

// Config is tandem.yaml. Relative paths in it are relative to its folder.
type Config struct {
	Version     int               `yaml:"version"`     // the format: 1; needed
	State       string            `yaml:"state"`       // the folder that holds all that Tandem remembers, of this host alone; needed
	Directories []DirectoryConfig `yaml:"directories"` // at least one
	Tenant      TenantConfig      `yaml:"tenant"`      // the tenant, and the application that Tandem is in it; needed
	Notify      *NotifyConfig     `yaml:"notify"`      // how people are notified of alarms, and of which; default: not at all
	Traces      *TracesConfig     `yaml:"traces"`      // the collector for traces of runs (OpenTelemetry); default: none, or the one that the environment names
	Engines     []EngineConfig    `yaml:"engines"`     // at least one
	Access      AccessConfig      `yaml:"access"`      // who may do what besides the owner of the state
	Listen      *ListenConfig     `yaml:"listen"`      // how monitoring reaches `serve --listen`; default: not at all, the socket in the state folder answers it

	file string
}

// DirectoryConfig is one directory.
type DirectoryConfig struct {
	Name string     `yaml:"name"` // how policies and messages call it; needed, and for good: the state remembers it
	URL  urls       `yaml:"url"`  // ldaps://HOST, or ldap://HOST with StartTLS; of several the first that answers is used; needed
	Base string     `yaml:"base"` // the DN of the domain; needed
	Bind BindConfig `yaml:"bind"` // the account that reads; needed
	TLS  TLSConfig  `yaml:"tls"`  // which certificates are trusted; default: those that the system trusts

	Replicate *AccountConfig `yaml:"replicate"` // reads password hashes
	Reset     *AccountConfig `yaml:"reset"`     // sets passwords
	Provision *AccountConfig `yaml:"provision"` // writes into containers
}

// urls is one URL or a list of them.
type urls []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (u *urls) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		for _, s := range strings.Split(n.Value, ",") {
			*u = append(*u, strings.TrimSpace(s))
		}
		return nil
	}
	var list []string
	if err := n.Decode(&list); err != nil {
		return err
	}
	*u = list
	return nil
}

// BindConfig is how to sign in to a directory.
type BindConfig struct {
	User         string    `yaml:"user"`         // as UPN, DOMAIN\name or DN; needed
	PasswordFile string    `yaml:"passwordFile"` // a file with the password and nothing else; this or passwordEnv
	PasswordEnv  string    `yaml:"passwordEnv"`  // an environment variable with the password
	GSSAPI       yaml.Node `yaml:"gssapi"`       // refused: controllers are signed in to with a password over TLS
}

// TLSConfig names the certificates that are trusted.
type TLSConfig struct {
	CAFile             string `yaml:"caFile"`             // a PEM file with the certificates of the CA, beside those that the system trusts
	InsecureSkipVerify bool   `yaml:"insecureSkipVerify"` // trust any certificate: for tests; every command warns. Accounts that carry passwords are refused with it
}

// TenantConfig is the tenant, and the application as which Tandem signs in to it.
type TenantConfig struct {
	Endpoint         string        `yaml:"endpoint"`         // of Microsoft Graph; default https://graph.microsoft.com; national clouds have others
	Authority        string        `yaml:"authority"`        // where the application signs in; default https://login.microsoftonline.com
	TenantID         string        `yaml:"tenantId"`         // the directory (tenant) ID of the portal; needed
	ClientID         string        `yaml:"clientId"`         // the application (client) ID of the portal; needed, but with managedIdentity
	ClientSecretFile string        `yaml:"clientSecretFile"` // a file with the client secret; exactly one of this and the next three
	ClientSecretEnv  string        `yaml:"clientSecretEnv"`  // an environment variable with the client secret
	CertificateFile  string        `yaml:"certificateFile"`  // a PEM or PKCS#12 file with the application's certificate and its private key
	ManagedIdentity  bool          `yaml:"managedIdentity"`  // the identity that Azure gives this machine; clientId names one of several
	TLS              TLSConfig     `yaml:"tls"`              // for endpoints with a CA of their own, such as the lab's
	Proxy            string        `yaml:"proxy"`            // the URL of an HTTP proxy for all requests; default: as the environment's HTTPS_PROXY and NO_PROXY say
	Delay            time.Duration `yaml:"delay"`            // how long the tenant may take to show a write; default 2m
	GhostLife        time.Duration `yaml:"ghostLife"`        // how long a request without an answer may still take effect; default 5m
	Tenure           time.Duration `yaml:"tenure"`           // how long a host may go on writing after it saw that the tenant's mark is its own; default 2m
}

// EngineConfig is one engine.
type EngineConfig struct {
	Name         string         `yaml:"name"`         // how policies and commands call it; needed, and for good
	Kind         string         `yaml:"kind"`         // connect, cloudsync or external; needed
	Schedule     time.Duration  `yaml:"schedule"`     // how often it runs while serving; default 2m for cloudsync, 30m for the others
	FullSchedule time.Duration  `yaml:"fullSchedule"` // how old the last full run may become while serving; default a week
	Command      []string       `yaml:"command"`      // of kind external: the executable and its arguments; needed there
	SHA256       string         `yaml:"sha256"`       // of kind external: the checksum of the executable, without which it is not started; needed there
	Env          []string       `yaml:"env"`          // names of the host's variables that an external engine may see
	Settings     map[string]any `yaml:"settings"`     // the engine's own; connect has none, cloudsync those below

	Accounts []scoping.Purpose `yaml:"accounts"` // of the directories, that an external engine may have; none without
}

// The kinds of engines.
const (
	KindConnect   = "connect"
	KindCloudSync = "cloudsync"
	KindExternal  = "external"
)

// ConfigError contains every mistake of a configuration, in the order of the file. A mistake without a line concerns the whole file.
type ConfigError struct{ Mistakes scoping.Mistakes }

// Error returns the mistakes, one a line.
func (e *ConfigError) Error() string { return e.Mistakes.Error() }

// wholeFile returns the error of one mistake that has no place in the file.
func wholeFile(file, format string, args ...any) *ConfigError {
	return &ConfigError{Mistakes: scoping.Mistakes{{Pos: scoping.Pos{File: file}, What: fmt.Sprintf(format, args...)}}}
}

// SystemConfig is the configuration of a Tandem that is installed as a service.
const SystemConfig = "/etc/tandem/tandem.yaml"

// LoadConfig reads tandem.yaml. An empty path stands for TANDEM_CONFIG, then ./tandem.yaml, then SystemConfig. Mistakes are a *ConfigError.
func LoadConfig(path string, getenv func(string) string) (Config, error) {
	if path == "" {
		path = getenv("TANDEM_CONFIG")
	}
	if path == "" {
		path = "tandem.yaml"
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			if _, err := os.Stat(SystemConfig); err == nil {
				path = SystemConfig
			}
		}
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return Config{}, wholeFile(path, "there is no such file: name one with --config or TANDEM_CONFIG, or let `tandem lab up --dir DIR` write one to begin with")
	}
	if err != nil {
		return Config{}, wholeFile(path, "it cannot be read: %s", causeOf(err))
	}
	return ParseConfig(path, b)
}

// ParseConfig reads the text of tandem.yaml; file is for messages and relative paths.
func ParseConfig(file string, b []byte) (Config, error) {
	c := Config{file: file}
	if len(bytes.TrimSpace(b)) == 0 {
		return c, wholeFile(file, "the file is empty: `tandem lab up --dir DIR` writes one to begin with")
	}
	if err := yaml.Load(b, &c, yaml.WithKnownFields()); err != nil {
		return c, &ConfigError{Mistakes: yamlMistakes(file, rootOf(b), err)}
	}
	c.file = file
	m := &mistakes{root: rootOf(b)}
	if c.problems(m); len(m.all) > 0 {
		return c, &ConfigError{Mistakes: m.inOrder(file)}
	}
	return c, nil
}

// causeOf returns the operating system's error without the path, which the message contains already.
func causeOf(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// rootOf returns the top node of a file, with places; nil: it is no YAML, or empty.
func rootOf(b []byte) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Load(b, &doc); err != nil || len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

func yamlMistakes(file string, root *yaml.Node, err error) scoping.Mistakes {
	var all *yaml.LoadErrors
	if errors.As(err, &all) {
		var out scoping.Mistakes
		for _, e := range all.Errors {
			out = append(out, yamlMistake(file, root, e))
		}
		return out
	}
	return scoping.Mistakes{yamlMistake(file, root, err)}
}

func yamlMistake(file string, root *yaml.Node, err error) scoping.Mistake {
	var one *yaml.LoadError
	if errors.As(err, &one) && one.Mark.Line > 0 {
		what := explainYAML(one.Message, keyAt(root, one.Mark.Line, one.Mark.Column))
		return scoping.Mistake{Pos: scoping.Pos{File: file, Line: one.Mark.Line, Column: max(1, one.Mark.Column)}, What: what}
	}
	return scoping.Mistake{Pos: scoping.Pos{File: file}, What: err.Error()}
}

// problems notes every mistake.
func (c *Config) problems(m *mistakes) {
	bad := m.at()
	if c.Version != ConfigVersion {
		bad("version", "version: this program knows version %d, the file says %d", ConfigVersion, c.Version)
	}
	if c.State == "" {
		bad("state", "state: name a folder, such as ./state")
	}
	if c.Notify != nil {
		c.Notify.problems(m)
	}
	if c.Traces != nil {
		c.Traces.problems(m.at("traces"))
	}
	if c.Listen != nil {
		c.Listen.problems(m.at("listen"))
	}
	c.Access.problems(m.at("access"))
	if len(c.Directories) == 0 {
		bad("directories", "directories: name at least one")
	}
	seen := map[string]bool{}
	for i := range c.Directories {
		c.Directories[i].problems(i, seen, m)
	}
	c.Tenant.problems(m.at("tenant"))
	if len(c.Engines) == 0 {
		bad("engines", "engines: name at least one")
	}
	names := map[string]bool{}
	for i := range c.Engines {
		c.Engines[i].problems(i, names, m.at("engines", i))
	}
}

func (d *DirectoryConfig) problems(i int, seen map[string]bool, m *mistakes) {
	bad := m.at("directories", i)
	at := fmt.Sprintf("directories[%d]", i)
	if d.Name == "" {
		bad("name", "%s.name: give the directory a name", at)
	} else {
		at = "directory " + d.Name
	}
	if seen[d.Name] {
		bad("name", "%s: the name stands twice", at)
	}
	if strings.HasPrefix(d.Name, scoping.Tenant[:1]) {
		bad("name", "%s: a name cannot begin with %s: so the tenant is named among the directories", at, scoping.Tenant[:1])
	}
	seen[d.Name] = true
	for _, u := range d.URL {
		if !strings.HasPrefix(u, "ldaps://") && !strings.HasPrefix(u, "ldap://") {
			bad("url", "%s: url %q: must begin with ldaps:// (or ldap://, which uses StartTLS)", at, u)
		}
	}
	if len(d.URL) == 0 {
		bad("url", "%s: url is missing", at)
	}
	if d.Base == "" {
		bad("base", "%s: base is missing, such as DC=contoso,DC=test", at)
	} else if _, err := scoping.ParseDN(d.Base); err != nil {
		bad("base", "%s: base: %v", at, err)
	}
	if d.Bind.GSSAPI.Kind != 0 {
		bad("bind", "%s: bind.gssapi: this version signs in to controllers with a password over TLS, not by Kerberos: give user with passwordFile or passwordEnv", at)
	} else if d.Bind.User == "" || (d.Bind.PasswordFile == "") == (d.Bind.PasswordEnv == "") {
		bad("bind", "%s: bind: give user, and exactly one of passwordFile and passwordEnv", at)
	}
	for _, p := range scoping.Purposes() {
		if a := d.account(p); a != nil {
			a.problems(p, at, d, m.at("directories", i, string(p)))
		} else if m.has("directories", i, string(p)) {
			(&AccountConfig{}).problems(p, at, d, m.at("directories", i, string(p))) // the file has the key without a value
		}
	}
}

func (t *TenantConfig) problems(bad placer) {
	ways := 0
	for _, set := range []bool{t.ClientSecretFile != "", t.ClientSecretEnv != "", t.CertificateFile != "", t.ManagedIdentity} {
		if set {
			ways++
		}
	}
	if ways != 1 {
		bad("", "tenant: give exactly one of clientSecretFile, clientSecretEnv, certificateFile and managedIdentity")
	}
	if t.TenantID == "" {
		bad("tenantId", "tenant.tenantId is missing")
	}
	if t.ClientID == "" && !t.ManagedIdentity {
		bad("clientId", "tenant.clientId is missing")
	}
	for key, u := range map[string]string{"endpoint": t.Endpoint, "authority": t.Authority} {
		if u != "" && !strings.HasPrefix(u, "https://") {
			bad(key, "tenant: %q must begin with https://", u)
		}
	}
	if _, err := t.proxy(); err != nil {
		bad("proxy", "tenant.proxy: %v", err)
	}
}

// proxy returns the proxy that the configuration names; nil: the environment's.
func (t *TenantConfig) proxy() (*url.URL, error) {
	if t.Proxy == "" {
		return nil, nil
	}
	u, err := url.Parse(t.Proxy)
	if err != nil {
		return nil, errors.New("it is no URL") // the parser's error shows the text, which may contain a password
	}
	return u, proxy.Check(u)
}

func (e *EngineConfig) problems(i int, names map[string]bool, bad placer) {
	at := fmt.Sprintf("engines[%d]", i)
	if e.Name == "" || e.Name == "none" {
		bad("name", "%s.name: give the engine a name other than none", at)
	} else {
		at = "engine " + e.Name
	}
	if names[e.Name] {
		bad("name", "%s: the name stands twice", at)
	}
	names[e.Name] = true
	switch e.Kind {
	case KindConnect, KindCloudSync:
		if len(e.Command) > 0 || e.SHA256 != "" {
			bad("command", "%s: command and sha256 are for kind external", at)
		}
	case KindExternal:
		if len(e.Command) == 0 {
			bad("command", "%s: kind external needs a command", at)
		}
		if e.SHA256 == "" {
			bad("sha256", "%s: kind external needs the sha256 of its executable (`sha256sum %s`)", at, firstOf(e.Command))
		}
	default:
		bad("kind", "%s: kind %q is not one of connect, cloudsync, external", at, e.Kind)
	}
	e.accountProblems(at, bad)
	if e.Schedule < 0 {
		bad("schedule", "%s: schedule is negative", at)
	}
	if e.FullSchedule < 0 {
		bad("fullSchedule", "%s: fullSchedule is negative", at)
	}
	if _, err := json.Marshal(e.Settings); err != nil {
		bad("settings", "%s: settings: %v", at, err)
	}
}

func firstOf(s []string) string {
	if len(s) == 0 {
		return "FILE"
	}
	return s[0]
}

// path resolves a path of the configuration: relative ones start at the file's folder.
func (c *Config) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(filepath.Dir(c.file), p)
}

// StateDir returns the state folder.
func (c *Config) StateDir() string { return c.path(c.State) }

// secret reads a secret from a file or, if env is not empty, from a variable. what names it in messages.
func (c *Config) secret(what, file, env string, getenv func(string) string) (string, error) {
	if env != "" {
		if v := getenv(env); v != "" {
			return v, nil
		}
		return "", c.wrong("%s: the environment variable %s is empty: set it to the secret", what, env)
	}
	b, err := os.ReadFile(c.path(file))
	if err != nil {
		return "", c.wrong("%s: the file %s cannot be read: %s", what, c.path(file), causeOf(err))
	}
	v := strings.TrimRight(string(b), "\r\n")
	if v == "" {
		return "", c.wrong("%s: the file %s is empty: write the secret into it", what, c.path(file))
	}
	return v, nil
}

// wrong returns an error of the configuration that only its use shows, such as a file that does not exist.
func (c *Config) wrong(format string, args ...any) error {
	return wholeFile(c.file, format, args...)
}

// caPEM reads a PEM file; nil: none is named.
func (c *Config) caPEM(what, file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(c.path(file))
	if err != nil {
		return nil, c.wrong("%s: the file %s cannot be read: %s", what, c.path(file), causeOf(err))
	}
	return b, nil
}

// Exposed returns the files of secrets that every user of this machine can read. A file that does not exist is left out: reading it fails with an error of its own.
func (c *Config) Exposed() []string {
	files := []string{c.Tenant.ClientSecretFile, c.Tenant.CertificateFile}
	for _, d := range c.Directories {
		files = append(files, d.Bind.PasswordFile)
		for _, p := range scoping.Purposes() {
			if a := d.account(p); a != nil {
				files = append(files, a.PasswordFile)
			}
		}
	}
	var out []string
	for _, f := range files {
		// On Windows the mode says nothing about who may read a file.
		if info, err := os.Stat(c.path(f)); f != "" && err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o004 != 0 {
			out = append(out, c.path(f))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Insecure returns the directories whose certificates are not verified. Every command warns about them.
func (c *Config) Insecure() []string {
	var out []string
	for _, d := range c.Directories {
		if d.TLS.InsecureSkipVerify {
			out = append(out, d.Name)
		}
	}
	slices.Sort(out)
	return out
}
