package run

import (
	"errors"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
)

func TestARunIsToldWithItsEndAndWhoStartedIt(t *testing.T) {
	began := time.UnixMilli(1000)
	full := Report{Engine: "connect", Profile: engine.ProfileFull, Read: 7, Creates: 1, Complete: true}
	cut, failing := full, full
	cut.Complete, cut.Errors = false, []Problem{{Object: "OU=a", Code: "directory-unread", Message: "no route"}}
	failing.Failed, failing.Errors = 1, []Problem{{Object: "CN=a", Code: "refused", Message: "no"}}
	for name, x := range map[string]struct {
		o    SyncOptions
		r    Report
		err  error
		want Past
	}{
		"by schedule": {SyncOptions{}, full, nil, Past{Profile: "full", Read: 7, Creates: 1, Result: EndedComplete, By: "schedule"}},
		"by a person": {SyncOptions{By: "ada"}, full, nil, Past{Profile: "full", Read: 7, Creates: 1, Result: EndedComplete, By: "ada"}},
		"by a wave, in part": {SyncOptions{Wave: "w-1"}, cut, nil, Past{Profile: "full", Read: 7, Creates: 1, Result: EndedIncomplete, By: "wave w-1",
			Message: "OU=a directory-unread: no route"}},
		"an object failed": {SyncOptions{}, failing, nil, Past{Profile: "full", Read: 7, Creates: 1, Failed: 1, Result: EndedComplete, By: "schedule", Message: "CN=a refused: no"}},
		"broken before it began": {SyncOptions{}, Report{Engine: "connect"}, errors.New("tenant is down"),
			Past{Profile: "delta", Result: EndedFailed, By: "schedule", Message: "tenant is down"}},
	} {
		x.want.Engine, x.want.Began, x.want.Millis = "connect", 1000, 500
		if got := pastOf(x.o, began, began.Add(500*time.Millisecond), x.r, x.err); got != x.want {
			t.Errorf("%s: %+v, want %+v", name, got, x.want)
		}
	}
}
