package rights

import (
	"context"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/access"
)

// LinkAttributes hold the link of what is made of an object of the tenant: the first that the schema has, unless the policy names another one.
var LinkAttributes = []string{"msDS-ExternalDirectoryObjectId", "adminDescription"}

// The classes of what is provisioned (MS-ADSC).
const (
	groups = "bf967a9c-0de6-11d0-a285-00aa003049e2"
	units  = "bf967aa5-0de6-11d0-a285-00aa003049e2" // organizational units
)

// provisioned is a class of objects that are written into containers.
type provisioned struct {
	class string // as dsacls writes it
	guid  string
	title string // in the name of the right to make one
	// attributes are those that are written after the object was made, by the mappings that engines have by themselves. What is written only with the object needs no right of its own.
	attributes []string
}

var provisionedClasses = []provisioned{
	{"user", users, "User", []string{"cn", "name", "userAccountControl", "userPrincipalName", "displayName", "givenName", "sn", "title", "manager", "department", "company", "employeeID", "physicalDeliveryOfficeName",
		"streetAddress", "postalCode", "l", "st", "co", "telephoneNumber", "mobile", "preferredLanguage"}},
	{"group", groups, "Group", []string{"cn", "name", "displayName", "description", "member"}},
}

// allowance is one right that provisioning needs in a container, with the commands that give it.
type allowance struct {
	name, guid string
	where      string
	grant      []string
	has        func(access.Descriptor) bool // by the container's access list
}

// child is the right to make or to delete objects of a class in a container and in those below it.
func (a account) child(p place, c provisioned, mask access.Mask, verb, short string) allowance {
	right := access.Right{Mask: mask, Object: guid(c.guid)}
	return allowance{name: fmt.Sprintf("%s %s objects", verb, c.title), guid: c.guid, where: p.dn + " and the containers below it",
		grant: []string{
			fmt.Sprintf(`dsacls "%s" /I:T /G "%s:%s;%s"`, p.dn, a.user, short, c.class),
			fmt.Sprintf(`samba-tool dsacl set --objectdn="%s" --sddl="(OA;CI;%s;%s;;%s)"`, p.dn, short, c.guid, a.sid),
		},
		has: func(d access.Descriptor) bool {
			return d.Allows(a.token, "", right) && d.Inherits(a.token, guid(units), right)
		}}
}

// property is the right to write an attribute of objects of a class below a container.
func (a account) property(p place, c provisioned, attribute directory.Property) allowance {
	right := access.Right{Mask: access.WriteProperty, Object: attribute.GUID, Set: attribute.Set}
	return allowance{name: attribute.Name, guid: attribute.GUID.String(), where: c.class + "s under " + p.dn,
		grant: []string{
			fmt.Sprintf(`dsacls "%s" /I:S /G "%s:WP;%s;%s"`, p.dn, a.user, attribute.Name, c.class),
			fmt.Sprintf(`samba-tool dsacl set --objectdn="%s" --sddl="(OA;CIIO;WP;%s;%s;%s)"`, p.dn, attribute.GUID, c.guid, a.sid),
		},
		has: func(d access.Descriptor) bool { return d.Inherits(a.token, guid(c.guid), right) }}
}

// allowances are what provisioning objects of a class needs in a container. The attribute of the link is the first that the schema has.
func (a account) allowances(ctx context.Context, p place, c provisioned) ([]allowance, error) {
	known, err := a.session.Properties(ctx, slices.Concat(LinkAttributes, c.attributes))
	if err != nil {
		return nil, err
	}
	out := []allowance{a.child(p, c, access.CreateChild, "Create", "CC"), a.child(p, c, access.DeleteChild, "Delete", "DC")}
	linked := false
	for _, k := range known {
		if slices.Contains(LinkAttributes, k.Name) {
			if linked {
				continue
			}
			linked = true
		}
		out = append(out, a.property(p, c, k))
	}
	return out, nil
}

// provisions finds what the account lacks to write users and groups below a container. A class of which it has nothing, while it has something of another one, is not its business there.
func (a account) provisions(ctx context.Context, p place) []Finding {
	head, err := a.descriptor(ctx, p.guid, p.dn)
	if err != nil {
		return []Finding{unknown(err)}
	}
	lacks, has := make([][]allowance, len(provisionedClasses)), make([]bool, len(provisionedClasses))
	for i, c := range provisionedClasses {
		all, err := a.allowances(ctx, p, c)
		if err != nil {
			return []Finding{unknown(err)}
		}
		for _, r := range all {
			if r.has(head) {
				has[i] = true
			} else {
				lacks[i] = append(lacks[i], r)
			}
		}
	}
	var out []Finding
	for i, c := range provisionedClasses {
		if !has[i] && slices.Contains(has, true) {
			out = append(out, Finding{Code: NotFor, Level: Note, Text: fmt.Sprintf("%s may write no %ss under %s", a.user, c.class, p.dn), Hint: "nothing is needed unless they are provisioned there"})
			continue
		}
		for _, r := range lacks[i] {
			out = append(out, missing(a.user, r.name, r.guid, r.where, r.grant))
		}
	}
	return append(out, a.inherited(ctx, p)...)
}

// inherited finds objects below a container that do not inherit what it gives, and that the account does not see whether users are protected.
func (a account) inherited(ctx context.Context, p place) []Finding {
	sampled, err := a.sample(ctx, p)
	if err != nil {
		return []Finding{unknown(err)}
	}
	head, err := a.descriptor(ctx, p.guid, p.dn)
	if err != nil {
		return []Finding{unknown(err)}
	}
	var out []Finding
	name := access.Right{Mask: access.WriteProperty, Object: guid("bf967a0e-0de6-11d0-a285-00aa003049e2")} // name: every write of its place needs it
	if without := lacking(sampled, a.token, name); len(without) > 0 && head.Inherits(a.token, guid(users), name) {
		out = append(out, Finding{Code: Uninherited, Level: Warning, Text: fmt.Sprintf("%s may write users under %s, and not %s", a.user, p.dn, some(without)),
			Hint: "there inheritance is switched off or something is denied: these users cannot be written"})
	}
	return append(out, a.sight(ctx, p, sampled, "writes no user")...)
}

// link finds that the schema lacks the attribute that holds links by default.
func (a account) link(ctx context.Context) []Finding {
	lacks, err := a.session.Lacks(ctx, LinkAttributes[:1])
	if err != nil {
		return []Finding{unknown(err)}
	}
	if len(lacks) == 0 {
		return nil
	}
	return []Finding{{Code: NoLinkAttribute, Level: Note, Text: fmt.Sprintf("the schema of %s has no %s, which holds the link by default", a.session.Controller().URL, LinkAttributes[0]),
		Hint: "extend it to that of Windows Server 2016, or let the policy name another attribute, such as " + LinkAttributes[1]}}
}
