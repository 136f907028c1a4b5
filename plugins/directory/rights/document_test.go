package rights_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/plugins/directory/access"
	"github.com/tandem-sync/tandem/plugins/directory/rights"
)

// documented are the commands of examples/contoso/accounts.md for an account, with the names of a world instead of its own.
func (w *world) documented(account, container string) []string {
	w.Helper()
	b, err := os.ReadFile("../../../examples/contoso/accounts.md")
	w.ok(err)
	sid, err := access.SIDFromBytes(w.svc)
	w.ok(err)
	names := strings.NewReplacer(account+"@contoso.test", w.connection.User, "OU=Sales,DC=contoso,DC=test", container, "OU=New Hires,DC=contoso,DC=test", container,
		"msDS-ExternalDirectoryObjectId", "adminDescription", "bd29bf90-66ad-40e1-887b-10df070419a6", "bf967919-0de6-11d0-a285-00aa003049e2", "DC=contoso,DC=test", w.base, ";SID)", ";"+sid.String()+")")
	var out []string
	of := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "dsacls ") {
			of = line
		}
		if (strings.HasPrefix(line, "dsacls ") || strings.HasPrefix(line, "samba-tool dsacl ")) && strings.Contains(of, account+"@") {
			out = append(out, names.Replace(line))
		}
	}
	return out
}

// The document says what check says, word for word, and on Samba it is enough.
func TestTheDocumentsCommandsAreThoseThatGrantTheRights(t *testing.T) {
	onSamba(t, func(w *world) {
		// In this order: an account that may read hashes has no business in resetting, and is told so.
		for _, c := range []struct {
			account string
			look    func() []rights.Finding
			want    int
		}{
			{"svc-reset", func() []rights.Finding { return rights.Reset(w.Context(), w.connection, []string{w.ou}) }, 6},
			{"svc-prov", func() []rights.Finding { return rights.Provision(w.Context(), w.connection, []string{w.ou}) }, 64},
			{"svc-hash", func() []rights.Finding { return rights.Replicate(w.Context(), w.replication()) }, 4},
		} {
			account := c.account
			var told []string
			for _, f := range c.look() {
				told = append(told, f.Grant...)
			}
			written := w.documented(account, w.ou)
			if !slices.Equal(told, written) || len(written) != c.want {
				w.Errorf("%s: check says\n%s\nthe document\n%s", account, strings.Join(told, "\n"), strings.Join(written, "\n"))
			}
			for _, line := range written {
				if strings.HasPrefix(line, "samba-tool ") {
					w.run(line)
				}
			}
			w.wants(account, c.look())
		}
	})
}
