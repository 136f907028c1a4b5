package directory

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/scoping"
)

// Kinds that [Entry.Kind] gives besides those of package scoping.
const (
	OU    scoping.Kind = "ou"    // anything that is there to hold others: organizational unit, container, domain
	Other scoping.Kind = "other" // everything else
)

// Entry is a directory object, or, from DirSync, what changed of one.
type Entry struct {
	GUID            scoping.GUID
	Parent          scoping.GUID          // objectGUID of the parent; zero: not told (or the naming context's root)
	DN              string                // plain; for people, never compared
	Deleted         bool                  // a tombstone
	LastParent      scoping.GUID          // of a tombstone: the object that held it before, from lastKnownParent; zero when not told
	LastKnownParent string                // of a tombstone: that object's DN, plain
	Version         uint64                // uSNChanged; zero when not told, as by DirSync
	Attrs           map[string][][]byte   // raw values under lower-cased AD names; in a change, no value means it was cleared
	Links           map[string]LinkChange // attributes that point at objects, under lower-cased AD names
}

// LinkChange is a link attribute's whole set of values, or what changed of it.
type LinkChange struct {
	Whole          bool
	Targets        []Link // with Whole
	Added, Removed []Link // without
}

// Link points at an object.
type Link struct {
	GUID scoping.GUID
	SID  []byte // empty for objects without one
	DN   string
}

// Has says whether the attribute is among those told, with or without a value.
func (e Entry) Has(attr string) bool {
	_, ok := e.Attrs[strings.ToLower(attr)]
	return ok
}

// Text gives the attribute's first value, or "".
func (e Entry) Text(attr string) string {
	if v := e.Attrs[strings.ToLower(attr)]; len(v) > 0 {
		return string(v[0])
	}
	return ""
}

// Texts gives the attribute's values in the controller's order.
func (e Entry) Texts(attr string) []string {
	var out []string
	for _, v := range e.Attrs[strings.ToLower(attr)] {
		out = append(out, string(v))
	}
	return out
}

// Int gives the attribute's first value as a number; false when it is absent or none.
func (e Entry) Int(attr string) (int64, bool) {
	n, err := strconv.ParseInt(e.Text(attr), 10, 64)
	return n, err == nil
}

// Bool says whether the attribute's first value is TRUE.
func (e Entry) Bool(attr string) bool { return strings.EqualFold(e.Text(attr), "TRUE") }

// GUIDValue gives the attribute's first value as a GUID; false when it does not have 16 bytes.
func (e Entry) GUIDValue(attr string) (scoping.GUID, bool) {
	g, err := scoping.GUIDFromBytes([]byte(e.Text(attr)))
	return g, err == nil
}

// Kind tells what the object is by its objectClass values. An inetOrgPerson is a user; a computer or a managed service
// account is a device although AD derives both from user.
func (e Entry) Kind() scoping.Kind {
	kind := Other
	for _, v := range e.Attrs["objectclass"] {
		switch strings.ToLower(string(v)) {
		case "computer":
			return scoping.Device
		case "user", "inetorgperson":
			kind = scoping.User
		case "group":
			kind = scoping.Group
		case "contact":
			kind = scoping.Contact
		case "organizationalunit", "container", "builtindomain", "domaindns", "lostandfound", "msexchsystemobjectscontainer":
			kind = OU
		}
	}
	return kind
}

// Restored says that a change from DirSync tells of a tombstone brought back to life.
func (e Entry) Restored() bool {
	v, ok := e.Attrs["isdeleted"]
	return ok && len(v) == 0
}

// Apply gives the object as it is after a change: e is the state before (zero: nothing known), change what DirSync told.
// Neither is modified.
func (e Entry) Apply(change Entry) Entry {
	out := e
	out.GUID, out.DN = change.GUID, change.DN
	if !change.Parent.IsZero() {
		out.Parent = change.Parent
	}
	if change.Has("isdeleted") {
		out.Deleted = change.Deleted
	}
	out.LastParent, out.LastKnownParent = change.LastParent, change.LastKnownParent
	if out.Deleted && change.LastKnownParent == "" {
		out.LastParent, out.LastKnownParent = e.LastParent, e.LastKnownParent
	}
	if change.Version != 0 {
		out.Version = change.Version
	}
	out.Attrs = maps.Clone(e.Attrs)
	if out.Attrs == nil {
		out.Attrs = make(map[string][][]byte, len(change.Attrs))
	}
	for name, values := range change.Attrs {
		if len(values) == 0 {
			delete(out.Attrs, name)
			continue
		}
		out.Attrs[name] = values
	}
	out.Links = applyLinks(e.Links, change.Links)
	return out
}

func applyLinks(before, change map[string]LinkChange) map[string]LinkChange {
	out := maps.Clone(before)
	if out == nil && len(change) > 0 {
		out = make(map[string]LinkChange, len(change))
	}
	for name, c := range change {
		out[name] = before[name].Apply(c)
	}
	return out
}

// Apply gives the whole set after a change: l is the whole set before. The result is ordered by objectGUID.
func (l LinkChange) Apply(change LinkChange) LinkChange {
	set := make(map[scoping.GUID]Link, len(l.Targets)+len(change.Targets)+len(change.Added))
	if !change.Whole {
		for _, t := range l.Targets {
			set[t.GUID] = t
		}
	}
	for _, t := range change.Removed {
		delete(set, t.GUID)
	}
	for _, t := range slices.Concat(change.Targets, change.Added) {
		set[t.GUID] = t
	}
	targets := slices.AppendSeq(make([]Link, 0, len(set)), maps.Values(set))
	slices.SortFunc(targets, func(a, b Link) int { return a.GUID.Compare(b.GUID) })
	return LinkChange{Whole: true, Targets: targets}
}

// Equal says whether two entries tell the same.
func (e Entry) Equal(o Entry) bool { return bytes.Equal(e.Encode(), o.Encode()) }
