package orchestrator

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/tenant"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/rights"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Finding is one line of `tandem check`.
type Finding struct {
	Name     string `json:"name"`
	Code     string `json:"code,omitempty"` // for programs; only findings about accounts of directories have one
	OK       bool   `json:"ok"`
	Severity string `json:"severity"` // ok, note, warning, failure
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
}

// minFree is the free disk space below which check warns.
const minFree = alarm.LowSpace

// Check tries connections, rights, clocks, TLS and the tenant's capabilities, and writes nothing. It goes on after failures.
func (x *Orchestrator) Check(ctx context.Context) []Finding {
	out := []Finding{x.checkDisk()}
	conns, err := x.connections()
	if err != nil {
		out = append(out, failure("configuration", err, ""))
	}
	for _, d := range x.config.Directories {
		c, ok := conns[d.Name]
		if !ok {
			continue
		}
		out = append(out, x.checkDirectory(ctx, c)...)
		accounts, err := x.config.accounts(d, x.options.Getenv)
		if err != nil {
			out = append(out, failure("directory "+d.Name, err, ""))
		}
		out = append(out, x.checkAccounts(ctx, c, accounts)...)
	}
	answers := true
	for _, f := range x.tenant.Check(ctx) {
		answers = answers && (f.Level != tenant.Failure || f.Subject != "token" && f.Subject != "connection")
		out = append(out, Finding{Name: "tenant " + f.Subject, OK: f.Level != tenant.Failure, Severity: string(f.Level), Message: f.Text, Hint: f.Hint})
	}
	out = append(out, x.checkInstallation(ctx))
	if answers {
		out = append(out, x.checkFeatures(ctx)...)
	}
	for _, n := range x.engines.Names() {
		out = append(out, x.checkEngine(ctx, n))
	}
	return out
}

// failure returns the finding of an error. hint is used if the error has none of its own.
func failure(name string, err error, hint string) Finding {
	message, advice := Advice(err)
	return Finding{Name: name, Severity: "failure", Message: message, Hint: cmp.Or(advice, hint)}
}

func fine(name, message string) Finding {
	return Finding{Name: name, OK: true, Severity: "ok", Message: message}
}

func (x *Orchestrator) checkDisk() Finding {
	if _, err := os.Stat(x.options.StateDir); err != nil {
		return failure("state", err, "the folder must be there and writable")
	}
	free, _, err := spaceOf(x.options.StateDir)
	if err == nil && free < minFree {
		return Finding{Name: "state", OK: true, Severity: "warning", Message: fmt.Sprintf("only %d MiB are free beside the state", free>>20), Hint: "writing stops when the disk is full; make room"}
	}
	return fine("state", "the state folder is held and has room")
}

func (x *Orchestrator) checkDirectory(ctx context.Context, c directory.Connection) []Finding {
	name := "directory " + c.Name
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	s, err := directory.Dial(ctx, c)
	if err != nil {
		return []Finding{failure(name, err, "")}
	}
	defer func() { _ = s.Close() }()
	ctl := s.Controller()
	out := []Finding{fine(name, "signed in to "+ctl.URL+" as "+c.User)}
	if err := x.host.Admits(c.Name, ctl.Root); err != nil {
		out = append(out, failure(name+" identity", err, "the state folder belongs to another domain"))
	}
	if c.Insecure {
		out = append(out, Finding{Name: name + " TLS", OK: true, Severity: "warning", Message: "the certificate is not verified (insecureSkipVerify)", Hint: "name the CA with tls.caFile"})
	}
	if skew := time.Since(ctl.Time).Abs(); !ctl.Time.IsZero() && skew > 5*time.Minute {
		out = append(out, Finding{Name: name + " clock", OK: true, Severity: "warning", Message: fmt.Sprintf("the controller's clock differs by %s", skew.Round(time.Second)), Hint: "set both by NTP"})
	}
	if found := rights.Deleted(ctx, s, c.User); len(found) > 0 {
		out = append(out, findings(name+" deleted objects", found)...)
	} else {
		out = append(out, fine(name+" deleted objects", "the account sees tombstones"))
	}
	return append(out, findings(name+" bind", rights.Bind(ctx, s, c.User))...)
}

