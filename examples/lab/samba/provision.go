//go:build linux

package samba

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// getChanges is the extended right DS-Replication-Get-Changes, which DirSync without OBJECT_SECURITY needs (MS-ADTS 3.1.1.3.4.1.3).
const getChanges = "1131f6aa-9c07-11d1-f79f-00c04fc2dcd2"

// provision makes the domain in o.Dir unless a finished one is there. A half-made one is removed first.
func provision(ctx context.Context, o Options) error {
	done := filepath.Join(o.Dir, "provisioned")
	if _, err := os.Stat(done); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking for a provisioned domain: %w", err)
	}
	domain := filepath.Join(o.Dir, "domain")
	if err := os.RemoveAll(domain); err != nil {
		return fmt.Errorf("removing a half-made domain: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(domain, "pid"), 0o755); err != nil {
		return fmt.Errorf("making the domain's folder: %w", err)
	}
	if err := runSteps(ctx, o); err != nil {
		return err
	}
	return os.WriteFile(done, []byte(o.Domain+"\n"), 0o644)
}

func runSteps(ctx context.Context, o Options) error {
	conf, sam := confFile(o.Dir), filepath.Join(o.Dir, "domain", "private", "sam.ldb")
	if err := tool(ctx, o, provisionArgs(o)...); err != nil {
		return err
	}
	if err := tool(ctx, o, "domain", "passwordsettings", "set", "-s", conf, "-H", sam, "--complexity=off",
		"--min-pwd-length=1", "--min-pwd-age=0", "--max-pwd-age=0", "--history-length=0"); err != nil {
		return err
	}
	if err := tool(ctx, o, "user", "create", readOnlyName, o.AdminPassword, "-s", conf, "-H", sam,
		"--description=Reads the directory for Tandem"); err != nil {
		return err
	}
	sid, err := sidOf(ctx, o, sam)
	if err != nil {
		return err
	}
	return tool(ctx, o, "dsacl", "set", "-s", conf, "-H", sam, "--objectdn="+baseDN(o.Domain),
		"--sddl=(OA;;CR;"+getChanges+";;"+sid+")")
}

func provisionArgs(o Options) []string {
	domain := filepath.Join(o.Dir, "domain")
	args := []string{
		"domain", "provision", "--targetdir=" + domain, "--realm=" + strings.ToUpper(o.Domain),
		"--domain=" + netBIOSName(o.Domain), "--server-role=dc", "--dns-backend=NONE", "--use-rfc2307",
		"--host-name=" + hostName, "--host-ip=127.0.0.1", "--adminpass=" + o.AdminPassword,
	}
	tls := filepath.Join(o.Dir, "tls")
	for _, option := range []string{
		"interfaces=lo", "bind interfaces only=yes", "server services=rpc, ldap, cldap, drepl, kdc",
		"dcerpc endpoint servers=epmapper, samr, netlogon, lsarpc, drsuapi, dssetup",
		"old password allowed period=0", "ncalrpc dir=" + filepath.Join(domain, "ncalrpc"),
		"winbindd socket directory=" + filepath.Join(domain, "winbindd"), "pid directory=" + filepath.Join(domain, "pid"),
		"tls enabled=yes", "tls keyfile=" + filepath.Join(tls, "key.pem"), "tls certfile=" + filepath.Join(tls, "cert.pem"),
		"tls cafile=" + filepath.Join(tls, "ca.pem"),
	} {
		args = append(args, "--option="+option)
	}
	return args
}

// tool runs samba-tool with /etc/samba hidden, since provisioning refuses to run beside a system-wide smb.conf.
func tool(ctx context.Context, o Options, args ...string) error {
	_, err := toolOutput(ctx, o, args...)
	return err
}

func toolOutput(ctx context.Context, o Options, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "samba-tool", args...)
	isolateMounts(cmd)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := runLocked(cmd)
	if _, logErr := fmt.Fprint(o.Log, out.String()); logErr != nil {
		return "", fmt.Errorf("writing the log: %w", logErr)
	}
	if err != nil {
		return "", fmt.Errorf("samba-tool %s %s: %w: %s", args[0], args[1], err, lastLines(out.String(), 5))
	}
	return out.String(), nil
}

// sidOf asks the new database for the service account's SID.
func sidOf(ctx context.Context, o Options, sam string) (string, error) {
	out, err := toolOutput(ctx, o, "user", "show", readOnlyName, "-s", confFile(o.Dir), "-H", sam, "--attributes=objectSid")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if sid, ok := strings.CutPrefix(line, "objectSid: "); ok {
			return strings.TrimSpace(sid), nil
		}
	}
	return "", fmt.Errorf("samba-tool user show %s names no objectSid", readOnlyName)
}

func confFile(dir string) string { return filepath.Join(dir, "domain", "etc", "smb.conf") }

// netBIOSName is the first label, in capitals and cut to the 15 characters that NetBIOS allows.
func netBIOSName(domain string) string {
	label, _, _ := strings.Cut(domain, ".")
	return strings.ToUpper(label[:min(len(label), 15)])
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
