package provision

import (
	"strings"
	"unicode/utf8"

	"github.com/tandem-sync/tandem/scoping"
)

// Look asks one controller who in the whole domain, living or deleted, has one of some values. It writes nothing and needs no permit.
type Look struct {
	Controller string       `json:"controller"`           // URL
	Invocation scoping.GUID `json:"invocation,omitzero"`  // zero: whichever is there, which Result.Invocation tells
	Terms      []Term       `json:"terms"`                // at most MaxTerms
	Attributes []string     `json:"attributes,omitempty"` // what is told of what is found; see PasswordStamp
}

// PasswordStamp, among the attributes of a look, tells of each user the replication stamp of its password, as Result.Stamp, where the controller shows it.
const PasswordStamp = "replPropertyMetaData"

// Term is one value that is looked for, without regard to case as the attribute's syntax has it.
type Term struct {
	Attribute string `json:"attribute"` // "objectGUID" (Value in text form), "cn", "sAMAccountName", the link's …
	Value     string `json:"value"`
}

// MaxTerms is how many values one look asks for.
const MaxTerms = 256

// MaxFound is how many objects are told of one term: more than one is a question for a person already.
const MaxFound = 10

// Found is an object that has one of the values.
type Found struct {
	Term      int                 `json:"term"` // index into Look.Terms
	Object    scoping.GUID        `json:"object"`
	DN        string              `json:"dn"`
	Parent    scoping.GUID        `json:"parent,omitzero"` // objectGUID of the container; of the living
	Deleted   bool                `json:"deleted,omitempty"`
	Class     string              `json:"class"`               // the most special objectClass, such as "user", "computer", "group"
	Protected string              `json:"protected,omitempty"` // why nothing of it may be written, for people; empty: nothing keeps it
	Values    map[string][]string `json:"values,omitempty"`    // of Look.Attributes, as text; DNs of references as objectGUIDs in text form
	USN       uint64              `json:"usn"`                 // uSNChanged
}

// Valid reports whether the look is one, as an ErrShape.
func (l Look) Valid() error {
	if l.Controller == "" || len(l.Terms) == 0 || len(l.Terms) > MaxTerms {
		return wrong("a look for %d values at %q", len(l.Terms), l.Controller)
	}
	for _, t := range l.Terms {
		if !isName(t.Attribute) || t.Value == "" || !utf8.ValidString(t.Value) {
			return wrong("a look for %q = %q", t.Attribute, t.Value)
		}
		if _, err := scoping.ParseGUID(t.Value); strings.EqualFold(t.Attribute, "objectGUID") && err != nil {
			return wrong("a look for %s", err)
		}
	}
	for _, a := range l.Attributes {
		if !isName(a) {
			return wrong("a look at %q", a)
		}
	}
	return nil
}

// Result is what is known after a write that was done, or a look.
type Result struct {
	Object     scoping.GUID `json:"object,omitzero"`     // of a write
	DN         string       `json:"dn,omitempty"`        // of a write, afterwards
	Invocation scoping.GUID `json:"invocation,omitzero"` // of the controller
	USN        uint64       `json:"usn,omitempty"`       // of a write: uSNChanged afterwards
	Stamp      string       `json:"stamp,omitempty"`     // where Target.Made of a user: the replication stamp of the random password that it was made with (credential.Stamp.Text); empty: not shown, or it has another one by now
	Found      []Found      `json:"found,omitempty"`     // of a look
}
