package faults_test

import (
	"strings"
	"testing"
)

func TestWrongConfigurationIsToldWithItsPlace(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		spoil func(w *world)
		words []string
	}{
		"empty": {func(w *world) { w.edit("tandem.yaml", `(?s).*`, "") }, []string{"tandem.yaml: the file is empty"}},
		"unknown key": {func(w *world) { w.edit("tandem.yaml", `(?m)^tenant:`, "tenent:") },
			[]string{`: unknown key "tenent" (did you mean "tenant"?)`, "tandem.yaml:"}},
		"unknown keys": {func(w *world) {
			w.edit("tandem.yaml", `bind:`, "bnd:")
			w.edit("tandem.yaml", `clientId:`, "clientID:")
		}, []string{`tandem.yaml:8:5: unknown key "bnd" (did you mean "bind"?)`, `unknown key "clientID" (did you mean "clientId"?)`}},
		"not YAML": {func(w *world) { w.edit("tandem.yaml", `version: 1`, "version: [1") }, []string{"tandem.yaml:"}},
		"both secrets": {func(w *world) {
			w.edit("tandem.yaml", `  clientSecretFile:`, "  clientSecretEnv: X\n  clientSecretFile:")
		}, []string{"tandem.yaml:10:1: tenant: give exactly one of clientSecretFile"}},
		"both passwords": {func(w *world) { w.edit("tandem.yaml", `passwordFile:`, "passwordEnv: X, passwordFile:") }, []string{"tandem.yaml:8:5: directory contoso: bind: give user, and exactly one of passwordFile and passwordEnv"}},
		"newer version":  {func(w *world) { w.edit("tandem.yaml", `version: 1`, "version: 7") }, []string{"tandem.yaml:2:1: version: this program knows version 1, the file says 7"}},
		"plain http":     {func(w *world) { w.edit("tandem.yaml", `endpoint: https`, "endpoint: http") }, []string{"must begin with https://"}},
		"unknown kind":   {func(w *world) { w.edit("tandem.yaml", `kind: connect`, "kind: conect") }, []string{`engine connect: kind "conect" is not one of connect, cloudsync, external`}},
		"no password":    {func(w *world) { w.edit("tandem.yaml", `\./ad-password`, "./nowhere") }, []string{"password of directory contoso: the file ", "nowhere cannot be read: no such file or directory"}},
		"empty password": {func(w *world) { w.edit("ad-password", `(?s).*`, "") }, []string{"ad-password is empty: write the secret into it"}},
		"empty variable": {func(w *world) {
			w.edit("tandem.yaml", `passwordFile: \./ad-password`, "passwordEnv: TANDEM_FAULTS_UNSET")
		}, []string{"the environment variable TANDEM_FAULTS_UNSET is empty"}},
		"no CA": {func(w *world) { w.edit("tandem.yaml", `(?m)^    tls: .*$`, "    tls: {caFile: ./nowhere}") }, []string{"CA of directory contoso: the file "}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := looking(t)
			c.spoil(w)
			w.fails(2, c.words, "status")
		})
	}
	w := looking(t)
	w.fails(2, []string{"nowhere.yaml: there is no such file", "--config or TANDEM_CONFIG"}, "--config", "nowhere.yaml", "status")
	w.fails(2, []string{"it cannot be read: is a directory"}, "--config", w.dir, "status")
}

func TestWrongUseEndsWithTwoAndTheWayOut(t *testing.T) {
	t.Parallel()
	w := alone(t, 5) // importing marks the tenant
	w.done("import", "policy.yaml")
	for line, words := range map[string][]string{
		"bogus":                                  {`there is no command "bogus"`, "→ tandem --help"},
		"wave bogus":                             {`there is no command "bogus"`},
		"sync":                                   {"tandem sync takes ENGINE; got 0 arguments", "→ tandem sync --help"},
		"sync a b":                               {"got 2 arguments"},
		"sync connect --bogus":                   {"-bogus", "→ tandem sync --help"},
		"sync connect --profile x":               {`--profile "x" is neither delta nor full`},
		"sync nosuch":                            {`no engine "nosuch" is configured`, "connect cloudsync"},
		"sync connect --under garbage":           {`not a distinguished name: "garbage"`},
		"--log-level loud status":                {`--log-level "loud"`},
		"plan":                                   {"plan needs -f POLICY"},
		"plan -f nowhere.yaml":                   {"nowhere.yaml", "no such file"},
		"migrate":                                {"migrate needs --under DN and --to ENGINE"},
		"diff":                                   {"diff needs --under DN"},
		"stop":                                   {"--engine E, --under DN or --all"},
		"stop --all":                             {"needs --reason"},
		"policy validate nowhere.yaml":           {"nowhere.yaml", "no such file"},
		"import policy.yaml":                     {"a policy is in force already (revision 1)", "tandem plan"},
		"serve --listen 0.0.0.0:1":               {"TLS and a token"},
		"lab up --directory floppy":              {`--directory "floppy" is none of embedded, samba, none`},
		"demo --users -1":                        {"--users -1 is negative"},
		"engine show nosuch":                     {`no engine "nosuch"`},
		"migrate --under garbage --to cloudsync": {"garbage"},
		"migrate --hold-before x --under " + base + " --to cloudsync": {`--hold-before "x" is no phase`},
		"migrate --under OU=Sales," + base + " --to connect":          {"connect owns all of OU=Sales,DC=contoso,DC=test already"},
		"migrate --to connect --under " + base:                        {"connect owns all of DC=contoso,DC=test already"},
		"migrate --under " + base + " --to nosuch":                    {`no engine "nosuch" is configured`},
		"migrate --features wat --to cloudsync --under " + base:       {`there is no feature "wat"`},
	} {
		w.fails(2, words, strings.Fields(line)...)
	}
	r := w.run("--output", "xml", "status")
	w.says(r, 2, []string{`--output "xml" is neither table nor json`}, []string{"--output", "xml", "status"})
}

