package cloudsync

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// What the description leaves out for a kind changes nothing that the default mappings and the exclusions make of it.
func TestProposalsDependOnWhatIsDescribed(t *testing.T) {
	s := defaultSchema()
	plain := func(kind scoping.Kind) directory.Entry {
		class := map[scoping.Kind]string{scoping.User: "user", scoping.Group: "group"}[kind]
		e := directory.Entry{GUID: scoping.GUID{1, 2, 3}, Attrs: map[string][][]byte{}}
		for name, v := range map[string]string{"objectclass": class, "samaccountname": "ann", "name": "Ann", "useraccountcontrol": "512", "grouptype": "-2147483646"} {
			e.Attrs[name] = [][]byte{[]byte(v)}
		}
		return e
	}
	type made struct {
		Values           map[string]engine.Value
		Missing, LeftOut string
	}
	judge := func(e directory.Entry) (m made) {
		m.Values, m.Missing = s.desired(e, "contoso.test")
		m.LeftOut = exclusion(e)
		return m
	}
	for kind, r := range s.reads() {
		if m := judge(plain(kind)); m.Values == nil || m.LeftOut != "" {
			t.Fatalf("%s: %+v", kind, m)
		}
		silent := 0
		for _, name := range s.attributes([]string{"extensionAttribute1"}) {
			if slices.Contains(r.Attributes, name) {
				continue
			}
			silent++
			for _, value := range []string{"User_1", "Group_1", "TRUE", "2", "smtp:a@contoso.test"} {
				e := plain(kind)
				e.Attrs[strings.ToLower(name)] = [][]byte{[]byte(value)}
				if diff := cmp.Diff(judge(plain(kind)), judge(e)); diff != "" {
					t.Errorf("%s: %s is %q and is not among what is read, yet: %s", kind, name, value, diff)
				}
			}
		}
		if silent < 2 {
			t.Errorf("%s: only %d attributes were tried", kind, silent)
		}
	}
}

func TestOtherMappingsHaveAnotherFingerprint(t *testing.T) {
	plain, _ := parseSettings(nil)
	mapped, problems := parseSettings([]byte(`{"mappings":{"users":[{"target":"department","type":"direct","source":["division"]}]}}`))
	listening, _ := parseSettings([]byte(`{"agents":{"listen":"127.0.0.1:9"}}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	fingerprint := func(s settings) engine.Fingerprint {
		schema, _ := s.schema()
		return schema.fingerprint(nil)
	}
	if f := fingerprint(plain); f.IsZero() || f != fingerprint(plain) || f != fingerprint(listening) {
		t.Errorf("the same mappings have fingerprints %s, %s and %s", f, fingerprint(plain), fingerprint(listening))
	}
	if fingerprint(plain) == fingerprint(mapped) {
		t.Error("other mappings have the same fingerprint")
	}
}
