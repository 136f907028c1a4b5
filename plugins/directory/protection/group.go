package protection

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/access"
)

// OfGroup returns why a group is protected; empty: it is not. holders are the SIDs of the groups that hold it through all nesting ([Holders]): who becomes a member of a group
// that lies in Domain Admins becomes a Domain Admin.
func OfGroup(group, root directory.Entry, holders []access.SID) (string, error) {
	if !slices.ContainsFunc(group.Texts("objectClass"), func(c string) bool { return strings.EqualFold(c, "group") }) {
		return "it is no group", nil
	}
	sid, err := access.SIDFromBytes([]byte(group.Text("objectSid")))
	if err != nil {
		return "", fmt.Errorf("%w: its objectSid is not shown", ErrBlind)
	}
	former, err := historyOf(group)
	if err != nil {
		return "", err
	}
	all := slices.Concat([]access.SID{sid}, holders, former)
	if g, is := access.FirstProtected(all); is {
		return fmt.Sprintf("it is %s, or in it directly or through other groups", g.Name), nil
	}
	if group.Bool("isCriticalSystemObject") {
		return "it is a group of the system (isCriticalSystemObject)", nil
	}
	if n, _ := group.Int("adminCount"); n != 0 {
		return "it is or was in a group that the directory protects (adminCount)", nil
	}
	return overDomain(root, access.Token(all), sid)
}

// inChain follows links through all nesting (MS-ADTS 3.1.1.3.4.4.3, LDAP_MATCHING_RULE_TRANSITIVE_EVAL).
const inChain = "1.2.840.113556.1.4.1941"

// Holders returns the SIDs of the groups that hold an object, directly or through other groups.
func Holders(ctx context.Context, s *directory.Session, object directory.Entry) ([]access.SID, error) {
	var out []access.SID
	q := directory.SearchQuery{Filter: "(&(objectClass=group)" + directory.EqualFilter("member:"+inChain+":", object.DN) + ")", Attrs: []string{"objectSid"}}
	err := s.Search(ctx, q, func(e directory.Entry) error {
		sid, err := access.SIDFromBytes([]byte(e.Text("objectSid")))
		if err != nil {
			return fmt.Errorf("%w: the objectSid of %q, which holds it, is not shown", ErrBlind, e.DN)
		}
		out = append(out, sid)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find the groups that hold %q: %w", object.DN, err)
	}
	return out, nil
}
