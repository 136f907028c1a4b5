package connect_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/plugins/connect"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// What Description.Reads leaves out for a kind changes nothing that is proposed of it.
func TestProposalsDependOnWhatIsDescribed(t *testing.T) {
	d, err := connect.New(connect.Options{}).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range d.Reads {
		all = append(all, r.Attributes...)
	}
	for kind, plain := range map[scoping.Kind]func(...string) directory.Entry{scoping.User: user, scoping.Group: group, scoping.Contact: contact} {
		r := d.ReadsOf(kind)
		if r.More {
			t.Errorf("%s: it reads more than it names", kind)
		}
		silent := 0
		for _, name := range all {
			if slices.Contains(r.Attributes, name) {
				continue
			}
			silent++
			for _, value := range []string{"User_1", "Group_1", "TRUE", "-2147483646", "2", "smtp:a@contoso.test"} {
				e := plain()
				e.Attrs[strings.ToLower(name)] = [][]byte{[]byte(value)}
				if diff := cmp.Diff(connect.Evaluate(plain(), "contoso.test"), connect.Evaluate(e, "contoso.test")); diff != "" {
					t.Errorf("%s: %s is %q and is not among what is read, yet: %s", kind, name, value, diff)
				}
			}
		}
		if silent < 3 {
			t.Errorf("%s: only %d attributes were tried", kind, silent)
		}
	}
	if r := d.ReadsOf(scoping.Device); !r.More {
		t.Error("a kind that is not described is said to depend on nothing")
	}
}

func TestRulesKeepTheirFingerprint(t *testing.T) {
	onEveryLab(t, func(w *world) {
		w.addUser("Ann", w.ou)
		scopes := []scoping.Scope{w.scope(w.ou)}
		first := w.run(engine.ProfileFull, scopes).begins
		w.start(connect.Options{})
		again := w.run(engine.ProfileFull, scopes).begins
		if len(first) != 1 || len(again) != 1 || first[0].Rules.IsZero() || first[0].Rules != again[0].Rules {
			w.Errorf("%+v, then %+v", first, again)
		}
	})
}
