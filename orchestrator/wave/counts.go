package wave

import (
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/scoping"
)

// Counts are numbers of objects by what would happen to them, each counted once, and of references beside them. What plan files of earlier versions do not have is left out
// where it is zero: they are sealed as they were written.
type Counts struct {
	Create    int   `json:"create"`
	Restore   int   `json:"restore,omitzero"` // from the tenant's deleted items
	Update    int   `json:"update"`
	Delete    int   `json:"delete"`
	Orphan    int   `json:"orphan"` // linked, and the target's rules leave it out
	Unclaimed int   `json:"unclaimed"`
	Unchanged int   `json:"unchanged"`
	Links     Links `json:"links,omitzero"`
}

// Links counts references by what would become of them. A manager in the place of another is set. The fields are those of gate.Links, which plan converts: waves are pure,
// and import no room that writes.
type Links struct {
	MembersAdded    int `json:"membersAdded"`
	MembersRemoved  int `json:"membersRemoved"`
	ManagersSet     int `json:"managersSet"`
	ManagersCleared int `json:"managersCleared"`
}

// Grave returns the number of differences that every plan must show (invariant 5).
func (c Counts) Grave() int { return c.Create + c.Restore + c.Delete + c.Orphan + c.Unclaimed }

// Differ returns the number of objects that differ.
func (c Counts) Differ() int { return c.Update + c.Grave() }

// String returns what would be written and the number of unclaimed objects: "1 create, 2 updates, 0 deletes, 0 orphans, 0 unclaimed". Restores and references are added if there are any.
func (c Counts) String() string {
	parts := []string{scoping.Many(c.Create, "create", "creates")}
	if c.Restore > 0 {
		parts = append(parts, scoping.Many(c.Restore, "restore", "restores"))
	}
	parts = append(parts, scoping.Many(c.Update, "update", "updates"), scoping.Many(c.Delete, "delete", "deletes"), scoping.Many(c.Orphan, "orphan", "orphans"), fmt.Sprintf("%d unclaimed", c.Unclaimed))
	if l := c.Links.String(); l != "" {
		return strings.Join(parts, ", ") + "; " + l
	}
	return strings.Join(parts, ", ")
}

// String returns the numbers of references, such as "2 members added, 1 member removed, 1 manager set"; "" for none.
func (l Links) String() string {
	var parts []string
	for _, x := range []struct {
		n         int
		what, how string
	}{{l.MembersAdded, "member", "added"}, {l.MembersRemoved, "member", "removed"}, {l.ManagersSet, "manager", "set"}, {l.ManagersCleared, "manager", "cleared"}} {
		if x.n > 0 {
			parts = append(parts, scoping.Many(x.n, x.what, x.what+"s")+" "+x.how)
		}
	}
	return strings.Join(parts, ", ")
}
