// Package provision is what is written into a directory for objects of the tenant, as values: the shape of one write, the shape of one look, and how either ends.
// Who decides about them and who carries them out import it. It does nothing: package plugins/directory/provision does, over LDAP.
package provision

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tandem-sync/tandem/scoping"
)

// Op is what a write does. Each is one LDAP operation, after whatever has to be read over the same connection.
type Op string

// The operations.
const (
	// Add makes the object in Target.Container, under the common name [Target.RDN], which Active Directory keeps unique there. A user is made disabled
	// (userAccountControl 514) and with a password of 32 characters from four classes that whoever carries it out makes and forgets. One operation: there is no half of it.
	Add Op = "add"
	// Join gives what is there its link, in place of Target.WasLink: a person said that it is the one. Nothing else of it changes.
	Join Op = "join"
	// Modify changes values of what is there, in one modification: see Values.
	Modify Op = "modify"
	// Rename gives it the common name Values.Name in the container where it is.
	Rename Op = "rename"
	// Move puts it into Target.Container, with the name that it has.
	Move Op = "move"
	// Delete ends it. What has children is not deleted.
	Delete Op = "delete"
)

// Link is the value by which the directory shows of which object of the tenant something is made, and the attribute that holds it.
type Link struct {
	Attribute string `json:"attribute"` // msDS-ExternalDirectoryObjectId, or what the policy names
	Value     string `json:"value"`     // User_<cloud id> or Group_<cloud id>
}

// Target says what a write is about, without what is written. It is told before the permit.
//
// Whoever carries it out writes at the controller of Controller and Invocation and nowhere else; reads the DN of Object and of containers by GUID over the connection that writes;
// makes sure that the object lies below Root before and after (code outside; before, below one of Roots will do), is of the Kind and not protected, and, but for an Add, that it holds the Link (code precondition); and
// reads it again by GUID afterwards. Altered and ByGUID say which of that is not asked: whoever leaves is disabled whatever became of the account's link and place meanwhile.
type Target struct {
	Op         Op           `json:"op"`
	Kind       scoping.Kind `json:"kind"`               // a user or a group
	Controller string       `json:"controller"`         // URL
	Invocation scoping.GUID `json:"invocation"`         // invocationId of that controller: another one behind the URL writes nothing (code other-controller)
	Object     scoping.GUID `json:"object,omitzero"`    // zero with Add
	Container  scoping.GUID `json:"container,omitzero"` // with Add and Move
	Root       scoping.GUID `json:"root"`               // the container that the policy gives to the engine
	// Roots are further containers that the policy gives to the engine: an object may come from there, since another assignment brings it now.
	Roots   []scoping.GUID `json:"roots,omitempty"`
	Link    Link           `json:"link"`
	WasLink string         `json:"wasLink,omitempty"` // with Join and Altered: the value that it has instead; empty: none. Another one is code precondition
	// Altered says that somebody else changed the link of an object that is linked all the same: it is known by its objectGUID, and shows WasLink. Not with Add, Join and Delete.
	Altered bool `json:"altered,omitempty"`
	// ByGUID says of a Modify that does nothing but disable that the object is known by its objectGUID alone: it may lie outside Root, and its link is not looked at.
	ByGUID bool `json:"byGUID,omitempty"`
}

// Values is what is written, and what has to be there for it. It comes with the permit.
type Values struct {
	Set      []Set        `json:"set,omitempty"`      // with Add (Was is empty) and Modify
	Refs     []Ref        `json:"refs,omitempty"`     // with Modify, alone
	Disabled *Switch      `json:"disabled,omitempty"` // with Modify: the bit of userAccountControl; all other bits stay as the controller has them
	Name     string       `json:"name,omitempty"`     // with Rename: the common name, not escaped
	WasName  string       `json:"wasName,omitempty"`  // with Rename: the one that it has; another one is code precondition
	From     scoping.GUID `json:"from,omitzero"`      // with Move: the container where it is; another one is code precondition
}

