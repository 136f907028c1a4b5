package plugin

import (
	"errors"
	"testing"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin/enginepb"
)

// Engines in other languages write these bytes themselves.
func TestABeginningThatCannotBeReadBreaksTheContract(t *testing.T) {
	for name, b := range map[string]*enginepb.RunBegin{
		"a short fingerprint":  {Rules: []byte{1, 2, 3}},
		"a long fingerprint":   {Rules: make([]byte, 32)},
		"a short invocationId": {Dc: []byte{1}},
	} {
		_, err := eventOfRun(&enginepb.RunEvent{Is: &enginepb.RunEvent_Begin{Begin: b}})
		if !errors.Is(err, engine.ErrContract) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := eventOfRun(&enginepb.RunEvent{Is: &enginepb.RunEvent_Begin{Begin: &enginepb.RunBegin{Directory: "a"}}}); err != nil {
		t.Errorf("an engine that does not know the fingerprint of its rules: %v", err)
	}
}
