package tandem_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	module   = "github.com/tandem-sync/tandem"
	graphSDK = "github.com/microsoftgraph/msgraph-sdk-go"
)

// arrows says, for each package, what of Tandem its code may import. A name covers the packages below it.
// ARCHITECTURE.md tells the same with reasons.
var arrows = map[string][]string{
	"scoping":           {},
	"scoping/policy":    {"scoping"},
	"scoping/attribute": {"scoping"},
	"state":             {},
	"state/statetest":   {"state"},

	"plugins/engine":                 {"plugins/credential", "plugins/provision", "plugins/secret", "scoping"},
	"plugins/engine/plugin":          {"plugins/credential", "plugins/engine", "plugins/engine/plugin/enginepb", "plugins/provision", "plugins/secret", "scoping"},
	"plugins/engine/plugin/enginepb": {},
	"plugins/engine/enginetest":      {"plugins/engine", "plugins/engine/plugin"},
	"plugins/engine/conformance":     {"plugins/engine", "plugins/provision", "plugins/secret", "scoping"},
	"plugins/directory":              {"plugins/directory/internal", "plugins/secret", "scoping"},
	"plugins/directory/access":       {"scoping"},
	"plugins/directory/internal":     {"scoping"},
	"plugins/directory/password":     {"plugins/credential", "plugins/directory", "plugins/secret", "scoping"},
	"plugins/directory/protection":   {"plugins/directory", "scoping"},
	"plugins/directory/provision":    {"plugins/credential", "plugins/directory", "plugins/provision", "plugins/secret", "scoping"},
	"plugins/directory/rights":       {"plugins/directory", "scoping"},
	"plugins/directory/drsr":         {"plugins/directory", "plugins/directory/drsr/ndr", "plugins/directory/drsr/ntlm", "plugins/directory/drsr/rpc", "plugins/credential", "plugins/secret", "scoping"},
	"plugins/directory/drsr/ndr":     {},
	"plugins/directory/drsr/ntlm":    {"plugins/credential", "plugins/directory/drsr/ntlm", "plugins/secret"},
	"plugins/directory/drsr/rpc":     {"plugins/directory/drsr/ndr", "plugins/directory/drsr/ntlm", "plugins/secret"},
	"plugins/provision":              {"scoping"},
	"plugins/secret":                 {"plugins/secret/internal/taken"},
	"plugins/secret/internal/taken":  {},
	"plugins/secret/secrettest":      {"plugins/secret/internal/taken"},
	"plugins/credential":             {"scoping", "plugins/secret"},
	"plugins/expression":             {"scoping"},
	"plugins/expression/language":    {"scoping"},
	"plugins/passwordhash":           {"plugins/credential", "plugins/directory", "plugins/directory/drsr", "plugins/secret", "scoping"},
	"plugins/passwordhash/handover":  {"plugins/directory", "plugins/directory/drsr", "plugins/engine", "plugins/passwordhash", "scoping"},
	"plugins/connect":                {"plugins/passwordhash", "plugins/passwordhash/handover", "plugins/engine", "plugins/directory", "plugins/expression", "scoping", "state"},
	"plugins/cloudsync":              {"plugins/credential", "plugins/provision", "plugins/secret", "plugins/passwordhash", "plugins/passwordhash/handover", "plugins/cloudsync", "plugins/engine", "plugins/directory", "plugins/expression", "scoping", "state"},
	"plugins/cloudsync/mapping":      {"plugins/engine", "plugins/expression", "plugins/provision", "scoping"},
	"plugins/cloudsync/agent":        {"plugins/passwordhash", "plugins/provision", "plugins/cloudsync/line", "plugins/directory", "plugins/secret", "scoping"},
	"plugins/proxy":                  {},
	"plugins/proxy/proxytest":        {},
	"plugins/cloudsync/line":         {"plugins/proxy", "scoping"},
	"plugins/cloudsync/line/linepb":  {},
	"orchestrator/standing/changes":  {},
	"orchestrator/tenant/cloud":      {"plugins/secret", "orchestrator/standing/changes", "plugins/secret", "scoping"},
	"orchestrator/tenant":            {"plugins/proxy", "orchestrator/tenant/cloud", "plugins/secret", "scoping"},
	"orchestrator/supervisor":        {"plugins/engine", "plugins/engine/plugin", "scoping"},
	"orchestrator/ledger":            {"orchestrator/standing/changes", "orchestrator/tenant/cloud", "plugins/engine", "plugins/provision", "scoping", "state"},
	"orchestrator/standing":          {"orchestrator/ledger", "orchestrator/tenant/cloud", "plugins/engine", "scoping"},
	"orchestrator/standing/table":    {"orchestrator/ledger", "orchestrator/standing", "plugins/engine", "scoping", "state"},
	"orchestrator/gate":              {"plugins/credential", "plugins/provision", "orchestrator/ledger", "orchestrator/standing", "orchestrator/tenant/cloud", "plugins/engine", "scoping", "state"},
	"orchestrator/census":            {"orchestrator/gate", "orchestrator/standing/changes", "plugins/directory", "scoping", "state"},
	"orchestrator/wave":              {"scoping"},
	"orchestrator/schedule":          {},
	"orchestrator/assess":            {"orchestrator/tenant/cloud", "plugins/directory", "plugins/expression", "scoping"},
	"orchestrator/problem":           {},
	"orchestrator/journal":           {"state"},
	"orchestrator/trace":             {"orchestrator/run"},
	"orchestrator/reach":             {"plugins/directory"},
	"orchestrator/control":           {"orchestrator/gate", "orchestrator/ledger", "orchestrator/problem", "orchestrator/wave", "scoping", "state"},
	"orchestrator/tenancy":           {"orchestrator/control", "orchestrator/gate", "orchestrator/ledger", "orchestrator/problem", "orchestrator/wave", "plugins/engine", "scoping", "state"},
	"orchestrator/objects":           {"orchestrator/census", "orchestrator/control", "orchestrator/gate", "orchestrator/ledger", "orchestrator/standing", "orchestrator/problem", "orchestrator/tenant/cloud", "plugins/directory", "plugins/expression", "scoping"},
	"orchestrator/run":               {"orchestrator/census", "orchestrator/control", "orchestrator/gate", "orchestrator/ledger", "orchestrator/standing", "orchestrator/objects", "orchestrator/problem", "orchestrator/reach", "orchestrator/tenant/cloud", "plugins/engine", "scoping"},
	"orchestrator/plan":              {"orchestrator/assess", "orchestrator/standing", "orchestrator/census", "orchestrator/control", "orchestrator/gate", "orchestrator/ledger", "orchestrator/objects", "orchestrator/problem", "orchestrator/run", "orchestrator/tenant/cloud", "orchestrator/wave", "plugins/directory", "plugins/engine", "scoping"},
	"orchestrator/wave/acts":         {"orchestrator/census", "orchestrator/control", "orchestrator/gate", "orchestrator/ledger", "orchestrator/standing", "orchestrator/objects", "orchestrator/plan", "orchestrator/problem", "orchestrator/run", "orchestrator/tenancy", "orchestrator/tenant/cloud", "orchestrator/wave", "plugins/directory", "plugins/engine", "scoping", "state"},
	"orchestrator/answer":            {"orchestrator/provisioning", "orchestrator/census", "orchestrator/control", "orchestrator/gate", "orchestrator/ledger", "orchestrator/standing", "orchestrator/objects", "orchestrator/problem", "orchestrator/reach", "orchestrator/run", "orchestrator/tenancy", "orchestrator/tenant/cloud", "orchestrator/wave", "plugins/engine", "scoping", "state"},
	"orchestrator/alarm":             {"orchestrator/answer", "orchestrator/ledger", "orchestrator/reach", "orchestrator/schedule", "orchestrator/wave", "scoping"},
	"orchestrator/notify":            {"orchestrator/alarm"},
	"orchestrator/metrics":           {"orchestrator/alarm", "orchestrator/answer", "orchestrator/ledger", "orchestrator/notify", "orchestrator/reach", "orchestrator/run", "orchestrator/schedule", "orchestrator/wave"},
	"orchestrator/writeback":         {"orchestrator/gate", "orchestrator/ledger", "orchestrator/tenant/cloud", "plugins/directory/password", "plugins/engine", "plugins/secret", "scoping"},
	"orchestrator/provisioning":      {"plugins/credential", "orchestrator/gate", "orchestrator/ledger", "orchestrator/standing", "orchestrator/tenant/cloud", "plugins/directory", "plugins/engine", "plugins/provision", "scoping"},
	"orchestrator/host":              {"orchestrator/provisioning", "orchestrator/writeback", "orchestrator/answer", "orchestrator/assess", "orchestrator/census", "orchestrator/control", "orchestrator/gate", "orchestrator/ledger", "orchestrator/standing", "orchestrator/objects", "orchestrator/plan", "orchestrator/problem", "orchestrator/reach", "orchestrator/run", "orchestrator/tenancy", "orchestrator/tenant/cloud", "orchestrator/wave", "plugins/engine", "scoping", "state"},
	"orchestrator":                   {"plugins/proxy", "orchestrator/alarm", "orchestrator/journal", "orchestrator/trace", "orchestrator/metrics", "orchestrator/notify", "orchestrator/provisioning", "orchestrator/writeback", "orchestrator/answer", "orchestrator/assess", "orchestrator/census", "orchestrator/control", "orchestrator/gate", "orchestrator/host", "orchestrator/ledger", "orchestrator/objects", "orchestrator/plan", "orchestrator/problem", "orchestrator/reach", "orchestrator/run", "orchestrator/standing/table", "orchestrator/schedule", "orchestrator/supervisor", "orchestrator/tenancy", "orchestrator/tenant", "orchestrator/wave", "plugins/directory", "plugins/engine", "plugins/engine/plugin", "plugins/secret", "scoping", "state"},
	"orchestrator/api":               {"orchestrator/ledger", "orchestrator", "plugins/provision", "plugins/engine", "plugins/secret", "scoping", "state"},
	"orchestrator/simulation":        {"orchestrator/provisioning", "plugins/provision", "orchestrator/writeback", "plugins/credential", "plugins/secret", "orchestrator/census", "orchestrator/control", "orchestrator/gate", "orchestrator/host", "orchestrator/ledger", "orchestrator/standing", "orchestrator/objects", "orchestrator/plan", "orchestrator/problem", "orchestrator/reach", "orchestrator/run", "orchestrator/tenancy", "orchestrator/tenant/cloud", "orchestrator/wave", "plugins/directory", "plugins/engine", "scoping", "state"},
	"cmd/tandem/page":                {},
	"cmd/tandem":                     {"cmd/build", "cmd/service", "cmd/shell", "cmd/tandem/bench", "cmd/tandem/page", "examples/lab", "orchestrator/alarm", "orchestrator/api", "orchestrator/wave", "plugins/cloudsync", "plugins/connect", "plugins/expression/language", "plugins/engine/plugin", "plugins/secret", "scoping"},
	"cmd/tandem/bench":               {"plugins/passwordhash", "examples/lab", "orchestrator/gate", "orchestrator/ledger", "orchestrator/tenant/cloud", "plugins/engine", "plugins/engine/plugin", "scoping", "state"},
	"cmd/build":                      {},
	"cmd/service":                    {},
	"cmd/shell":                      {"cmd/shell"},
	"cmd/tandem-agent":               {"cmd/build", "cmd/service", "cmd/shell", "plugins/cloudsync/agent", "plugins/directory", "plugins/secret", "scoping"},
	"examples/engine-minimal":        {"plugins/directory", "plugins/engine", "plugins/engine/plugin", "scoping"},
	"examples/contoso/hr":            {},
	"examples/lab":                   {"examples/lab", "plugins/credential", "plugins/directory", "plugins/directory/access", "plugins/secret", "scoping"},
}