// Set makes an attribute hold To where it holds Was, by deleting what is only in Was and adding what is only in To. A value of Was that is not there, or of To that is there
// already, changes nothing of the whole modification (code precondition).
type Set struct {
	Attribute string   `json:"attribute"`
	Was       []string `json:"was,omitempty"`
	To        []string `json:"to,omitempty"`
}

// Ref adds and removes references of one attribute ("member", "manager"), by objectGUID. Of "member" what is there already, or gone already, is no failure; of others it is code precondition,
// as with Set.
type Ref struct {
	Attribute string         `json:"attribute"`
	Remove    []scoping.GUID `json:"remove,omitempty"`
	Add       []scoping.GUID `json:"add,omitempty"`
}

// Switch changes one bit; another state than Was is code precondition.
type Switch struct {
	Was bool `json:"was"`
	To  bool `json:"to"`
}

// Write is one write as a whole.
type Write struct {
	Target
	Values
}

// MaxRefs is how many references one write adds and removes at most.
const MaxRefs = 1000

// maxName is the longest common name, in characters (the attribute's range in Active Directory's schema).
const maxName = 64

// ErrShape is the kind of errors of writes and looks that are none.
var ErrShape = errors.New("no write into a directory")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrShape, fmt.Sprintf(format, args...))
}

// RDN returns the common name under which an object is made: its link's value.
func (t Target) RDN() string { return t.Link.Value }

// Made reports whether what a write links was made by it, or by an earlier write whose record is lost, as a link that is there already shows. Its first
// password is a random one.
func (t Target) Made() bool { return t.Op == Add || t.Op == Join && t.WasLink != "" }

// Valid reports whether the target is one, as an ErrShape.
func (t Target) Valid() error {
	adds, into := t.Op == Add, t.Op == Add || t.Op == Move
	switch {
	case t.Op != Add && t.Op != Join && t.Op != Modify && t.Op != Rename && t.Op != Move && t.Op != Delete:
		return wrong("operation %q", t.Op)
	case t.Kind != scoping.User && t.Kind != scoping.Group:
		return wrong("of a %q", t.Kind)
	case t.Controller == "" || t.Invocation.IsZero():
		return wrong("it names no controller")
	case t.WasLink != "" && (t.Op != Join && !t.Altered || !utf8.ValidString(t.WasLink) || strings.ContainsRune(t.WasLink, 0)):
		return wrong("%s in place of link %q", t.Op, t.WasLink)
	case t.Altered && (t.Op == Add || t.Op == Join || t.Op == Delete || t.ByGUID || t.WasLink == t.Link.Value), t.ByGUID && t.Op != Modify:
		return wrong("a %s of what is known by its objectGUID", t.Op)
	case t.Root.IsZero():
		return wrong("it names no container of the policy")
	case adds != t.Object.IsZero():
		return wrong("%s of object %s", t.Op, t.Object)
	case into == t.Container.IsZero():
		return wrong("%s into container %s", t.Op, t.Container)
	}
	return t.Link.Valid()
}

// Valid reports whether the link is one, as an ErrShape.
func (l Link) Valid() error {
	switch {
	case !isName(l.Attribute):
		return wrong("the link's attribute is %q", l.Attribute)
	case l.Value == "" || utf8.RuneCountInString(l.Value) > maxName || strings.ContainsAny(l.Value, "\x00\r\n"):
		return wrong("the link's value is %q", l.Value)
	}
	return nil
}

