//go:build linux

package samba

import (
	"context"
	_ "embed" // the script that prepares the domain
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// prepareScript sets the password policy and makes the read-only account: it may use DirSync without OBJECT_SECURITY
// (DS-Replication-Get-Changes, MS-ADTS 3.1.1.3.4.1.3) and see tombstones. samba-tool cannot set the access list of a
// deleted object, and one Python process is faster than four runs of it.
//
//go:embed prepare.py
var prepareScript string

// home is where a domain's folder appears to Samba: tools and domain controller run in a mount namespace in which it lies over
// /etc/samba. Paths in smb.conf are then the same for every domain, short enough for Unix sockets, and a system-wide
// smb.conf, beside which provisioning refuses to run, is out of sight.
const home = "/etc/samba"

// provision puts the domain into o.Dir unless a finished one is there. A half-made one is removed first.
func provision(ctx context.Context, o Options) error {
	done := filepath.Join(o.Dir, "provisioned")
	if present, err := exists(done); present || err != nil {
		return err
	}
	domain := filepath.Join(o.Dir, "domain")
	if err := os.RemoveAll(domain); err != nil {
		return fmt.Errorf("removing a half-made domain: %w", err)
	}
	if err := fromCache(ctx, o, domain); err != nil {
		return err
	}
	if len(o.Global) > 0 {
		if err := setGlobal(filepath.Join(domain, "etc", "smb.conf"), o.Global...); err != nil {
			return err
		}
	}
	return os.WriteFile(done, []byte(o.Domain+"\n"), 0o644)
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// makeDomain provisions into dir/domain.
func makeDomain(ctx context.Context, o Options, dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "domain", "pid"), 0o755); err != nil {
		return fmt.Errorf("making the domain's folder: %w", err)
	}
	if err := runTool(ctx, o, dir, exec.CommandContext(ctx, "samba-tool", provisionArgs(o)...)); err != nil {
		return fmt.Errorf("provisioning: %w", err)
	}
	if err := setGlobal(filepath.Join(dir, "domain", "etc", "smb.conf"), settings...); err != nil {
		return err
	}
	// The samba module belongs to the distribution's Python, which need not be the first on PATH.
	prepare := exec.CommandContext(ctx, "/usr/bin/python3", "-c", prepareScript, confFile, home+"/domain/private/sam.ldb", readOnlyName)
	prepare.Stdin = strings.NewReader(o.AdminPassword + "\n")
	if err := runTool(ctx, o, dir, prepare); err != nil {
		return fmt.Errorf("setting the password policy and making %s: %w", readOnlyName, err)
	}
	return nil
}

// replicationPort is where the domain controller's replication listens, instead of at a port that only its endpoint mapper knows.
const replicationPort = 5135

// settings are those that the provisioning tool drops when they are given as options. A changed password is the only one at
// once; by default the old one goes on for an hour.
var settings = []string{"old password allowed period = 0", fmt.Sprintf("rpc server port:drsuapi = %d", replicationPort)}

// setGlobal puts lines at the head of the section [global] of an smb.conf.
func setGlobal(conf string, lines ...string) error {
	b, err := os.ReadFile(conf)
	if err != nil {
		return fmt.Errorf("reading the new smb.conf: %w", err)
	}
	changed := strings.Replace(string(b), "[global]\n", "[global]\n\t"+strings.Join(lines, "\n\t")+"\n", 1)
	if changed == string(b) {
		return fmt.Errorf("%s has no [global] section", conf)
	}
	if err := os.WriteFile(conf, []byte(changed), 0o644); err != nil {
		return fmt.Errorf("writing the new smb.conf: %w", err)
	}
	return nil
}

func provisionArgs(o Options) []string {
	const domain, tls = home + "/domain", home + "/tls"
	args := []string{
		"domain", "provision", "--targetdir=" + domain, "--realm=" + strings.ToUpper(o.Domain),
		"--domain=" + netBIOSName(o.Domain), "--server-role=dc", "--dns-backend=NONE", "--use-rfc2307",
		"--host-name=" + hostName, "--host-ip=127.0.0.1", "--adminpass=" + o.AdminPassword,
	}
	for _, option := range []string{
		"interfaces=lo", "bind interfaces only=yes", "server services=rpc, ldap, cldap, drepl, kdc",
		"dcerpc endpoint servers=epmapper, samr, netlogon, lsarpc, drsuapi, dssetup",
		"ncalrpc dir=" + domain + "/ncalrpc",
		"winbindd socket directory=" + domain + "/winbindd", "pid directory=" + domain + "/pid",
		"tls enabled=yes", "tls keyfile=" + tls + "/key.pem", "tls certfile=" + tls + "/cert.pem",
		"tls cafile=" + tls + "/ca.pem",
	} {
		args = append(args, "--option="+option)
	}
	return args
}

// runTool runs cmd with dir as home.
func runTool(ctx context.Context, o Options, dir string, cmd *exec.Cmd) error {
	mountHome(cmd, dir)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := runLocked(cmd)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, lastLines(out.String(), 5))
	}
	if _, logErr := fmt.Fprint(o.Log, out.String()); logErr != nil {
		err = errors.Join(err, fmt.Errorf("writing the log: %w", logErr))
	}
	return err
}

const confFile = home + "/domain/etc/smb.conf"

// netBIOSName is the first label, in capitals and cut to the 15 characters that NetBIOS allows.
func netBIOSName(domain string) string {
	label, _, _ := strings.Cut(domain, ".")
	return strings.ToUpper(label[:min(len(label), 15)])
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