// pkg is one package of the module, by its path below the module's.
type pkg struct {
	name          string
	imports, deps []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}}|{{join .Imports " "}}|{{join .Deps " "}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "|")
		name := strings.TrimPrefix(strings.TrimPrefix(f[0], module), "/")
		all = append(all, pkg{name: name, imports: strings.Fields(f[1]), deps: strings.Fields(f[2])})
	}
	if len(all) < 30 {
		t.Fatalf("go list gives %d packages", len(all))
	}
	return all
}

func within(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

// rule gives the arrows of the nearest package that has some.
func rule(name string) (allowed []string, found bool) {
	for at := name; at != "."; {
		if allowed, found = arrows[at]; found {
			return allowed, true
		}
		cut := strings.LastIndexByte(at, '/')
		if cut < 0 {
			break
		}
		at = at[:cut]
	}
	return nil, false
}

func TestImportsGoOneWay(t *testing.T) {
	for _, p := range packages(t) {
		if p.name == "" {
			continue // these tests
		}
		allowed, found := rule(p.name)
		if !found {
			t.Errorf("%s has no arrows: say in ARCHITECTURE.md what room it is, and here what it may import", p.name)
		}
		for _, i := range p.imports {
			of, ours := strings.CutPrefix(i, module+"/")
			if ours && !slices.ContainsFunc(allowed, func(a string) bool { return covers(a, of) }) {
				t.Errorf("%s imports %s", p.name, of)
			}
		}
	}
}

// covers lets a name stand for what is below it, save where the rooms of one folder are kept apart.
func covers(allowed, of string) bool {
	switch allowed {
	case "orchestrator":
		return within(of, "orchestrator") && of != "orchestrator/simulation"
	case "plugins/engine": // the values; what speaks to processes is named apart
		return of == allowed
	}
	return within(of, allowed)
}

func TestOnlyTheTenantClientImportsTheGraphSDK(t *testing.T) {
	importers := []string{}
	for _, p := range packages(t) {
		if slices.ContainsFunc(p.imports, func(i string) bool { return within(i, graphSDK) }) {
			importers = append(importers, p.name)
		}
	}
	if !slices.Equal(importers, []string{"orchestrator/tenant"}) {
		t.Errorf("the Graph SDK is imported by %v", importers)
	}
}

func TestAgentAndEnginesAreFreeOfTheGraphSDK(t *testing.T) {
	checked := 0
	for _, p := range packages(t) {
		if p.name != "cmd/tandem-agent" && p.name != "orchestrator/host" && !within(p.name, "plugins") && !within(p.name, "examples") {
			continue
		}
		checked++
		if slices.ContainsFunc(p.deps, func(d string) bool { return within(d, graphSDK) }) {
			t.Errorf("%s contains the Graph SDK", p.name)
		}
	}
	if checked < 10 {
		t.Errorf("only %d packages were looked at", checked)
	}
}

// Who decides, and who imitates the world around that, speaks values only: no protocol and no processes.
func TestDecidingIsFreeOfGRPC(t *testing.T) {
	rooms := []string{"plugins/engine", "plugins/connect", "orchestrator/answer", "orchestrator/assess", "orchestrator/census", "orchestrator/control", "orchestrator/gate", "orchestrator/host", "orchestrator/ledger",
		"orchestrator/objects", "orchestrator/plan", "orchestrator/reach", "orchestrator/run", "orchestrator/simulation", "orchestrator/tenancy", "orchestrator/wave", "orchestrator/wave/acts"}
	checked := 0
	for _, p := range packages(t) {
		if !slices.Contains(rooms, p.name) {
			continue
		}
		checked++
		for _, banned := range []string{"google.golang.org/grpc", "google.golang.org/protobuf", "github.com/hashicorp/go-plugin"} {
			if slices.ContainsFunc(p.deps, func(d string) bool { return within(d, banned) }) {
				t.Errorf("%s contains %s", p.name, banned)
			}
		}
	}
	if checked != len(rooms) {
		t.Errorf("%d of %d packages were looked at", checked, len(rooms))
	}
}

func TestOnlyCommandsImportTheLab(t *testing.T) {
	for _, p := range packages(t) {
		if within(p.name, "cmd") || within(p.name, "examples") {
			continue
		}
		for _, i := range p.imports {
			if within(i, module+"/examples") {
				t.Errorf("%s imports %s", p.name, i)
			}
		}
	}
}
