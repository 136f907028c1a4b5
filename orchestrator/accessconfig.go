package orchestrator

import "strings"

// AccessConfig names users and groups of the operating system, by what they may do. The owner of the state's folder and root may do everything except set passwords.
type AccessConfig struct {
	Socket    string   `yaml:"socket"`    // where `tandem serve` listens for users who do not own the state; empty: nowhere
	Read      []string `yaml:"read"`      // look, and change nothing
	Operate   []string `yaml:"operate"`   // run engines and waves, stop and start; they read as well
	Approve   []string `yaml:"approve"`   // answer what waits for a person; they read as well
	Passwords []string `yaml:"passwords"` // set passwords by `tandem password set`; empty: no user may
}

// problems notes every mistake of it.
func (a AccessConfig) problems(bad placer) {
	named := 0
	for _, r := range []struct {
		key   string
		names []string
	}{{"read", a.Read}, {"operate", a.Operate}, {"approve", a.Approve}, {"passwords", a.Passwords}} {
		for i, name := range r.names {
			if strings.TrimSpace(name) == "" {
				bad(r.key, "access.%s[%d]: name a user or a group of the operating system", r.key, i)
			}
		}
		named += len(r.names)
	}
	if a.Socket != "" && named == 0 {
		bad("socket", "access.socket: nobody is named who may use it: name users or groups under access.read, operate, approve or passwords")
	}
}

// SocketPath returns where the daemon listens for users who do not own the state; empty: nowhere.
func (c *Config) SocketPath() string {
	if c.Access.Socket == "" {
		return ""
	}
	return c.path(c.Access.Socket)
}
