package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/policy"
)

func TestAFileOfMatchesIsRead(t *testing.T) {
	text := "\ufeffObject,TenantObject\r\n# groups made by hand\r\n\"CN=A\\, B,OU=Sales,DC=contoso,DC=test\", 2F0E7A4C-51F3-4F0E-9C57-3B1F5F6F2A10\r\n" +
		"{9d1f3c0e-7b52-4a86-9f10-6c2d8e4b5a37},2f0e7a4c-51f3-4f0e-9c57-3b1f5f6f2a11\nkaY2Yk1pT0u0b1H6y1x7Zg==,2f0e7a4c-51f3-4f0e-9c57-3b1f5f6f2a12"
	got, err := policy.ParseMatches("m.csv", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	g, _ := scoping.ParseGUID("9d1f3c0e-7b52-4a86-9f10-6c2d8e4b5a37")
	want := []policy.MatchLine{
		{Object: `CN=A\, B,OU=Sales,DC=contoso,DC=test`, DN: scoping.MustParseDN(`CN=A\, B,OU=Sales,DC=contoso,DC=test`), Tenant: "2f0e7a4c-51f3-4f0e-9c57-3b1f5f6f2a10", Pos: scoping.Pos{File: "m.csv", Line: 3, Column: 1}},
		{Object: "{9d1f3c0e-7b52-4a86-9f10-6c2d8e4b5a37}", GUID: g, Tenant: "2f0e7a4c-51f3-4f0e-9c57-3b1f5f6f2a11", Pos: scoping.Pos{File: "m.csv", Line: 4, Column: 1}},
		{Object: "kaY2Yk1pT0u0b1H6y1x7Zg==", Anchor: "kaY2Yk1pT0u0b1H6y1x7Zg==", Tenant: "2f0e7a4c-51f3-4f0e-9c57-3b1f5f6f2a12", Pos: scoping.Pos{File: "m.csv", Line: 5, Column: 1}},
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(), cmp.Comparer(func(a, b scoping.DN) bool { return a.Equal(b) })); d != "" {
		t.Error(d)
	}
}

func TestThePolicyNamesItsFileOfMatches(t *testing.T) {
	if name, pos := policy.MatchesFile("policy.yaml", []byte(example)); name != "./matches.csv" || pos != at(8, 10) {
		t.Errorf("%q at %v", name, pos)
	}
	for _, text := range []string{"", "version: 1\n", "[", "- matches: x\n"} {
		if name, _ := policy.MatchesFile("policy.yaml", []byte(text)); name != "" {
			t.Errorf("%q names %q", text, name)
		}
	}
}
