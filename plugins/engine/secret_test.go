package engine_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
	"github.com/tandem-sync/tandem/scoping"
)

func TestSecretsAreNotPrinted(t *testing.T) {
	a := engine.Account{User: "u", Password: secret.Take([]byte("hunter2-hunter2"))}
	d := engine.Directory{Name: "n", Password: "hunter2-hunter2", Accounts: map[scoping.Purpose]engine.Account{scoping.Reset: a}}
	v := engine.Value{Text: []string{"hunter2-hunter2"}, Secret: true}
	c := engine.Config{Directories: []engine.Directory{d}}
	var all string
	all += fmt.Sprintf("%v %+v %#v %s", v, v, v, v)
	for _, x := range []any{d, c, a, &a, d.Accounts, []engine.Account{a}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q", "%T"} {
			all += fmt.Sprintf(verb, x)
		}
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "account", a, "accounts", d.Accounts, "directory", d, "config", c)
	secrettest.Absent(t, []byte(all+log.String()), []byte("hunter2-hunter2"))
}

func TestAccountsGoOnlyToEnginesThatHaveAFeatureForThem(t *testing.T) {
	whole := engine.Config{Directories: []engine.Directory{{Name: "a", Accounts: map[scoping.Purpose]engine.Account{
		scoping.Replicate: {User: "hash"}, scoping.Reset: {User: "reset"}, scoping.Provision: {User: "prov"}}}, {Name: "b"}}}
	all := scoping.Purposes()
	for name, c := range map[string]struct {
		d    engine.Description
		may  []scoping.Purpose
		want string
	}{
		"no feature of a purpose":       {engine.Description{Features: []scoping.Feature{scoping.Users, scoping.Groups, scoping.References}}, all, ""},
		"hashes":                        {engine.Description{Features: []scoping.Feature{scoping.Users, scoping.PasswordHash}}, all, "replicate"},
		"writeback, delivered":          {engine.Description{Delivers: []scoping.Feature{scoping.PasswordWriteback}}, all, "reset"},
		"provisioning of groups":        {engine.Description{Delivers: []scoping.Feature{scoping.GroupProvisioning}}, all, "provision"},
		"provisioning of users":         {engine.Description{Features: []scoping.Feature{scoping.UserProvisioning}}, all, "provision"},
		"everything":                    {engine.Description{Features: []scoping.Feature{scoping.PasswordHash}, Delivers: []scoping.Feature{scoping.PasswordWriteback, scoping.UserProvisioning}}, all, "provision replicate reset"},
		"everything, may have none":     {engine.Description{Features: []scoping.Feature{scoping.PasswordHash, scoping.PasswordWriteback}}, nil, ""},
		"everything, may have one":      {engine.Description{Features: []scoping.Feature{scoping.PasswordHash, scoping.PasswordWriteback}}, []scoping.Purpose{scoping.Reset}, "reset"},
		"may have what it does not use": {engine.Description{Features: []scoping.Feature{scoping.Users}}, []scoping.Purpose{scoping.Reset}, ""},
	} {
		got := whole.For(c.d, c.may)
		var names []string
		for p := range got.Directories[0].Accounts {
			names = append(names, string(p))
		}
		slices.Sort(names)
		if strings.Join(names, " ") != c.want || got.Directories[1].Accounts != nil || (c.want == "") != (got.Directories[0].Accounts == nil) {
			t.Errorf("%s: %v, want %s", name, names, c.want)
		}
	}
	if len(whole.Directories[0].Accounts) != 3 {
		t.Error("the configuration itself lost accounts")
	}
}
