package provision

import (
	"context"
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/access"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// denied says for an administrator which rights the account lacks for a write that was refused, as far as the access list of the object, or of the container, tells.
func (h *hand) denied(ctx context.Context, w provision.Write) string {
	who := h.sink.Account.User
	const ask = "; tandem check names every right and the lines that grant it"
	if w.Op == provision.Add || w.Op == provision.Delete || w.Op == provision.Move {
		return fmt.Sprintf("%s lacks a right to %s a %s there%s", who, w.Op, w.Kind, ask)
	}
	token, err := h.token(ctx)
	if err != nil {
		return fmt.Sprintf("%s lacks a right for it%s", who, ask)
	}
	e, err := one(ctx, h.Session, directory.SearchQuery{BaseGUID: w.Object, Scope: directory.Base, Attrs: []string{"nTSecurityDescriptor"}, Descriptor: true})
	list, err2 := access.ParseDescriptor([]byte(e.Text("nTSecurityDescriptor")))
	known, err3 := h.Properties(ctx, written(w))
	if err != nil || err2 != nil || err3 != nil {
		return fmt.Sprintf("%s lacks a right for it%s", who, ask)
	}
	var lacks []string
	for _, p := range known {
		if !list.Allows(token, "", access.Right{Mask: access.WriteProperty, Object: p.GUID, Set: p.Set}) {
			lacks = append(lacks, fmt.Sprintf("%s (%s)", p.Name, p.GUID))
		}
	}
	if len(lacks) == 0 {
		return fmt.Sprintf("%s lacks a right for it%s", who, ask)
	}
	return fmt.Sprintf("%s may not write %s of %q%s", who, strings.Join(lacks, ", "), e.DN, ask)
}

// written are the attributes that a modification or a rename writes.
func written(w provision.Write) []string {
	if w.Op == provision.Rename {
		return []string{"cn", "name"}
	}
	var out []string
	if !w.ByGUID && (!w.Altered || w.WasLink != "") {
		out = append(out, w.Link.Attribute)
	}
	for _, s := range w.Set {
		out = append(out, s.Attribute)
	}
	for _, r := range w.Refs {
		out = append(out, r.Attribute)
	}
	if w.Disabled != nil && w.Kind == scoping.User {
		out = append(out, "userAccountControl")
	}
	return out
}

// token is who the session is to the controller.
func (h *hand) token(ctx context.Context) (access.Token, error) {
	raw, err := h.Token(ctx)
	if err != nil {
		return nil, err
	}
	var out access.Token
	for _, b := range raw {
		sid, err := access.SIDFromBytes(b)
		if err != nil {
			return nil, err
		}
		out = append(out, sid)
	}
	return out, nil
}
