// Package orchestrator wires Tandem together: it reads the configuration, opens state, directories, tenant and engine processes, and gives one value,
// the Orchestrator, that holds the running host.
package orchestrator

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// ConfigVersion is the version of tandem.yaml.
const ConfigVersion = 1

// Config is tandem.yaml. Relative paths in it are relative to its folder.
type Config struct {
	Version     int               `yaml:"version"`
	State       string            `yaml:"state"`
	Directories []DirectoryConfig `yaml:"directories"`
	Tenant      TenantConfig      `yaml:"tenant"`
	Notify      yaml.Node         `yaml:"notify"`
	Engines     []EngineConfig    `yaml:"engines"`

	file string
}

// DirectoryConfig is one directory.
type DirectoryConfig struct {
	Name string     `yaml:"name"`
	URL  urls       `yaml:"url"`
	Base string     `yaml:"base"`
	Bind BindConfig `yaml:"bind"`
	TLS  TLSConfig  `yaml:"tls"`
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
	User         string    `yaml:"user"`
	PasswordFile string    `yaml:"passwordFile"`
	PasswordEnv  string    `yaml:"passwordEnv"`
	GSSAPI       yaml.Node `yaml:"gssapi"`
}

// TLSConfig is which certificates are trusted.
type TLSConfig struct {
	CAFile             string `yaml:"caFile"`
	InsecureSkipVerify bool   `yaml:"insecureSkipVerify"`
}

// TenantConfig is the tenant and who Tandem is there.
type TenantConfig struct {
	Endpoint         string        `yaml:"endpoint"`
	Authority        string        `yaml:"authority"`
	TenantID         string        `yaml:"tenantId"`
	ClientID         string        `yaml:"clientId"`
	ClientSecretFile string        `yaml:"clientSecretFile"`
	ClientSecretEnv  string        `yaml:"clientSecretEnv"`
	CertificateFile  string        `yaml:"certificateFile"`
	ManagedIdentity  bool          `yaml:"managedIdentity"`
	TLS              TLSConfig     `yaml:"tls"`
	Delay            time.Duration `yaml:"delay"`     // how long the tenant may take to show a write; default 2m
	GhostLife        time.Duration `yaml:"ghostLife"` // how long a request without an answer may still take effect; default 5m
}

// EngineConfig is one engine.
type EngineConfig struct {
	Name     string         `yaml:"name"`
	Kind     string         `yaml:"kind"`
	Schedule time.Duration  `yaml:"schedule"`
	Command  []string       `yaml:"command"`
	SHA256   string         `yaml:"sha256"`
	Env      []string       `yaml:"env"` // names of the host's variables that an external engine may see
	Settings map[string]any `yaml:"settings"`
}

// The kinds of engines.
const (
	KindConnect   = "connect"
	KindCloudSync = "cloudsync"
	KindExternal  = "external"
)

// ConfigError is every mistake of a configuration at once, each with its file.
type ConfigError struct {
	File     string
	Problems []string
}

// Error lists the problems, one a line.
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = e.File + p
	}
	return strings.Join(lines, "\n")
}

// LoadConfig reads tandem.yaml. path may be empty: then TANDEM_CONFIG, then ./tandem.yaml. Mistakes are a *ConfigError.
func LoadConfig(path string, getenv func(string) string) (Config, error) {
	if path == "" {
		path = getenv("TANDEM_CONFIG")
	}
	if path == "" {
		path = "tandem.yaml"
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return Config{}, &ConfigError{File: path, Problems: []string{": there is no such file: name one with --config or TANDEM_CONFIG, or let `tandem lab up --dir DIR` write one to begin with"}}
	}
	if err != nil {
		return Config{}, fmt.Errorf("reading the configuration: %w", err)
	}
	return ParseConfig(path, b)
}

// ParseConfig reads the text of tandem.yaml; file is for messages and relative paths.
func ParseConfig(file string, b []byte) (Config, error) {
	c := Config{file: file}
	if err := yaml.Load(b, &c, yaml.WithKnownFields()); err != nil {
		return c, &ConfigError{File: file, Problems: yamlProblems(err)}
	}
	c.file = file
	if ps := c.problems(); len(ps) > 0 {
		for i := range ps {
			ps[i] = ": " + ps[i]
		}
		return c, &ConfigError{File: file, Problems: ps}
	}
	return c, nil
}

func yamlProblems(err error) []string {
	var all *yaml.LoadErrors
	if errors.As(err, &all) {
		var out []string
		for _, e := range all.Errors {
			out = append(out, problemAt(e))
		}
		return out
	}
	return []string{problemAt(err)}
}

func problemAt(err error) string {
	var one *yaml.LoadError
	if errors.As(err, &one) && one.Mark.Line > 0 {
		return fmt.Sprintf(":%d:%d: %s", one.Mark.Line, max(1, one.Mark.Column), one.Message)
	}
	return ": " + err.Error()
}

