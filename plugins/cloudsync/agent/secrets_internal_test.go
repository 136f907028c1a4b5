package agent

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
	"github.com/tandem-sync/tandem/scoping"
)

// An agent decodes passwords that come over the line and that lie in its folder: no trace of a panic meanwhile shows them.
func TestAPanicWhileAnAgentDecodesShowsNoPassword(t *testing.T) {
	old, fresh := []byte("Secret-0ld-Passw0rd"), []byte("Secret-New-Passw0rd")
	permit := &linepb.Permit{Old: bytes.Clone(old), New: bytes.Clone(fresh)}
	for name, c := range map[string]struct {
		nth      int
		function string
		decode   func(dir string) error
	}{
		"the permit's new password": {1, "agent.permitOf", func(string) error { permitOf(permit); return nil }},
		"the permit's old password": {2, "agent.permitOf", func(string) error { permitOf(permit); return nil }},
		"an account of its folder": {1, "agent.loadAccounts", func(dir string) error {
			if err := os.WriteFile(filepath.Join(dir, passwordFileOf(scoping.Reset)), fresh, 0o600); err != nil {
				return err
			}
			_, err := loadAccounts(dir, map[scoping.Purpose]accountOfFile{scoping.Reset: {User: "svc"}})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			secrettest.Absent(t, secrettest.CrashTaking(t, c.nth, c.function, func() { fmt.Println(c.decode(dir)) }), old, fresh)
		})
	}
}
