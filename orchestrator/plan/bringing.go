package plan

import (
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

// Way is the direction of an assignment from the tenant into a directory, for display.
const Way = "tenant → directory"

// Bringing is what one assignment of the other direction would do if the policy were in force. The engine's next run does it, no wave.
type Bringing struct {
	Assignment string               `json:"assignment"`
	Engine     string               `json:"engine"`
	Way        string               `json:"way"`
	Directory  string               `json:"directory"`
	Under      string               `json:"under"` // DN of the container
	From       []string             `json:"from"`  // groups of the tenant
	Features   []scoping.Feature    `json:"features"`
	Objects    map[scoping.Kind]int `json:"objects"`   // those that it selects
	Basis      string               `json:"basis"`     // "shadow-run", or "not-run"
	Predicted  *Brings              `json:"predicted"` // nil: its engine was not run
	Examples   []Brought            `json:"examples"`  // up to MostBrought of each kind, the grave ones first
	Findings   []wave.Finding       `json:"findings"`
}

// Brings are numbers of objects by what would be done: an object that is renamed and moved counts for both.
type Brings struct {
	Create    int `json:"create"`
	Join      int `json:"join"`   // a person is asked
	Relink    int `json:"relink"` // a person is asked
	Update    int `json:"update"`
	Rename    int `json:"rename"`
	Move      int `json:"move"`
	Enable    int `json:"enable"`
	Disable   int `json:"disable"`
	Delete    int `json:"delete"`
	Failed    int `json:"failed"` // nothing can be done: the examples have the reason
	Unchanged int `json:"unchanged"`
}

// MostBrought is the most objects that a plan names for each kind of operation.
const MostBrought = 20

// Brought is one object and one thing that would be done with it.
type Brought struct {
	Object    string `json:"object"` // its name in the tenant
	Op        string `json:"op"`     // create, join, relink, update, rename, move, enable, disable, delete or failed
	DN        string `json:"dn,omitempty"`
	Container string `json:"container,omitempty"` // DN of the container that a create or a move brings it to
	Name      string `json:"name,omitempty"`      // its new name, of a rename
	Code      string `json:"code,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Waits     bool   `json:"waits,omitempty"` // for a person, whatever the number
}

// Add counts an operation, and names its object if there is room; x.Op is one of Brought.Op.
func (b *Bringing) Add(x Brought) {
	n := b.Predicted.of(x.Op)
	if *n++; *n <= MostBrought {
		b.Examples = append(b.Examples, x)
	}
}

func (p *Brings) of(op string) *int {
	return map[string]*int{"create": &p.Create, "join": &p.Join, "relink": &p.Relink, "update": &p.Update, "rename": &p.Rename, "move": &p.Move, "enable": &p.Enable, "disable": &p.Disable,
		"delete": &p.Delete, "failed": &p.Failed}[op]
}

// Severity orders operations for display: the most important first.
func Severity(op string) int {
	for i, o := range []string{"delete", "disable", "join", "relink", "failed", "move", "rename", "enable", "create", "update"} {
		if o == op {
			return i
		}
	}
	return -1
}
