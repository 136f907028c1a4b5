package cloudsync

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/plugins/cloudsync/mapping"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// The defaults of settings that are not given.
const (
	DefaultListen   = "127.0.0.1:8443"
	DefaultGroup    = "default"
	DefaultMinimum  = 1
	DefaultGrace    = 40 * time.Second // longer than agents wait between two attempts to dial in
	DefaultSilence  = 2 * time.Minute
	DefaultFailures = 3
	DefaultErrors   = 500
	maxEmbedded     = 16
)

// settings are engines[].settings of this engine.
type settings struct {
	Agents      agentSettings                `json:"agents"`       // the agents that read the directories
	Directories map[string]directorySettings `json:"directories"`  // by the name of the directory
	Mappings    map[string][]Mapping         `json:"mappings"`     // by users, groups and contacts: mappings that replace the built-in ones of the same target
	Quarantine  quarantineSettings           `json:"quarantine"`   // when a directory's delta runs rest
	Provision   json.RawMessage              `json:"provisioning"` // what objects of the tenant become in a directory; `tandem mapping check` looks at it alone

	provisioning *mapping.Sets // what Provision says, or the usual
}

type agentSettings struct {
	Listen   string    `json:"listen"`   // HOST:PORT where agents dial in; default 127.0.0.1:8443
	Minimum  *int      `json:"minimum"`  // fewer live agents per directory are an alarm, and no run begins; default 1
	Embedded int       `json:"embedded"` // agents per directory that the engine starts itself, with the account of tandem.yaml; default 0
	Grace    *duration `json:"grace"`    // how long after its start the service waits for agents before a run is refused; default 40s
	Silence  *duration `json:"silence"`  // an agent that says nothing for so long in an answer is given up; default 2m
}

type directorySettings struct {
	Group string `json:"group"` // whose agents serve the directory; default: default
}

type quarantineSettings struct {
	Failures *int `json:"failures"` // failed runs in a row; default 3
	Errors   *int `json:"errors"`   // failed objects in one run; default 500
}

// duration is a time.Duration in the form "40s".
type duration time.Duration

func (d *duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a duration is written as \"40s\" or \"2m\", not %s", b)
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration such as \"40s\" or \"2m\"", s)
	}
	*d = duration(v)
	return nil
}

func parseSettings(b []byte) (settings, []string) {
	s := settings{Agents: agentSettings{Listen: DefaultListen}}
	if len(b) == 0 || string(b) == "null" {
		b = []byte("{}")
	}
	problems := unknownKeys(b)
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&s); err != nil {
		return s, append(problems, "settings: "+err.Error())
	}
	problems = append(problems, s.mistakes()...)
	sets, more := provisioningSettings(s.Provision)
	s.provisioning = sets
	return s, append(problems, more...)
}

// known are the settings' keys, by where they stand. "*" stands for any name.
var known = map[string][]string{
	"":              {"agents", "directories", "mappings", "provisioning", "quarantine"},
	"agents":        {"listen", "minimum", "embedded", "grace", "silence"},
	"quarantine":    {"failures", "errors"},
	"directories.*": {"group"},
	"mappings.*":    {"target", "type", "source", "value", "function", "required", "optional"},
}

// unknownKeys names every key that is not a setting, which a decoder would do only for the first.
func unknownKeys(b []byte) []string {
	var tree any
	if json.Unmarshal(b, &tree) != nil {
		return nil // the decoder says what is wrong
	}
	var out []string
	var walk func(path, pattern string, v any)
	walk = func(path, pattern string, v any) {
		switch v := v.(type) {
		case []any:
			for i, e := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), pattern, e)
			}
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				keys, closed := known[pattern]
				if closed && !slices.Contains(keys, k) {
					out = append(out, fmt.Sprintf("settings.%s: unknown; known here: %s", strings.TrimPrefix(path+"."+k, "."), strings.Join(keys, ", ")))
					continue
				}
				next := strings.TrimPrefix(pattern+"."+k, ".")
				if pattern == "directories" || pattern == "mappings" {
					next = pattern + ".*"
				}
				walk(strings.TrimPrefix(path+"."+k, "."), next, v[k])
			}
		}
	}
	walk("", "", tree)
	return out
}

func (s settings) mistakes() []string {
	var p []string
	if _, _, err := net.SplitHostPort(s.Agents.Listen); err != nil {
		p = append(p, fmt.Sprintf("settings.agents.listen: %q is not HOST:PORT, such as 0.0.0.0:8443", s.Agents.Listen))
	}
	if s.Agents.Embedded < 0 || s.Agents.Embedded > maxEmbedded {
		p = append(p, fmt.Sprintf("settings.agents.embedded: %d is not between 0 and %d", s.Agents.Embedded, maxEmbedded))
	}
	for name, n := range map[string]*int{"agents.minimum": s.Agents.Minimum, "quarantine.failures": s.Quarantine.Failures, "quarantine.errors": s.Quarantine.Errors} {
		if n != nil && *n < 1 {
			p = append(p, fmt.Sprintf("settings.%s: %d must be 1 or more", name, *n))
		}
	}
	slices.Sort(p)
	_, more := s.schema()
	return append(p, more...)
}

