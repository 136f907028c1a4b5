package rights_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/plugins/directory"
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
		"msDS-ExternalDirectoryObjectId", "adminDescription", "bd29bf90-66ad-40e1-887b-10df070419a6", "bf967919-0de6-11d0-a285-00aa003049e2", "DC=contoso,DC=test", w.base, ";SID)", ";"+sid.String()+")", "--sid=SID", "--sid="+sid.String())
	var out []string
	of := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "dsacls ") {
			of = line
		}
		if (strings.HasPrefix(line, "dsacls ") || strings.HasPrefix(line, "samba-tool dsacl ") || strings.HasPrefix(line, "./see-deleted.py ")) && strings.Contains(of, account+"@") {
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

// What the document says of the account that reads is what such an account needs: without it changes or deletes stay out of sight.
func TestTheDocumentsCommandsMakeAnAccountThatReads(t *testing.T) {
	onSamba(t, func(w *world) {
		gone := w.user("gone", w.ou)
		w.ok(w.admin.Del(ldap.NewDelRequest(gone, nil)))
		if err := w.signedIn().CanSeeDeleted(w.Context()); !errors.Is(err, directory.ErrNotPermitted) {
			t.Errorf("an ordinary account sees what was deleted: %v", err)
		}
		written := w.documented("svc-tandem", w.ou)
		if len(written) != 4 {
			t.Fatalf("the document has the commands\n%s", strings.Join(written, "\n"))
		}
		for _, line := range written {
			if strings.HasPrefix(line, "dsacls ") {
				continue // for Windows
			}
			if script, ours := strings.CutPrefix(line, "./"); ours { // as root on the controller
				line = "../../../examples/contoso/" + script + " --configfile=/dev/null -H " + filepath.Join(w.dc.Dir(), "domain", "private", "sam.ldb")
				if out, err := exec.CommandContext(w.Context(), "sh", "-c", line).CombinedOutput(); err != nil {
					w.Fatalf("%s: %v\n%s", line, err, out)
				}
				continue
			}
			w.run(line)
		}
		s := w.signedIn()
		if err := s.CanSeeDeleted(w.Context()); err != nil {
			t.Errorf("deleted objects: %v", err)
		}
		if found := rights.Deleted(w.Context(), s, w.connection.User); len(found) != 0 {
			t.Errorf("it still lacks a right: %+v", found)
		}
		all := 0
		if _, err := s.Sync(w.Context(), nil, directory.SyncQuery{Filter: "(objectClass=organizationalUnit)", Attrs: []string{"ou"}}, func(directory.Entry) error { all++; return nil }); err != nil || all < 2 {
			t.Errorf("%d OUs are read by DirSync: %v", all, err)
		}
		if found := rights.Bind(w.Context(), s, w.connection.User); len(found) != 0 {
			w.Errorf("it has more than it needs: %+v", found)
		}
	})
}
