package ledger

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// Step is what a record of a delivery reports.
type Step string

// The steps. Refused deliveries were not permitted: nothing was written, and nothing is remembered of them.
const (
	Permitted Step = "permitted" // it may be carried out from now on; durable before the engine gets the value
	Ended     Step = "ended"     // the engine reported its end, or its answer was lost: then Code is in-doubt
	Refused   Step = "refused"
)

// Delivery is the part of a record about a write into the directory. The value to be written is in no record.
type Delivery struct {
	ID      string `json:"id"`
	Step    Step   `json:"step"`
	CloudID string `json:"cloudId,omitempty"`
	Until   int64  `json:"until,omitempty"` // of a permit: the time after which it is not carried out, in ms on the steady scale
	// Deadline is that of an event, on the tenant's clock, in Unix ms; 0: it is no event.
	Deadline int64 `json:"deadline,omitempty"`

	Provisioned *Provisioned `json:"provisioned,omitempty"` // of a permit for an object of the tenant
	// Result is what the directory showed after such a write.
	Result *provision.Result `json:"result,omitempty"`
}

// Provisioned is the intent of a write into a directory for an object of the tenant: all of it, with the names that were chosen and the controller.
// It has no secrets.
type Provisioned struct {
	provision.Write
	Assignment string   `json:"assignment"`
	Unique     []string `json:"unique,omitempty"` // attributes of Set that are reserved until the write ended
	Class      Class    `json:"class,omitempty"`  // the class by which thresholds count it
	Grave      string   `json:"grave,omitempty"`  // digest of the grave part that is done with it
	Approved   bool     `json:"approved,omitempty"`
	Origin     Origin   `json:"origin,omitempty"` // of the link that it makes
	Seen       uint64   `json:"seen,omitempty"`   // the object's uSNChanged at the controller when the write was decided
}

// deliveriesKept is how long a permitted delivery is remembered after its time ran out, in ms. Of those that are forgotten the latest deadline is
// kept (State.EventsUntil): an event of the tenant with no later deadline may be one of them, whatever the host's clock says.
const deliveriesKept = 24 * 60 * 60 * 1000

// Delivered is what is remembered of a permitted delivery.
type Delivered struct {
	ID       string           `json:"id"`
	Object   scoping.ObjectID `json:"object"`
	Name     string           `json:"name,omitempty"`
	Engine   string           `json:"engine"`
	Op       string           `json:"op"`
	By       string           `json:"by,omitempty"`
	CloudID  string           `json:"cloudId,omitempty"`
	At       int64            `json:"at"` // of the permit, Unix ms
	Until    int64            `json:"until"`
	Deadline int64            `json:"deadline,omitempty"`
	Ended    bool             `json:"ended,omitempty"`
	Code     string           `json:"code,omitempty"` // of its end
	Reason   string           `json:"reason,omitempty"`
	Known    bool             `json:"known,omitempty"` // a doubt that ended: a later delivery to the same object was answered

	Kind        scoping.Kind    `json:"kind,omitempty"`
	Feature     scoping.Feature `json:"feature,omitempty"`
	Epoch       scoping.Epoch   `json:"epoch,omitzero"`
	Provisioned *Provisioned    `json:"provisioned,omitempty"`
}

// Past reports whether a delivery is too old to matter at a time on the steady scale.
func (d Delivered) Past(now int64) bool { return d.Provisioned == nil && d.Until+deliveriesKept < now }

// InDoubt reports whether it is unknown if the directory has the delivery. A delivery without an end is under way, or in doubt since the process that
// permitted it ended.
func (d Delivered) InDoubt() bool { return !d.Known && (!d.Ended || d.Code == engine.DeliveryInDoubt) }

func (s *State) foldDelivery(seq uint64, r Record) error {
	d := r.Delivery
	if d == nil || d.ID == "" || r.Object == nil {
		return fmt.Errorf("no delivery in it")
	}
	switch d.Step {
	case Permitted:
		if s.Deliveries == nil {
			s.Deliveries = map[string]*Delivered{}
		}
		maps.DeleteFunc(s.Deliveries, func(_ string, x *Delivered) bool {
			old := x.Past(r.Moment())
			if old {
				s.EventsUntil = max(s.EventsUntil, x.Deadline)
			}
			return old
		})
		s.Deliveries[d.ID] = &Delivered{ID: d.ID, Object: *r.Object, Name: r.Name, Engine: r.Engine, Op: r.Op, By: r.By, CloudID: d.CloudID, At: r.At, Until: d.Until, Deadline: d.Deadline, Kind: r.Kind, Feature: r.Feature, Epoch: r.Epoch, Provisioned: d.Provisioned}
	case Ended:
		x := s.Deliveries[d.ID]
		if x == nil {
			return nil
		}
		if x.Provisioned != nil {
			s.provisioned(seq, r, *x)
			return nil
		}
		ended := *x
		ended.Ended, ended.Code, ended.Reason = true, r.Code, r.Reason
		s.Deliveries[d.ID] = &ended
		if r.Code == engine.DeliveryOK && r.Op != string(engine.UnlockAccount) {
			s.knows(*r.Object, d.ID)
		}
	case Refused:
	default:
		return fmt.Errorf("unknown step %q of a delivery", d.Step)
	}
	return nil
}

// knows ends the doubts about an object's password: it was set since. Of a write for an object of the tenant it says nothing [an account whose enabling was in doubt got a password: the enabling
// counted as known, was sent again, and the first one arrived after security had disabled the account].
func (s *State) knows(o scoping.ObjectID, by string) {
	for id, x := range s.Deliveries {
		if x.Object == o && id != by && x.Provisioned == nil && x.InDoubt() {
			known := *x
			known.Known = true
			s.Deliveries[id] = &known
		}
	}
}

// Delivery returns what is remembered of a permitted delivery.
func (s *State) Delivery(id string) (Delivered, bool) {
	d := s.Deliveries[id]
	if d == nil {
		return Delivered{}, false
	}
	return *d, true
}

// DoubtfulDeliveries returns the deliveries that are under way or in doubt, the oldest first.
func (s *State) DoubtfulDeliveries() []Delivered {
	var out []Delivered
	for _, d := range s.Deliveries {
		if d.InDoubt() {
			out = append(out, *d)
		}
	}
	slices.SortFunc(out, func(a, b Delivered) int {
		if a.At != b.At {
			return int(a.At - b.At)
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

// Busy reports whether a delivery to an object may still be carried out at a time on the steady scale: another one could overtake it.
func (s *State) Busy(o scoping.ObjectID, now int64) bool {
	for _, d := range s.Deliveries {
		if d.Object == o && !d.answered() && now <= d.Until {
			return true
		}
	}
	return false
}

// answered reports whether a delivery cannot arrive any more.
func (d Delivered) answered() bool { return d.Ended && d.Code != engine.DeliveryInDoubt }
