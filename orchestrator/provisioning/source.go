package provisioning

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// CloudID returns the tenant's id of a source.
func CloudID(o scoping.ObjectID) string { return o.GUID.String() }

// LinkValue returns the link in the directory of an object that was made of one of the tenant.
func LinkValue(kind scoping.Kind, cloudID string) string {
	if kind == scoping.Group {
		return "Group_" + cloudID
	}
	return "User_" + cloudID
}

// OfTheCloud returns why an object of the tenant is not brought into a directory, or "". Objects that a directory or another engine feeds are not:
// they would come back where they came from. Objects that the ledger links with one of a directory are decided by the link's authority instead.
func OfTheCloud(o cloud.Object) string {
	switch {
	case o.Deleted:
		return "deleted"
	case o.Synced:
		return "synchronized"
	case o.Anchor() != "":
		return "anchored"
	case o.Guest:
		return "guest"
	case strings.HasPrefix(o.Values.First(cloud.UniqueName), "tandem-"):
		return "made-by-tandem"
	case o.Kind == scoping.Group && (o.Mailed || o.Values.First(attribute.MailEnabled) == "true"):
		return "mail-enabled"
	case o.Kind == scoping.Group && o.Values.First(attribute.SecurityEnabled) != "true":
		return "no-security-group"
	case o.Kind == scoping.Group && len(o.Values["groupTypes"]) > 0:
		return "group-type"
	case o.Kind != scoping.User && o.Kind != scoping.Group:
		return "kind"
	}
	return ""
}

// sourceOf returns an object of the tenant in the form for engines.
func sourceOf(id scoping.ObjectID, o cloud.Object) engine.Source {
	s := engine.Source{Object: id, Kind: o.Kind, Values: map[string]engine.Value{"id": {Text: []string{o.ID}}}}
	for name, v := range o.Values {
		s.Values[name] = engine.Value{Text: v}
	}
	return s
}

// ends are the objects of a directory that the references of a source stand for, by reference; those that are in no directory yet are left out.
type ends map[string][]scoping.GUID

// endsOf resolves the references of a source in one directory. An end counts whichever side is the authority of its link, and even if it is not
// brought any more: the tenant refers to it, and its account exists.
func endsOf(led *ledger.State, o cloud.Object, dir string, there func(scoping.ObjectID) bool) ends {
	resolve := func(ids ...string) []scoping.GUID {
		out := []scoping.GUID{}
		for _, id := range ids {
			row, ok := led.ByCloud(id)
			if !ok || id == "" || row.Object.Directory != dir || !there(row.Object) {
				continue
			}
			if _, linked := led.Linked(row.Object); linked {
				out = append(out, row.Object.GUID)
			}
		}
		slices.SortFunc(out, scoping.GUID.Compare)
		return slices.Compact(out)
	}
	if o.Kind == scoping.Group {
		return ends{cloud.Members: resolve(o.Members...)}
	}
	return ends{cloud.Manager: resolve(o.Manager)}
}

// digest returns a digest of a source with what its references stand for: with another digest the engine is asked again.
func digest(o cloud.Object, e ends) uint64 {
	h := fnv.New64a()
	text := func(s string) { fmt.Fprintf(h, "%d:%s", len(s), s) }
	for _, name := range slices.Sorted(maps.Keys(o.Values)) {
		if len(o.Values[name]) == 0 {
			continue
		}
		text(name)
		for _, v := range o.Values[name] {
			text(v)
		}
		text("")
	}
	for _, name := range slices.Sorted(maps.Keys(e)) {
		text(name)
		for _, g := range e[name] {
			text(string(g[:]))
		}
	}
	return h.Sum64()
}

// linkOf returns the link that shows which source an object was made of.
func linkOf(a *scoping.Assignment, kind scoping.Kind, cloudID string) provision.Link {
	return provision.Link{Attribute: a.LinkOr(), Value: LinkValue(kind, cloudID)}
}
