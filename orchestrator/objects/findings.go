package objects

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// CodeUnreachable is the code of references whose ends cannot exist in the tenant.
const CodeUnreachable gate.Code = "unreachable-references"

// mostExamples is the most objects that a finding names.
const mostExamples = 5

// Finding is a fact about an object that people should know although nothing failed and nothing is owed.
type Finding struct {
	Key      ledger.Key
	Name     string
	Owner    string // the engine to ask when a person wants it tried again; scoping.None: none
	Code     gate.Code
	Message  string
	Count    int      // number of objects that the message counts, or 0
	Examples []string // names of some of these
}

// Findings returns what is known about linked objects: ends that cannot exist in the tenant, groups that stay linked although they are left out, and
// values that the tenant does not keep. With only set, about that object alone.
func (v *View) Findings(only *scoping.ObjectID) []Finding {
	var out []Finding
	auth := v.gate.Authority()
	v.gate.Read(func(s *ledger.State) {
		ids := []scoping.ObjectID{}
		if only != nil {
			ids = append(ids, *only)
		} else {
			ids = s.Objects()
		}
		for _, id := range ids {
			row := s.Rows.Get(id)
			if row == nil || (row.State != ledger.Live && row.State != ledger.ParkedRow) {
				continue
			}
			for _, f := range v.findingsOf(s, row) {
				f.Name = row.Name
				if n := v.Name(id); n != "" {
					f.Name = n
				}
				f.Owner = v.Addressee(s, auth, f.Key)
				out = append(out, f)
			}
		}
	})
	return out
}

func (v *View) findingsOf(s *ledger.State, row *ledger.Row) []Finding {
	var out []Finding
	base := ledger.Key{Object: row.Object, Feature: scoping.Base(row.Kind)}
	if code, why, stays := gate.Stays(s.Excluded[row.Object]); stays {
		out = append(out, Finding{Key: base, Code: code, Message: why})
	}
	refs := ledger.Key{Object: row.Object, Feature: scoping.References}
	if l := row.Features[scoping.References]; l != nil && l.Never != nil {
		out = append(out, v.unreachable(refs, row.Kind, l.Never))
	}
	for _, k := range []ledger.Key{base, refs} {
		if s.Unkept(k) != "" {
			out = append(out, Finding{Key: k, Code: gate.CodeNotKept, Message: fmt.Sprintf(
				"what %s says was written %d times within 24 h and taken back each time, by the tenant or by somebody in it; it is left alone until it changes, or `tandem errors retry`",
				k.Feature, ledger.MaxWrites)})
		}
	}
	return out
}

// unreachable returns the finding about an object's ends of other kinds.
func (v *View) unreachable(k ledger.Key, kind scoping.Kind, n *ledger.Never) Finding {
	kinds := map[string]int{}
	f := Finding{Key: k, Code: CodeUnreachable, Count: n.Count}
	for _, id := range n.Some {
		word := v.kindWord(id)
		if id == k.Object {
			word = "the group itself"
		}
		kinds[word]++
		if len(f.Examples) < mostExamples {
			f.Examples = append(f.Examples, v.Name(id))
		}
	}
	var words []string
	for _, w := range slices.Sorted(maps.Keys(kinds)) {
		words = append(words, fmt.Sprintf("%d %s", kinds[w], w))
	}
	if more := n.Count - len(n.Some); more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	what := cloud.Members
	if kind != scoping.Group {
		what = cloud.Manager
	}
	f.Message = fmt.Sprintf("its %s in the directory cannot be referred to in the tenant through public Graph, and is left out: %s", what, strings.Join(words, ", "))
	if what == cloud.Members {
		f.Message = fmt.Sprintf("%d of its members in the directory cannot be members in the tenant through public Graph, and are left out: %s", n.Count, strings.Join(words, ", "))
	}
	return f
}

// kindWord returns the word for the kind of an object that is never synchronized.
func (v *View) kindWord(id scoping.ObjectID) string {
	s := v.census.Sight(id)
	switch {
	case s.Kind == scoping.Contact: // where the policy has no contacts
		return "contact"
	case s.Kind == scoping.Device:
		return "computer or service account"
	case s.Kind == directory.Other && strings.HasPrefix(strings.ToUpper(s.Name), "CN=S-1-"):
		return "foreign security principal"
	case s.Kind == scoping.User, s.Kind == scoping.Group:
		return "system object"
	}
	return "object of another kind"
}

// Unkept returns the objects with values of an engine that do not last in the tenant, so that a person can have them written once more.
func (v *View) Unkept(engineName string) []scoping.ObjectID {
	var ids []scoping.ObjectID
	for _, f := range v.Findings(nil) {
		if f.Code == gate.CodeNotKept && f.Owner == engineName {
			ids = append(ids, f.Key.Object)
		}
	}
	slices.SortFunc(ids, scoping.ObjectID.Compare)
	return slices.Compact(ids)
}
