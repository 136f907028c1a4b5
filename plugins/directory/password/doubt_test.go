package password_test

import (
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/examples/lab/cable"
	"github.com/tandem-sync/tandem/plugins/directory/password"
)

// requestsOfALook are those before the one that writes: the user, and the domain's head.
const requestsOfALook = 2

func TestALostAnswerIsInDoubtAndALostLineBeforeItIsNot(t *testing.T) {
	everywhere(t, func(w *world) {
		direct := w.connection.URLs[0]
		for name, c := range map[string]struct {
			after   int
			deliver bool
			want    password.Code
			set     bool
		}{
			"the answer is lost":           {requestsOfALook + 1, true, password.InDoubt, true},
			"the request is lost":          {requestsOfALook + 1, false, password.InDoubt, false},
			"the look at the domain fails": {requestsOfALook, false, password.Unreachable, false},
			"the look at the user fails":   {1, false, password.Unreachable, false},
			"the answer to a look is lost": {requestsOfALook, true, password.Unreachable, false},
			"nothing is lost":              {0, true, password.OK, true},
		} {
			user := strings.ReplaceAll(name, " ", "")
			if len(user) > 15 {
				user = user[len(user)-15:]
			}
			g := w.guid(w.user(user))
			wire := cable.New(w.T, direct)
			through := w.connection
			through.URLs = []string{wire.URL()}
			s := w.setterOver(through)
			wire.CutAfter(c.after, c.deliver)
			w.wants(name, s.Reset(w.Context(), g, value("Second-Passw0rd!"), false), c.want)
			got := w.signsIn(user, "Second-Passw0rd!") == "yes"
			if got != c.set {
				w.Errorf("%s: the new password signs in: %v", name, got)
			}
		}
	})
}
