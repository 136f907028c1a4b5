package orchestrator

import "strings"

// AccessConfig names users and groups of the operating system who may do what only some may do. Whoever owns the state's folder, and root, may all but set passwords.
type AccessConfig struct {
	Socket    string   `yaml:"socket"`    // where `tandem serve` listens for those who do not own the state; empty: nowhere
	Read      []string `yaml:"read"`      // look, and change nothing
	Operate   []string `yaml:"operate"`   // run engines and waves, stop and start; they read as well
	Approve   []string `yaml:"approve"`   // answer what waits for a person; they read as well
	Passwords []string `yaml:"passwords"` // set passwords by `tandem password set`; none: nobody may
}

// problems adds what is wrong with it.
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

// SocketPath returns where the holder of the state listens for those who do not own it; "" if it does not.
func (c *Config) SocketPath() string {
	if c.Access.Socket == "" {
		return ""
	}
	return c.path(c.Access.Socket)
}
