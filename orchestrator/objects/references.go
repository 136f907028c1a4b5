package objects

import (
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
)

// References is what a judgement does to an object's members or manager, with the names of the first ends. Of a manager in the place of another, both are named.
type References struct {
	Of           string   `json:"of"` // members or manager
	Added        int      `json:"added"`
	Removed      int      `json:"removed"`
	AddedNames   []string `json:"addedNames,omitempty"`
	RemovedNames []string `json:"removedNames,omitempty"`
}

// References returns what a judgement in shadow would do to its object's references, naming at most so many ends of either kind; nil if it concerns none.
func (v *View) References(j gate.Judgement, most int) *References {
	out := References{Of: cloud.Members}
	added, removed := j.After[gate.MembersAdded], j.Before[gate.MembersRemoved]
	if len(added)+len(removed) == 0 {
		out.Of, added, removed = cloud.Manager, j.After[cloud.Manager], j.Before[cloud.Manager]
	}
	if len(added)+len(removed) == 0 {
		return nil
	}
	out.Added, out.Removed = len(added), len(removed)
	out.AddedNames, out.RemovedNames = v.CloudNames(added, most), v.CloudNames(removed, most)
	return &out
}

// CloudNames names the first of many cloud objects.
func (v *View) CloudNames(ids []string, most int) []string {
	out := make([]string, 0, min(len(ids), most))
	for _, id := range ids[:min(len(ids), most)] {
		out = append(out, v.CloudName(id))
	}
	return out
}

// String returns it in words: "members: 2 more (A; B), 1 fewer (C)", "manager: A → B".
func (r References) String() string {
	if r.Of == cloud.Manager {
		return fmt.Sprintf("%s: %s → %s", r.Of, oneOf(r.RemovedNames), oneOf(r.AddedNames))
	}
	var parts []string
	for _, x := range []struct {
		n     int
		word  string
		names []string
	}{{r.Added, "more", r.AddedNames}, {r.Removed, "fewer", r.RemovedNames}} {
		if x.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s (%s)", x.n, x.word, Few(x.names, x.n)))
		}
	}
	return r.Of + ": " + strings.Join(parts, ", ")
}

func oneOf(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return names[0]
}

// Few lists names of the first of so many.
func Few(names []string, all int) string {
	if more := all - len(names); more > 0 {
		names = append(names[:len(names):len(names)], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, "; ")
}
