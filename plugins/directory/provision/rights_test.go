package provision_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
	sink "github.com/tandem-sync/tandem/plugins/directory/provision"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// written are the values that the mappings of engines write by themselves after an object was made.
var written = set("displayName", "D", "givenName", "G", "sn", "S", "title", "T", "department", "D", "company", "C", "employeeID", "7", "physicalDeliveryOfficeName", "O", "streetAddress", "S",
	"postalCode", "P", "l", "L", "st", "S", "co", "C", "telephoneNumber", "1", "mobile", "2", "preferredLanguage", "cs")

// everything does all that is done to a user and to a group until the account has no right to something, which it returns.
func (w *world) everything(round int) (denied string) {
	w.Helper()
	do := func(what string, t provision.Target, v provision.Values) sink.Outcome {
		if denied != "" {
			return sink.Outcome{}
		}
		o := w.carry(t, v)
		switch o.Code {
		case provision.Done:
		case provision.NoRights:
			denied = what
		default:
			w.Errorf("%s: %s (%s)", what, o.Code, o.Why())
		}
		return o
	}
	into := func(t provision.Target, g scoping.GUID) provision.Target {
		t = w.of(t, g, provision.Move)
		t.Container = w.guid(w.below)
		return t
	}
	user := w.target(provision.Add, scoping.User)
	o := do("add a user", user, provision.Values{Set: set("sAMAccountName", fmt.Sprintf("u%d%s", round, w.suffix))})
	if o.Code == provision.Done {
		g := o.Result.Object
		values := append(slices.Clone(written), set("userPrincipalName", fmt.Sprintf("u%d%s@%s", round, w.suffix, w.domain))...)
		do("change a user", w.of(user, g, provision.Modify), provision.Values{Set: values, Disabled: &provision.Switch{Was: true}})
		do("a user's manager", w.of(user, g, provision.Modify), provision.Values{Refs: []provision.Ref{{Attribute: "manager", Add: []scoping.GUID{w.guid(w.svcDN)}}}})
		do("rename a user", w.of(user, g, provision.Rename), provision.Values{WasName: user.Link.Value, Name: fmt.Sprintf("User %d", round)})
		do("move a user", into(user, g), provision.Values{From: w.guid(w.ou)})
		do("disable a user", w.of(user, g, provision.Modify), provision.Values{Disabled: &provision.Switch{To: true}})
		do("delete a user", w.of(user, g, provision.Delete), provision.Values{})
	}
	if denied == "" {
		native := w.target(provision.Join, scoping.User)
		dn := fmt.Sprintf("CN=Native %d%s,%s", round, w.suffix, w.ou)
		w.add(dn, "objectClass", "user", "sAMAccountName", fmt.Sprintf("n%d%s", round, w.suffix))
		native.Object = w.guid(dn)
		do("join a user", native, provision.Values{})
		again := w.target(provision.Join, scoping.User) // hired again, as another object of the tenant
		again.Object, again.WasLink = native.Object, native.Link.Value
		do("re-link a user", again, provision.Values{})
		again.WasLink = ""
		do("change who was joined", w.of(again, native.Object, provision.Modify), provision.Values{Set: set("displayName", "J")})
	}
	group := w.target(provision.Add, scoping.Group)
	if o = do("add a group", group, provision.Values{}); o.Code == provision.Done {
		g := o.Result.Object
		do("change a group", w.of(group, g, provision.Modify), provision.Values{Set: set("displayName", "D", "description", "D")})
		do("members", w.of(group, g, provision.Modify), provision.Values{Refs: []provision.Ref{{Attribute: "member", Add: []scoping.GUID{w.guid(w.svcDN)}}}})
		do("rename a group", w.of(group, g, provision.Rename), provision.Values{WasName: group.Link.Value, Name: fmt.Sprintf("Group %d", round)})
		do("move a group", into(group, g), provision.Values{From: w.guid(w.ou)})
		do("delete a group", w.of(group, g, provision.Delete), provision.Values{})
	}
	return denied
}

// With the documented rights everything works, and none of them is there in vain. That check names each that is missing is tested beside package rights.
func TestTheDocumentedRightsAreEnoughAndEachIsNeeded(t *testing.T) {
	everywhere(t, func(w *world) {
		if denied := w.everything(0); denied != "" {
			w.Fatalf("with all rights it may not %q", denied)
		}
		w.undelegate()
		round := 1
		for _, all := range []map[string]delegation.Entry{delegation.Provision, delegation.Link(w.link)} {
			for name := range all {
				w.delegate(name)
				if denied := w.everything(round); denied == "" {
					w.Errorf("without %q it may do everything", name)
				}
				w.undelegate()
				round++
			}
		}
	})
}
