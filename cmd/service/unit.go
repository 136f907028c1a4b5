// Package service makes programs services of the operating system: the text of a systemd unit with its hardening, installing and removing it with the user
// that it runs as, telling systemd that a program is ready and lives, and the same for Windows' service manager.
//
// A Unit is a plain value; Text and Install may be called for it in any order. Notify and Watch are for the program that runs as the service, and do nothing
// where no systemd listens.
package service

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Unit is a service as systemd runs it.
type Unit struct {
	Name        string   // "tandem" for tandem.service
	Description string   // one line
	Manual      string   // the manual page, such as "tandem(1)"
	Program     string   // absolute path
	Args        []string // of the program
	User        string   // that it runs as, with a group of the same name
	State       string   // folder below /var/lib that systemd makes for it
	Writable    []string // more folders that it writes; absolute paths
	Reads       []string // files and folders that it reads beside the system's; absolute paths

	Notifies bool          // it says when it is ready
	Watchdog time.Duration // it says as often as that that it lives; 0: it does not
	Reloads  bool          // it reads its configuration anew at SIGHUP
	Stops    time.Duration // how long it may take to end
	Final    []int         // exit statuses after which it is not started again
	// Peers says that it asks the kernel who is at the other end of a socket. A service whose users are mapped away would be told that everybody is nobody.
	Peers bool
}

// Text returns the unit file. The hardening leaves a service its folders, the network, and nothing else; `systemd-analyze security` says what is left.
func (u Unit) Text() string {
	var b strings.Builder
	section := func(name string) { fmt.Fprintf(&b, "[%s]\n", name) }
	set := func(key, value string) { fmt.Fprintf(&b, "%s=%s\n", key, value) }

	section("Unit")
	set("Description", u.Description)
	set("Documentation", "man:"+u.Manual)
	set("Wants", "network-online.target")
	set("After", "network-online.target")
	b.WriteByte('\n')

	section("Service")
	set("Type", pick(u.Notifies, "notify", "exec"))
	if u.Notifies {
		set("NotifyAccess", "main")
		set("TimeoutStartSec", "infinity") // it waits for a command that holds the state, however long that takes
	}
	set("ExecStart", u.command())
	if u.Reloads {
		set("ExecReload", "kill -HUP $MAINPID")
	}
	set("EnvironmentFile", "-/etc/default/"+u.Name)
	set("User", u.User)
	set("Group", u.User)
	set("StateDirectory", u.State)
	set("StateDirectoryMode", "0700")
	if w := quotePaths(u.Writable); w != "" {
		set("ReadWritePaths", w)
	}
	set("Restart", "on-failure")
	set("RestartSec", "10")
	if len(u.Final) > 0 {
		set("RestartPreventExitStatus", strings.Trim(fmt.Sprint(u.Final), "[]"))
	}
	if u.Watchdog > 0 {
		set("WatchdogSec", fmt.Sprintf("%.0f", u.Watchdog.Seconds()))
	}
	set("TimeoutStopSec", fmt.Sprintf("%.0f", u.Stops.Seconds()))
	set("KillMode", "mixed") // it ends its own processes in order
	b.WriteByte('\n')
	for _, h := range u.hardening() {
		set(h[0], h[1])
	}
	b.WriteByte('\n')

	section("Install")
	set("WantedBy", "multi-user.target")
	return b.String()
}

// hardening lists what the service cannot do. Left out on purpose: ProcSubset=pid, which hides this start's id, by which files that were not synced are
// known to be whole; PrivateUsers where peers count; and what would close the network.
func (u Unit) hardening() [][2]string {
	out := [][2]string{
		{"UMask", "0077"}, {"NoNewPrivileges", "yes"}, {"CapabilityBoundingSet", ""}, {"AmbientCapabilities", ""},
		{"ProtectSystem", "strict"}, {"ProtectHome", pick(u.atHome(), "read-only", "yes")}, {"PrivateTmp", "yes"}, {"PrivateDevices", "yes"},
		{"ProtectProc", "invisible"}, {"ProtectClock", "yes"}, {"ProtectHostname", "yes"}, {"ProtectKernelLogs", "yes"}, {"ProtectKernelModules", "yes"},
		{"ProtectKernelTunables", "yes"}, {"ProtectControlGroups", "yes"}, {"RemoveIPC", "yes"},
		{"RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"}, {"RestrictNamespaces", "yes"}, {"RestrictRealtime", "yes"}, {"RestrictSUIDSGID", "yes"},
		{"LockPersonality", "yes"}, {"MemoryDenyWriteExecute", "yes"}, {"SystemCallArchitectures", "native"},
		{"SystemCallFilter", "@system-service"}, {"SystemCallFilter", "~@privileged @resources"}, {"SystemCallErrorNumber", "EPERM"},
	}
	if !u.Peers {
		out = append(out, [2]string{"PrivateUsers", "yes"})
	}
	return out
}

// atHome reports whether something that the service needs lies in somebody's home.
func (u Unit) atHome() bool {
	return slices.ContainsFunc(slices.Concat([]string{u.Program}, u.Writable, u.Reads), func(p string) bool {
		return slices.ContainsFunc([]string{"/home", "/root", "/run/user"}, func(home string) bool { return p == home || strings.HasPrefix(p, home+"/") })
	})
}

// command is the line that starts the service (systemd.service(5), "COMMAND LINES").
func (u Unit) command() string {
	words := []string{quote(u.Program)}
	for _, a := range u.Args {
		words = append(words, strings.ReplaceAll(quote(a), "$", "$$"))
	}
	return strings.Join(words, " ")
}

// quote writes a word for a unit file: C's escapes, and no specifiers (systemd.syntax(7)).
func quote(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 && s != "" {
		return s
	}
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "%", "%%").Replace(s)
	return `"` + s + `"`
}

// plain reports whether a rune means itself in every place of a unit file.
func plain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@=", r)
}

func quotePaths(paths []string) string {
	var out []string
	for _, p := range paths {
		out = append(out, quote(filepath.Clean(p)))
	}
	return strings.Join(out, " ")
}

func pick(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}