// problems gives every mistake.
func (c *Config) problems() []string {
	var ps []string
	bad := func(format string, args ...any) { ps = append(ps, fmt.Sprintf(format, args...)) }
	if c.Version != ConfigVersion {
		bad("version: this program knows version %d, the file says %d", ConfigVersion, c.Version)
	}
	if c.State == "" {
		bad("state: name a folder, such as ./state")
	}
	if c.Notify.Kind != 0 {
		bad("notify: webhooks are not available yet: leave it out")
	}
	if len(c.Directories) == 0 {
		bad("directories: name at least one")
	}
	seen := map[string]bool{}
	for i := range c.Directories {
		c.Directories[i].problems(i, seen, bad)
	}
	c.Tenant.problems(bad)
	if len(c.Engines) == 0 {
		bad("engines: name at least one")
	}
	names := map[string]bool{}
	for i := range c.Engines {
		c.Engines[i].problems(i, names, bad)
	}
	return ps
}

func (d *DirectoryConfig) problems(i int, seen map[string]bool, bad func(string, ...any)) {
	at := fmt.Sprintf("directories[%d]", i)
	if d.Name == "" {
		bad("%s.name: give the directory a name", at)
	} else {
		at = "directory " + d.Name
	}
	if seen[d.Name] {
		bad("%s: the name stands twice", at)
	}
	seen[d.Name] = true
	for _, u := range d.URL {
		if !strings.HasPrefix(u, "ldaps://") && !strings.HasPrefix(u, "ldap://") {
			bad("%s: url %q: must begin with ldaps:// (or ldap://, which uses StartTLS)", at, u)
		}
	}
	if len(d.URL) == 0 {
		bad("%s: url is missing", at)
	}
	if d.Base == "" {
		bad("%s: base is missing, such as DC=contoso,DC=test", at)
	}
	if d.Bind.GSSAPI.Kind != 0 {
		bad("%s: bind.gssapi is not available yet: use user with passwordFile or passwordEnv over TLS", at)
	} else if d.Bind.User == "" || (d.Bind.PasswordFile == "") == (d.Bind.PasswordEnv == "") {
		bad("%s: bind: give user, and exactly one of passwordFile and passwordEnv", at)
	}
}

func (t *TenantConfig) problems(bad func(string, ...any)) {
	ways := 0
	for _, set := range []bool{t.ClientSecretFile != "", t.ClientSecretEnv != "", t.CertificateFile != "", t.ManagedIdentity} {
		if set {
			ways++
		}
	}
	if ways != 1 {
		bad("tenant: give exactly one of clientSecretFile, clientSecretEnv, certificateFile and managedIdentity")
	}
	if t.TenantID == "" {
		bad("tenant.tenantId is missing")
	}
	if t.ClientID == "" && !t.ManagedIdentity {
		bad("tenant.clientId is missing")
	}
	for _, u := range []string{t.Endpoint, t.Authority} {
		if u != "" && !strings.HasPrefix(u, "https://") {
			bad("tenant: %q must begin with https://", u)
		}
	}
}

func (e *EngineConfig) problems(i int, names map[string]bool, bad func(string, ...any)) {
	at := fmt.Sprintf("engines[%d]", i)
	if e.Name == "" || e.Name == "none" {
		bad("%s.name: give the engine a name other than none", at)
	} else {
		at = "engine " + e.Name
	}
	if names[e.Name] {
		bad("%s: the name stands twice", at)
	}
	names[e.Name] = true
	switch e.Kind {
	case KindConnect, KindCloudSync:
		if len(e.Command) > 0 || e.SHA256 != "" {
			bad("%s: command and sha256 are for kind external", at)
		}
	case KindExternal:
		if len(e.Command) == 0 {
			bad("%s: kind external needs a command", at)
		}
		if e.SHA256 == "" {
			bad("%s: kind external needs the sha256 of its executable (`sha256sum %s`)", at, firstOf(e.Command))
		}
	default:
		bad("%s: kind %q is not one of connect, cloudsync, external", at, e.Kind)
	}
	if e.Schedule < 0 {
		bad("%s: schedule is negative", at)
	}
	if _, err := json.Marshal(e.Settings); err != nil {
		bad("%s: settings: %v", at, err)
	}
}

func firstOf(s []string) string {
	if len(s) == 0 {
		return "FILE"
	}
	return s[0]
}

// path makes a relative path of the file relative to the file.
func (c *Config) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(filepath.Dir(c.file), p)
}

// StateDir gives the state folder.
func (c *Config) StateDir() string { return c.path(c.State) }

// secret reads a secret from a file or a variable; what names it is for messages.
func (c *Config) secret(what, file, env string, getenv func(string) string) (string, error) {
	if env != "" {
		if v := getenv(env); v != "" {
			return v, nil
		}
		return "", fmt.Errorf("%s: the environment variable %s is empty", what, env)
	}
	b, err := os.ReadFile(c.path(file))
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	v := strings.TrimRight(string(b), "\r\n")
	if v == "" {
		return "", fmt.Errorf("%s: the file %s is empty", what, c.path(file))
	}
	return v, nil
}

// caPEM reads a CA file; nil when none is named.
func (c *Config) caPEM(what, file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(c.path(file))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return b, nil
}

// Insecure names the directories whose certificates are not verified: every command warns about them.
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