// schema is the default schema with the mappings that settings replace. What is written stays within the engine's rows of
// the feature table (rule F2): a mapping for a target that is not among the defaults is a mistake.
func (s settings) schema() (schema, []string) {
	out := defaultSchema()
	var p []string
	for _, group := range slices.Sorted(maps.Keys(s.Mappings)) {
		kind := map[string]scoping.Kind{"users": scoping.User, "groups": scoping.Group, "contacts": scoping.Contact}[group]
		if kind == "" {
			p = append(p, fmt.Sprintf("settings.mappings.%s: unknown; known here: users, groups, contacts", group))
			continue
		}
		for i, m := range s.Mappings[group] {
			where := fmt.Sprintf("settings.mappings.%s[%d]", group, i)
			at := slices.IndexFunc(out[kind], func(d Mapping) bool { return d.Target == m.Target })
			if at < 0 {
				p = append(p, fmt.Sprintf("%s: target %q is none that this engine writes to %s", where, m.Target, group))
				continue
			}
			if why := m.mistake(); why != "" {
				p = append(p, where+": "+why)
				continue
			}
			if m.Required == "" {
				m.Required = out[kind][at].Required // what a create requires stays required
			}
			out[kind][at] = m
		}
	}
	return out, p
}

func (m Mapping) mistake() string {
	switch m.Type {
	case Direct:
		if len(m.Source) != 1 {
			return "a direct mapping has one source attribute"
		}
	case Constant:
		if len(m.Source) > 0 || m.Function != "" {
			return "a constant mapping has a value and nothing else"
		}
	case Expression:
		if functions[m.Function] == nil && ofAll[m.Function] == nil {
			return fmt.Sprintf("function %q: known are %s", m.Function, strings.Join(functionNames(), ", "))
		}
		if n := arity[m.Function]; len(m.Source) == 0 || (n > 0 && len(m.Source) != n) {
			return fmt.Sprintf("function %s does not take %d source attributes", m.Function, len(m.Source))
		}
	default:
		return fmt.Sprintf("type %q: known are direct, constant, expression", m.Type)
	}
	return ""
}

func (s settings) group(directory string) string {
	if g := s.Directories[directory].Group; g != "" {
		return g
	}
	return DefaultGroup
}

func orInt(v *int, otherwise int) int {
	if v == nil {
		return otherwise
	}
	return *v
}

func orDuration(v *duration, otherwise time.Duration) time.Duration {
	if v == nil {
		return otherwise
	}
	return time.Duration(*v)
}

// mistakes reports everything that is wrong with a configuration, at once.
func mistakes(c engine.Config) (settings, []string) {
	var p []string
	if c.DataDir == "" {
		p = append(p, "no data folder was given")
	}
	if len(c.Directories) == 0 {
		p = append(p, "no directory is configured: name one under directories")
	}
	seen, bases := map[string]bool{}, map[string]string{}
	for _, d := range c.Directories {
		if seen[d.Name] || d.Name == "" || strings.Contains(d.Name, "/") {
			p = append(p, fmt.Sprintf("directory %q: a name is needed that no other has, without a slash", d.Name))
		}
		seen[d.Name] = true
		if _, err := ldap.ParseDN(d.Base); err != nil || d.Base == "" {
			p = append(p, fmt.Sprintf("directory %q: base %q is not a DN", d.Name, d.Base))
		}
		if other, twice := bases[strings.ToLower(d.Base)]; twice {
			p = append(p, fmt.Sprintf("directories %q and %q have the same base %q", other, d.Name, d.Base))
		}
		bases[strings.ToLower(d.Base)] = d.Name
	}
	for _, f := range c.Features {
		if !slices.Contains(features, f) && !slices.Contains(delivers, f) && !slices.Contains(provisions, f) {
			p = append(p, fmt.Sprintf("feature %q: this engine synchronizes users, groups, contacts, references and extensions", f))
		}
	}
	s, more := parseSettings(c.Settings)
	p = append(p, more...)
	for _, name := range slices.Sorted(maps.Keys(s.Directories)) {
		if !seen[name] {
			p = append(p, fmt.Sprintf("settings.directories.%s: no such directory", name))
		}
	}
	for _, d := range c.Directories {
		if s.Agents.Embedded > 0 && len(d.URLs) == 0 {
			p = append(p, fmt.Sprintf("directory %q has no url, which embedded agents need", d.Name))
		}
	}
	return s, p
}
