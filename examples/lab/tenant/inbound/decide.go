package inbound

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/tandem-sync/tandem/examples/lab/tenant/scim"
)

// decision is what an operation comes to, before anything is written.
type decision struct {
	target  *User          // nil: nobody was found
	changes map[string]any // what would be written
	refused *problem       // nothing may be written
}

// problem is an error as the log has it.
type problem struct{ code, reason, action string }

// decide finds the person among those who have the employeeId, and what of it differs.
func decide(u scim.User, found []User, target func(attribute, value string) (Flow, bool)) decision {
	wanted := properties(u, target)
	var ours, theirs []User
	for _, f := range found {
		if f.fed() {
			theirs = append(theirs, f)
		} else {
			ours = append(ours, f)
		}
	}
	switch {
	case len(ours) > 1:
		return decision{refused: &problem{"DuplicateTargetEntries", fmt.Sprintf("More than one user in Microsoft Entra ID has the employeeId '%s'.", u.ExternalID),
			"Give each user an employeeId of its own, or remove the user that is too many."}}
	case len(ours) == 1:
		return decision{target: &ours[0], changes: differing(wanted, ours[0])}
	case len(theirs) > 0:
		d := decision{target: &theirs[0], changes: differing(wanted, theirs[0])}
		if len(d.changes) > 0 {
			d.refused = &problem{"AzureActiveDirectoryCannotUpdateObjectsOriginatedInExternalService",
				fmt.Sprintf("The user with the employeeId '%s' is mastered by an on-premises directory, so its properties cannot be changed here.", u.ExternalID),
				"Change the user in its directory."}
		}
		return d
	}
	complete(wanted, u)
	for _, name := range []string{"userPrincipalName", "mailNickname", "displayName"} {
		if wanted[name] == nil {
			return decision{refused: &problem{"MandatoryFieldsMissing", fmt.Sprintf("A user cannot be created without the property '%s'.", name),
				"Send userName, and displayName or a name."}}
		}
	}
	return decision{changes: wanted}
}

// differing leaves what is not so already. Of a property with fields those count that are wanted.
func differing(wanted map[string]any, u User) map[string]any {
	out := map[string]any{}
	for name, want := range wanted {
		have := u.Properties[name]
		fields, isComplex := want.(map[string]any)
		if !isComplex {
			if !reflect.DeepEqual(have, want) {
				out[name] = want
			}
			continue
		}
		old, _ := have.(map[string]any)
		for field, value := range fields {
			if old[field] != value {
				out[name] = want
			}
		}
	}
	return out
}

// managerOf picks the manager among those who have the employeeId: one of the cloud, else one of a directory; nobody if that is not one person.
func managerOf(found []User) (User, bool) {
	ours := slices.DeleteFunc(slices.Clone(found), User.fed)
	if len(ours) == 0 {
		ours = found
	}
	if len(ours) != 1 {
		return User{}, false
	}
	return ours[0], true
}

// problemOf puts the tenant's refusal into the words of the log.
func problemOf(err error) *problem {
	r, ok := err.(*Refusal)
	if !ok {
		return &problem{"InternalError", err.Error(), "The operation is not repeated: send it again."}
	}
	p := &problem{"AzureActiveDirectory" + r.Code, r.Error(), "Correct the value in the source and send the user again."}
	switch {
	case r.Property == "userPrincipalName" && r.Code == "ObjectConflict":
		p.code = "AzureActiveDirectoryDuplicateUserPrincipalName"
	case r.Property == "userPrincipalName":
		p.code = "AzureActiveDirectoryInvalidUserPrincipalName"
	case r.Property == "proxyAddresses" && r.Code == "ObjectConflict":
		p.code = "AzureActiveDirectoryDuplicateProxyAddress"
	}
	return p
}
