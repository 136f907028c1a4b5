package cloud

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// shape is the form of writes of one operation. It is the one description that the gate, the tenant client and the simulation's tenant share: a write
// that one of them makes and another refuses would be tried again for ever.
type shape struct {
	kinds     []scoping.Kind
	fresh     bool // the object does not exist yet: no cloud id, and a key by which a second attempt finds the result of the first (rule J3)
	min, max  int  // number of references
	sets      func(w Write) error
	condition func(w Write) error // further conditions of a valid write
}

// The kinds that can be written: contacts only if the tenant has a way to write them (rule J4), which is a capability and not a matter of shape.
var (
	written     = []scoping.Kind{scoping.User, scoping.Group, scoping.Contact}
	restored    = []scoping.Kind{scoping.User, scoping.Group} // deleted contacts are not in the deleted items
	withManager = []scoping.Kind{scoping.User, scoping.Contact}
)

var shapes = map[Op]shape{
	Create:       {kinds: written, fresh: true, sets: creates, condition: keyedByAnchor},
	Update:       {kinds: written, sets: updates},
	Delete:       {kinds: written},
	Restore:      {kinds: restored, sets: restores},
	AddMembers:   {kinds: []scoping.Kind{scoping.Group}, min: 1, max: MaxMembers, condition: notItself},
	RemoveMember: {kinds: []scoping.Kind{scoping.Group}, min: 1, max: 1},
	SetManager:   {kinds: withManager, min: 1, max: 1},
	ClearManager: {kinds: withManager}, // DELETE /users/{id}/manager/$ref takes no reference
	SetPassword:  {kinds: []scoping.Kind{scoping.User}, condition: withPassword},
}

// Ops returns the operations, sorted.
func Ops() []Op {
	var out []Op
	for op := range shapes {
		out = append(out, op)
	}
	slices.Sort(out)
	return out
}

// Takes reports whether an operation exists for a kind.
func (op Op) Takes(kind scoping.Kind) bool { return slices.Contains(shapes[op].kinds, kind) }

// Valid returns why w can never be sent. The gate asks before the intent is recorded, the tenant client before the request is made. ID is not
// checked: a write gets it when it is admitted.
func (w Write) Valid() error {
	s, known := shapes[w.Op]
	switch {
	case !known:
		return fmt.Errorf("unknown operation %q", w.Op)
	case !slices.Contains(written, w.Kind):
		return fmt.Errorf("the tenant takes no write of a %s", w.Kind)
	case !w.Op.Takes(w.Kind):
		return fmt.Errorf("%s is no operation of a %s", w.Op, w.Kind)
	case s.fresh != (w.CloudID == ""):
		return fmt.Errorf("%s with cloud id %q", w.Op, w.CloudID)
	case w.Password != nil && w.Op != SetPassword:
		return fmt.Errorf("%s with a password", w.Op)
	case len(w.Refs) < s.min || len(w.Refs) > s.max:
		return fmt.Errorf("%s with %d references: it takes %s", w.Op, len(w.Refs), s.takes())
	}
	if err := distinct(w.Refs); err != nil {
		return err
	}
	for _, name := range sortedNames(w.Set) {
		p, ours := attribute.Find(w.Kind, name)
		if !ours {
			return fmt.Errorf("%s of a %s cannot be written through Graph", name, w.Kind)
		}
		if err := p.Check(w.Set[name]); err != nil {
			return err
		}
	}
	if s.sets == nil && len(w.Set) > 0 {
		return fmt.Errorf("%s with values", w.Op)
	}
	for _, check := range []func(Write) error{s.sets, s.condition} {
		if check != nil {
			if err := check(w); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s shape) takes() string {
	if s.min == s.max {
		return fmt.Sprint(s.max)
	}
	return fmt.Sprintf("%d to %d", s.min, s.max)
}

func distinct(refs []string) error {
	seen := map[string]bool{}
	for _, id := range refs {
		if id == "" {
			return errors.New("a reference without id")
		}
		if seen[id] {
			return fmt.Errorf("reference %s twice", id)
		}
		seen[id] = true
	}
	return nil
}

func sortedNames(v Values) []string {
	names := make([]string, 0, len(v))
	for n := range v {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func creates(w Write) error {
	for _, name := range attribute.With(w.Kind, attribute.Required) {
		if w.Set.First(name) == "" {
			return fmt.Errorf("the tenant creates no %s without %s", w.Kind, name)
		}
	}
	for _, name := range sortedNames(w.Set) {
		if len(w.Set[name]) == 0 {
			return fmt.Errorf("a %s created with %s cleared", w.Kind, name)
		}
	}
	return securityOnly(w)
}

func securityOnly(w Write) error {
	if w.Set.First(attribute.MailEnabled) == "true" {
		return errors.New("public Graph cannot make mail-enabled groups")
	}
	if w.Set.First(attribute.SecurityEnabled) == "false" {
		return errors.New("public Graph makes security groups only (rule J4)")
	}
	return nil
}

func updates(w Write) error {
	if len(w.Set) == 0 {
		return errors.New("an update without values")
	}
	for _, name := range sortedNames(w.Set) {
		if err := clears(w.Kind, name, w.Set[name]); err != nil {
			return err
		}
	}
	return securityOnly(w)
}

// clears returns an error for an attribute that cannot be cleared.
func clears(kind scoping.Kind, name string, values []string) error {
	if len(values) == 0 && (slices.Contains(attribute.With(kind, attribute.Required), name) || name == attribute.MailEnabled || name == attribute.SecurityEnabled) {
		return fmt.Errorf("%s of a %s cannot be cleared", name, kind)
	}
	return nil
}

// restores checks that only a user's sign-in name is set (https://learn.microsoft.com/graph/api/directory-deleteditems-restore).
func restores(w Write) error {
	for _, name := range sortedNames(w.Set) {
		if name != UPN || w.Kind != scoping.User || len(w.Set[name]) == 0 {
			return fmt.Errorf("%s cannot be set while restoring a %s; update it afterwards", name, w.Kind)
		}
	}
	return nil
}

// keyedByAnchor requires a key that the tenant enforces: without one a second attempt would make a second object (rule J3).
func keyedByAnchor(w Write) error {
	anchor, err := base64.StdEncoding.DecodeString(w.Anchor)
	switch {
	case err != nil || len(anchor) == 0:
		return fmt.Errorf("a %s without anchor: a second attempt would make a second one", w.Kind)
	case w.Kind == scoping.Group && w.Key != UniqueNameOf(anchor):
		return errors.New("a group under another uniqueName than its anchor's: a second attempt would make a second one")
	case w.Kind != scoping.Group && w.Key != "":
		return fmt.Errorf("a %s with a uniqueName", w.Kind)
	}
	return nil
}

// withPassword requires everything by which an old credential is told from a new one.
func withPassword(w Write) error {
	p := w.Password
	switch {
	case p == nil || p.Stamp == "":
		return errors.New("a password without its stamp")
	case p.By == "" || p.Log == "":
		return errors.New("a password of nobody: neither engine nor installation is named")
	}
	return nil
}

func notItself(w Write) error {
	if slices.Contains(w.Refs, w.CloudID) {
		return errors.New("a group cannot be its own member")
	}
	return nil
}

// CheckValue returns why an attribute of an existing object cannot be set to these values.
func CheckValue(kind scoping.Kind, name string, values []string) error {
	return Write{Op: Update, Kind: kind, CloudID: "-", Set: Values{name: values}}.Valid()
}