// Valid reports whether the write is one, as an ErrShape.
func (w Write) Valid() error {
	if err := w.Target.Valid(); err != nil {
		return err
	}
	v := w.Values
	if (w.Op == Rename) != (v.Name != "") || (w.Op == Rename) != (v.WasName != "") || utf8.RuneCountInString(v.Name) > maxName || strings.ContainsAny(v.Name, "\x00\r\n") {
		return wrong("%s from %q to %q", w.Op, v.WasName, v.Name)
	}
	if (w.Op == Move) == v.From.IsZero() {
		return wrong("%s from container %s", w.Op, v.From)
	}
	if w.Op != Add && w.Op != Modify && len(v.Set)+len(v.Refs) > 0 || w.Op != Modify && v.Disabled != nil || w.Op == Add && len(v.Refs) > 0 {
		return wrong("a %s with values", w.Op)
	}
	if w.Op == Modify && len(v.Set)+len(v.Refs) == 0 && v.Disabled == nil {
		return wrong("it changes nothing")
	}
	if len(v.Refs) > 0 && (len(v.Set) > 0 || v.Disabled != nil) {
		return wrong("references and values at once")
	}
	if v.Disabled != nil && (w.Kind != scoping.User || v.Disabled.Was == v.Disabled.To) {
		return wrong("it disables nothing")
	}
	if w.ByGUID && (v.Disabled == nil || !v.Disabled.To || len(v.Set) > 0) {
		return wrong("what is known by its objectGUID alone is disabled and nothing else")
	}
	return errors.Join(w.sets(), w.refs())
}

// ours are attributes that whoever carries a write out writes by other means, or never.
var ours = []string{"cn", "name", "distinguishedname", "objectclass", "objectguid", "objectsid", "useraccountcontrol", "unicodepwd", "userpassword", "member", "manager"}

// powers are attributes by which whoever writes them takes an account over, gives it rights, or confuses the directory or the other direction about who it is. No mapping writes them.
var powers = []string{"admincount", "altsecurityidentities", "grouptype", "memberof", "ms-ds-consistencyguid", "msds-allowedtoactonbehalfofotheridentity", "msds-allowedtodelegateto", "msds-groupmsamembership",
	"msds-keycredentiallink", "ntsecuritydescriptor", "primarygroupid", "samaccounttype", "serviceprincipalname", "sidhistory", "supplementalcredentials", "unixuserpassword", "dbcspwd", "ntpwdhistory",
	"lmpwdhistory", "pwdlastset", "lockouttime", "useraccountcontrol", "isdeleted", "instancetype"}

func (w Write) sets() error {
	seen := map[string]bool{}
	for _, s := range w.Set {
		name := strings.ToLower(s.Attribute)
		switch {
		case !isName(s.Attribute) || seen[name]:
			return wrong("attribute %q", s.Attribute)
		case slices.Contains(powers, name):
			return wrong("attribute %q, which gives power over an account or the directory, is never provisioned", s.Attribute)
		case slices.Contains(ours, name) || strings.EqualFold(name, w.Link.Attribute):
			return wrong("attribute %q is not set as a value", s.Attribute)
		case w.Op == Add && (len(s.Was) > 0 || len(s.To) == 0), len(s.Was)+len(s.To) == 0:
			return wrong("attribute %q from %q to %q", s.Attribute, s.Was, s.To)
		}
		seen[name] = true
		for _, v := range append(append([]string{}, s.Was...), s.To...) {
			if v == "" || !utf8.ValidString(v) {
				return wrong("a value of attribute %q", s.Attribute)
			}
		}
	}
	return nil
}

func (w Write) refs() error {
	n := 0
	for _, r := range w.Refs {
		if !isName(r.Attribute) || len(r.Add)+len(r.Remove) == 0 || len(w.Refs) > 1 {
			return wrong("references of attribute %q", r.Attribute)
		}
		n += len(r.Add) + len(r.Remove)
		for _, g := range append(append([]scoping.GUID{}, r.Add...), r.Remove...) {
			if g.IsZero() {
				return wrong("a reference of attribute %q to nothing", r.Attribute)
			}
		}
	}
	if n > MaxRefs {
		return wrong("%d references at once", n)
	}
	return nil
}

// isName reports whether a text is the name of an LDAP attribute (RFC 4512, 1.4, keystring).
func isName(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r != '-' && (r < '0' || r > '9')) {
			return false
		}
	}
	return s != ""
}
