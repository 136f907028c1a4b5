package plugin

import (
	"bytes"
	"testing"

	"github.com/tandem-sync/tandem/plugins/engine/plugin/enginepb"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
)

// Both processes decode messages with secrets: whatever goes wrong while they are at hand, no trace shows them.
func TestAPanicWhileAMessageIsDecodedShowsNoSecret(t *testing.T) {
	old, fresh := []byte("Secret-0ld-Passw0rd"), []byte("Secret-New-Passw0rd")
	permit := &enginepb.Permit{Id: "1", Old: bytes.Clone(old), New: bytes.Clone(fresh)}
	for name, c := range map[string]struct {
		nth      int
		function string
		decode   func() error
	}{
		"the permit's new password": {1, "plugin.permitIn", func() error { _, err := permitIn(permit); return err }},
		"the permit's old password": {2, "plugin.permitIn", func() error { _, err := permitIn(permit); return err }},
		"a proposal's credential": {1, "plugin.passwordIn", func() error {
			_, err := passwordIn(&enginepb.Password{Credential: bytes.Clone(fresh), Stamp: &enginepb.Stamp{Invocation: make([]byte, 16)}})
			return err
		}},
		"an account of the configuration": {1, "plugin.accountsIn", func() error {
			accountsIn([]*enginepb.Account{{Purpose: "reset", User: "svc", Password: bytes.Clone(fresh)}})
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			secrettest.Absent(t, secrettest.CrashTaking(t, c.nth, c.function, func() { t.Log(c.decode()) }), old, fresh)
		})
	}
}
