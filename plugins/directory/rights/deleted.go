package rights

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/directory"
)

// Deleted looks at whether the account that reads sees what was deleted, without which no delete is proved and none is carried out. That the container of deleted objects is
// shown to an account proves nothing of what is in it; that it is not shown does, also where nothing was deleted yet. Nothing is found where tombstones are seen.
func Deleted(ctx context.Context, s *directory.Session, user string) []Finding {
	unseen := s.CanSeeDeleted(ctx)
	switch {
	case unseen == nil:
		return nil
	case errors.Is(unseen, directory.ErrUnproven):
		shown, err := showsDeleted(ctx, s)
		switch {
		case err != nil:
			return []Finding{unknown(err)}
		case shown:
			return []Finding{{Code: Unproven, Level: Note, Text: unseen.Error(), Hint: "check again after any object was deleted"}}
		}
	case !errors.Is(unseen, directory.ErrNotPermitted):
		return []Finding{{Code: Unknown, Level: Failure, Text: "whether the account sees deleted objects could not be looked at: " + unseen.Error()}}
	}
	dn := deletedObjects(s)
	f := missing(user, "List Contents and Read Property", "LCRP", dn, []string{fmt.Sprintf(`dsacls "%s" /takeownership`, dn), fmt.Sprintf(`dsacls "%s" /G "%s:LCRP"`, dn, user)})
	f.Text += ": what was deleted is hidden from it, so no delete can be proved, and none is carried out"
	f.Hint = fmt.Sprintf("grant it: %s, and then %s; for Samba there is see-deleted.py beside examples/contoso/accounts.md", f.Grant[0], f.Grant[1])
	return []Finding{f}
}

func deletedObjects(s *directory.Session) string {
	return "CN=Deleted Objects," + s.Controller().RootDN
}

// showsDeleted reports whether the account is shown the container of deleted objects.
func showsDeleted(ctx context.Context, s *directory.Session) (shown bool, err error) {
	q := directory.SearchQuery{BaseDN: deletedObjects(s), Scope: directory.Base, Attrs: []string{"objectClass"}, ShowDeleted: true}
	err = s.Search(ctx, q, func(e directory.Entry) error {
		shown = e.Deleted // it counts as deleted itself; a controller that shows its name alone hides what is in it, too
		return nil
	})
	if errors.Is(err, directory.ErrNoSuchObject) {
		return false, nil
	}
	return shown, err
}