// checkInstallation checks whether this host may write to the tenant, by the tenant's mark and by what the state belongs to.
func (x *Orchestrator) checkInstallation(ctx context.Context) Finding {
	timed, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := x.host.Look(timed, 0); err != nil {
		return failure("installation", err, "")
	}
	s, err := x.host.Status(ctx)
	switch {
	case err != nil:
		return failure("installation", err, "")
	case s.Mark.Refused != "":
		return Finding{Name: "installation", Severity: "failure", Message: "nothing is written to the tenant: " + s.Mark.Refused, Hint: "`tandem status` shows the tenant's mark"}
	case s.ReadOnly != "":
		return Finding{Name: "installation", OK: true, Severity: "warning", Message: "nothing is written to the tenant: " + s.ReadOnly, Hint: "tandem state restore --activate --reason R"}
	case !s.Mark.Permitted:
		return Finding{Name: "installation", OK: true, Severity: "warning", Message: "the tenant keeps no mark of who feeds it: a second installation, a cloned machine and a restored backup are not noticed", Hint: "see the finding about the marker"}
	case s.Revision == 0:
		return fine("installation", "no policy is in force: nothing is written to the tenant")
	}
	return fine("installation", "this host may write to the tenant")
}

// checkFeatures finds features that the policy in force assigns to an engine although the tenant does not take them.
func (x *Orchestrator) checkFeatures(ctx context.Context) []Finding {
	p := x.host.Gate().Authority().Partition
	if p == nil {
		return nil
	}
	var out []Finding
	refused := x.tenant.Refused(ctx)
	owned := func(f scoping.Feature) bool {
		return slices.ContainsFunc(p.Regions(), func(x scoping.Region) bool {
			return x.Owner.Engine != scoping.None && slices.Contains(x.Scope.Features, f)
		})
	}
	for _, f := range p.Features() {
		if why := refused[f]; why != "" && owned(f) {
			out = append(out, Finding{Name: "feature " + string(f), Severity: "failure", Message: "the policy in force gives it to an engine, and the tenant does not take it: " + why,
				Hint: "give it to none, or take it out of the policy's features"})
		}
	}
	return out
}

func (x *Orchestrator) checkEngine(ctx context.Context, n string) Finding {
	d, err := x.engines.Describe(ctx, n)
	if err != nil {
		return failure("engine "+n, err, engineHint(err))
	}
	h, ok := x.warmHealth(ctx, n)
	if ok && !h.OK {
		return Finding{Name: "engine " + n, Severity: "failure", Message: h.Message}
	}
	for detail := range h.Details {
		if strings.HasPrefix(detail, "agent.") { // the engine works, but one of its agents fails or lacks a right
			return Finding{Name: "engine " + n, OK: true, Severity: "warning", Message: h.Message, Hint: "tandem agent list shows the agents"}
		}
	}
	return fine("engine "+n, fmt.Sprintf("%s %s, features %v", d.Kind, d.Version, d.Features))
}

// engineHint returns what to do about an engine that does not start. The errors of an engine's process arrive as text, so this looks for words.
func engineHint(err error) string {
	switch text := err.Error(); {
	case strings.Contains(text, "no space left on device"):
		return "make room on the disk that holds the state folder"
	case strings.Contains(text, " is damaged"):
		return "`tandem state check` names everything that is damaged, and what to do"
	}
	return "see the engine's settings in tandem.yaml"
}

// warmUp is how long an engine that was just started may take to become healthy: agents that it starts itself connect first.
const warmUp = 5 * time.Second

// warmHealth returns an engine's health, after waiting up to warmUp for it to be good.
func (x *Orchestrator) warmHealth(ctx context.Context, n string) (engine.Health, bool) {
	ctx, cancel := context.WithTimeout(ctx, warmUp)
	defer cancel()
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for {
		h, ok := x.engines.Health(n)
		if ok && h.OK {
			return h, ok
		}
		select {
		case <-ctx.Done():
			return h, ok
		case <-t.C:
		}
	}
}
