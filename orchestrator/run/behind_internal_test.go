package run

import (
	"fmt"
	"testing"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

func TestARunOverLessThanTheHostHasSeenDoesNotBegin(t *testing.T) {
	dc := scoping.GUID{1}
	q := engine.RunRequest{AsOf: map[string]engine.AsOf{"contoso": {Invocation: dc, USN: 100}}}
	for name, test := range map[string]struct {
		begin engine.RunBegin
		code  string
	}{
		"as far as was seen":        {begin: engine.RunBegin{Directory: "contoso", DC: dc, USN: 100}},
		"farther":                   {begin: engine.RunBegin{Directory: "contoso", DC: dc, USN: 101}},
		"less":                      {begin: engine.RunBegin{Directory: "contoso", DC: dc, USN: 99}, code: engine.CodeBehind},
		"another controller":        {begin: engine.RunBegin{Directory: "contoso", DC: scoping.GUID{2}, USN: 3}}, // its numbers do not compare
		"of which nothing was seen": {begin: engine.RunBegin{Directory: "fabrikam", DC: dc, USN: 3}},
	} {
		err := begins(q, test.begin)
		switch {
		case (err != nil) != (test.code != ""):
			t.Errorf("%s: %v", name, err)
		case err != nil:
			if p := problemOf("acme", fmt.Errorf("engine acme: %w", err)); p.Code != test.code || p.Object != "acme" || p.Message == "" {
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
	if p := problemOf("acme", engine.ErrContract); p.Code != "run-failed" {
		t.Errorf("%+v", p)
	}
}