func TestWhatIsNotThereIsSaidToBeNotThere(t *testing.T) {
	t.Parallel()
	w := alone(t, 5) // importing marks the tenant
	w.fails(2, []string{"no policy is in force", "tandem import POLICY"}, "sync", "connect")
	w.fails(2, []string{"no policy is in force"}, "explain", "CN=x,"+base)
	w.done("import", "policy.yaml")
	for line, words := range map[string][]string{
		"object nope":                                    {`"nope" is no DN, user principal name, source anchor or tenant object id that is known`},
		"explain nope@contoso.test":                      {`"nope@contoso.test" is no DN`},
		"explain CN=Nope," + base:                        {"CN=Nope,DC=contoso,DC=test is in none of the directories (contoso)"},
		"sync connect --under OU=Nope," + base:           {"OU=Nope,DC=contoso,DC=test is in none of the directories"},
		"diff --under OU=Nope," + base:                   {"is in none of the directories"},
		"migrate --to cloudsync --under OU=Nope," + base: {"is in none of the directories"},
		"wave show w0":                                   {`not found: wave "w0"`},
		"wave approve w0":                                {`not found: wave "w0"`},
		"wave abort w0":                                  {`not found: wave "w0"`},
		"wave rollback w0":                               {`not found: wave "w0"`},
		"held show h0":                                   {`not found: held set "h0"`},
		"held approve h0":                                {`not found: held set "h0"`},
		"audit list --wave w0":                           {`not found: wave "w0"`},
		"audit list --object w0":                         {`"w0" is no DN`},
		"policy show --revision 9":                       {"revision 9 of the policy"},
		"errors retry nope":                              {`"nope" is no DN`},
	} {
		w.fails(1, words, strings.Fields(line)...)
	}
}

const brokenPolicy = `version: 1
featurs: [users, groups]
features: [users, groups, widgets]
defaults: {softMatches: true}
assignments:
  - name: everything
    under: DC=contoso,DC=test
    engine: conect
    features: [users, group]
  - name: nowhere
    undr: DC=contoso,DC=test
    engine: connect
    features: [users]
  - name: gone
    under: OU=Nowhere,DC=contoso,DC=test
    engine: cloudsync
    features: [users]
  - name: bad
    under: 'OU=Sa\zles,DC=contoso,DC=test'
    engine: cloudsync
    features: [users]
`

func TestEveryMistakeOfAPolicyIsToldAtOnceWithItsPlace(t *testing.T) {
	t.Parallel()
	w := looking(t)
	head := "version: 1\nfeatures: [users, groups]\nassignments:\n"
	all := "  - {name: all, under: 'DC=contoso,DC=test', engine: connect, features: [users, groups]}\n"
	for name, c := range map[string]struct {
		text  string
		words []string
	}{
		"many": {brokenPolicy, []string{
			`p.yaml:2:1: unknown key "featurs" in the policy (did you mean "features"?)`, `p.yaml:3:27: there is no feature "widgets"`,
			`p.yaml:4:12: unknown key "softMatches" in defaults (did you mean "softMatch"?)`, `p.yaml:8:13: assignment "everything" names engine "conect", which is not configured (write one of cloudsync, connect, none`,
			`p.yaml:9:23: there is no feature "group"`, `p.yaml:10:5: assignment "nowhere" has no "under" (add it)`, `p.yaml:11:5: unknown key "undr" in assignment "nowhere" (did you mean "under"?)`,
			`p.yaml:15:12: OU=Nowhere,DC=contoso,DC=test, which assignment "gone" names, is not in directory contoso`, `p.yaml:19:12: under: not a distinguished name`}},
		"syntax":  {"version: 1\nfeatures: [users, groups\nassignments: x\n", []string{"p.yaml:3:12: this is not YAML"}},
		"garbage": {"\x00\xff\xfe", []string{"p.yaml:1:1: this is not YAML"}},
		"empty":   {"", []string{"p.yaml:1:1: the policy is empty"}},
		"newer":   {strings.Replace(head, "1", "9", 1) + all, []string{`p.yaml:1:10: version "9" of the policy format is unknown`}},
		"overlap": {head + all + "  - {name: again, under: 'dc=Contoso, dc=test', engine: cloudsync, features: [users]}\n",
			[]string{`p.yaml:5:5: `, `"all"`, `"again"`, "priority"}},
		"nothing owned": {"version: 1\nfeatures: [users, groups]\nassignments: []\n", []string{"p.yaml:1:1: the policy assigns nothing"}},
		"no totality": {head + "  - {name: part, under: 'DC=contoso,DC=test', engine: connect, features: [users]}\n",
			[]string{"p.yaml:4:5: nobody owns groups under DC=contoso,DC=test (add groups to the features of assignment", "engine: none"}},
		"unknown engine": {head + strings.Replace(all, "connect", "nosuch", 1), []string{`p.yaml:4:`, `names engine "nosuch", which is not configured`}},
		"selector":       {head + strings.Replace(all, "engine:", "filter: (a=b), engine:", 1), []string{"p.yaml:4:", `"a" is not known as an attribute`}},
	} {
		w.write("p.yaml", c.text)
		w.fails(2, c.words, "policy", "validate", "p.yaml")
		w.fails(2, c.words, "import", "p.yaml")
		_ = name
	}
	w.fails(2, []string{"no policy is in force"}, "policy", "show")
}
