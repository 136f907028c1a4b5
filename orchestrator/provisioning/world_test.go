package provisioning_test

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

const (
	link  = "adminDescription"
	group = "99999999-0000-4000-8000-000000000001"
)

var (
	top, hires, away, site = guid(1), guid(2), guid(3), guid(4)
	epoch                  = scoping.Epoch{Incarnation: 1, N: 1}
)

func guid(n uint32) (g scoping.GUID) { binary.BigEndian.PutUint32(g[12:], n); return g }

func cloudID(n int) string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", n) }

// entry is an object of the model's directory.
type entry struct {
	guid    scoping.GUID
	cn      string
	parent  scoping.GUID
	values  map[string][]string
	off     bool // disabled
	deleted bool
	native  bool // nobody of ours made it

	protected string
	class     string // "": a user
	usn       uint64
}

func (e entry) clone() *entry {
	e.values = maps.Clone(e.values)
	return &e
}

// controller is one copy of the directory.
type controller struct {
	url     string
	id      scoping.GUID
	entries map[scoping.GUID]*entry
}

// world is a tenant, a directory of two controllers of which the second hears late, and a desk over a real gate and ledger. What the census sees is the first controller.
type world struct {
	t       testing.TB
	rand    *rand.Rand
	log     [][]byte
	gate    *gate.Gate
	led     *ledger.State
	cache   *cloud.Cache
	desk    *provisioning.Desk
	without gate.Safeguard
	now     time.Time
	ids     int

	one, two *controller
	reads    string // URL of the controller that is read now
	seen     map[scoping.GUID]entry
	changed  map[scoping.GUID]uint64
	reading  uint64
	whole    uint64       // the last one from the start
	under    scoping.GUID // the container in which site lies
	laid     uint64       // the reading that changed that last
	usn      uint64

	people  map[int]*person
	members map[int]bool
	nested  map[string]*nestedGroup
	policy  []scoping.Assignment // beside that of the hires
	removes bool                 // the policy lets the accounts of leavers be deleted
	match   []string             // by which attributes a person is looked for; nil: as usual
	renamed string               // the DN that the container got; empty: it has its own
	title   string               // by which rules the engine maps
	upn     bool                 // they make sign-in names, too
	blind   bool                 // the tenant does not let its deleted items be read

	mayEverywhere bool // the account may disable whoever lies outside the container, too

	flight  int
	mu      sync.Mutex   // of what writes under way at once touch
	died    bool         // the process is no more: nothing of it is written down
	dies    int          // the process ends at this append from now; 0: not
	loses   func() fault // what happens to a write
	refuses provision.Code
	// onEnabling is what happens to the next write that enables an account; none: as loses says.
	onEnabling fault
	late       []func() // what still arrives
	written    map[scoping.GUID]int
}

type fault uint8

const (
	none    fault = iota
	before        // the answer is lost, and nothing was done
	after         // it was done, and the answer is lost
	delayed       // it is done later, and the answer is lost
	dead          // the engine fails before it asks
)

type person struct {
	n       int
	name    string
	dept    string
	enabled bool
	gone    bool // soft-deleted
	purged  bool
	told    bool // the tenant's own changes say so

	employee int // the person's number; 0: n
}

// nestedGroup is a group of the tenant that may be in another one.
type nestedGroup struct {
	members []string
	in      string // the group that it is in; "": in none
}

var errDied = errors.New("the process ended here")

func newWorld(t testing.TB, seed uint64, without gate.Safeguard) *world {
	w := &world{t: t, rand: rand.New(rand.NewPCG(seed, 7)), without: without, now: time.Unix(1_700_000_000, 0), people: map[int]*person{}, members: map[int]bool{}, written: map[scoping.GUID]int{},
		changed: map[scoping.GUID]uint64{}, seen: map[scoping.GUID]entry{}, reads: "ldaps://one", under: hires, loses: func() fault { return none }}
	w.one = &controller{"ldaps://one", guid(101), map[scoping.GUID]*entry{}}
	w.two = &controller{"ldaps://two", guid(102), map[scoping.GUID]*entry{}}
	w.nested, w.cache = map[string]*nestedGroup{}, cloud.NewCache(0)
	w.open()
	return w
}

// open is a new process: everything but log, tenant and directory is new.
func (w *world) open() {
	w.led = ledger.New()
	for i, b := range w.log {
		r, err := ledger.Decode(b)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := w.led.Fold(uint64(i+1), r); err != nil {
			w.t.Fatal(err)
		}
	}
	w.died = false
	w.gate = gate.New(gate.Options{Ledger: w.led, Cache: w.cache, Tenant: w, Census: w, Journal: w, Clock: w, NewID: w.newID, Without: w.without})
	w.gate.SetAuthority(gate.Authority{Partition: w.partition(), Epoch: epoch}, gate.Rules{Objects: 500, Percent: 10, Irrevocable: 10})
	if _, err := w.gate.Recover(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.desk = provisioning.New(provisioning.Options{Gate: w.gate, Census: w, Cache: w.cache, Engines: w, Flight: w.flight, Tenant: w, Clock: w, Steady: func() int64 { return w.now.UnixMilli() }, NewID: w.newID,
		Look: func(context.Context) error { w.look(); return nil }, Without: w.without})
}

func (w *world) policyNow() scoping.Policy {
	p := scoping.Policy{Features: []scoping.Feature{scoping.Users, scoping.UserProvisioning}, Defaults: scoping.DefaultDefaults(), Assignments: []scoping.Assignment{
		{Name: "all", Directory: "contoso", Under: scoping.Pin{GUID: top, DN: "DC=contoso,DC=test"}, Engine: "connect", Features: []scoping.Feature{scoping.Users}},
		{Name: "hires", Directory: "contoso", Under: scoping.Pin{GUID: hires, DN: "OU=Hires,DC=contoso,DC=test", Ancestors: []scoping.GUID{top}}, Engine: "cloudsync", Link: link, Priority: 1,
			Features: []scoping.Feature{scoping.UserProvisioning}, From: scoping.From{Groups: []scoping.TenantGroup{{Name: "Hired", ID: group}}}, Match: w.match},
	}}
	if w.removes {
		p.Assignments[1].Leaving = scoping.Remove
	}
	p.Assignments = append(p.Assignments, w.policy...)
	return p
}

func (w *world) partition() *scoping.Partition {
	p, err := scoping.Compile(w.policyNow(), map[string]scoping.EngineCaps{"connect": {Kind: "c", Features: []scoping.Feature{scoping.Users, scoping.References}}, "cloudsync": {Kind: "s", Features: []scoping.Feature{scoping.UserProvisioning}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return "id-" + strconv.Itoa(w.ids)
}

// Append implements gate.Journal. A process that dies here has written its records.
func (w *world) Append(_ context.Context, rs [][]byte) (uint64, error) {
	if w.died {
		return 0, errDied
	}
	w.log = append(w.log, rs...)
	if w.dies > 0 {
		if w.dies--; w.dies == 0 {
			w.died = true
			return 0, errDied
		}
	}
	return uint64(len(w.log)), nil
}

func (w *world) Now() time.Time                             { return w.now }
func (w *world) Sleep(context.Context, time.Duration) error { return nil }

// The tenant.

func (w *world) Send(context.Context, []cloud.Write) []cloud.Result { return nil }
func (w *world) Powerful(context.Context, []string) (map[string]string, error) {
	return nil, nil
}

func (w *world) Credential(context.Context, string) (cloud.CredentialState, bool, error) {
	return cloud.CredentialState{}, false, nil
}

func (w *world) Find(_ context.Context, k cloud.Key) ([]cloud.Object, error) {
	if w.blind && k.Deleted {
		return nil, errors.New("403")
	}
	for _, p := range w.people {
		if cloudID(p.n) == k.ID && !p.purged && p.gone == k.Deleted {
			return []cloud.Object{{ID: k.ID}}, nil
		}
	}
	return nil, nil
}

// refresh takes the tenant into the cache as a whole.
func (w *world) refresh() {
	r := cloud.Refresh{Began: w.now, Full: []scoping.Kind{scoping.User, scoping.Group}, Tokens: map[string]string{}}
	page, set := cloud.Page{}, []string{}
	var told []cloud.Removal
	for _, n := range slices.Sorted(maps.Keys(w.people)) {
		p := w.people[n]
		values := cloud.Values{cloud.UPN: {p.name + "@contoso.test"}, cloud.DisplayName: {p.name}, "department": {p.dept}, cloud.Enabled: {strconv.FormatBool(p.enabled)}, "employeeId": {strconv.Itoa(cmp.Or(p.employee, n))}}
		switch {
		case p.purged:
			if p.told {
				told = append(told, cloud.Removal{ID: cloudID(n), Kind: scoping.User, Hard: true})
			}
		case p.gone:
			r.Deleted = append(r.Deleted, cloud.Object{ID: cloudID(n), Kind: scoping.User, Values: values, Deleted: true})
		default:
			page.Upserts = append(page.Upserts, cloud.Upsert{ID: cloudID(n), Kind: scoping.User, Values: values})
			if w.members[n] {
				set = append(set, cloudID(n))
			}
		}
	}
	groups := map[string][]string{group: set}
	for id, g := range w.nested {
		groups[id] = append(groups[id], g.members...)
		if g.in != "" && (g.in == group || w.nested[g.in] != nil) {
			groups[g.in] = append(groups[g.in], id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		name := map[string]string{group: "Hired"}[id]
		page.Upserts = append(page.Upserts, cloud.Upsert{ID: id, Kind: scoping.Group, Values: cloud.Values{cloud.DisplayName: {cmp.Or(name, "G"+id[len(id)-1:])}, "securityEnabled": {"true"}}, AddMembers: groups[id]})
	}
	r.Pages = []cloud.Page{page}
	w.cache.Commit(r)
	w.cache.Apply(cloud.Page{Removed: told}, w.now)
}

// The directory as the census sees it.

func (w *world) current() *controller {
	if w.reads == w.two.url {
		return w.two
	}
	return w.one
}

func (w *world) look() {
	w.reading++
	now := map[scoping.GUID]entry{}
	for g, e := range w.current().entries {
		now[g] = *e.clone()
		if old, known := w.seen[g]; !known || old.usn != e.usn {
			w.changed[g] = w.reading
		}
	}
	w.seen = now
}

func (w *world) Sight(id scoping.ObjectID) gate.Sight { return w.Brief(id) }

func (w *world) Brief(id scoping.ObjectID) gate.Sight {
	switch id.GUID {
	case hires, away:
		return gate.Sight{Known: true, Parent: top, Chain: []scoping.GUID{top}}
	case site:
		return gate.Sight{Known: true, Parent: w.under, Chain: []scoping.GUID{w.under, top}, Reading: w.laid}
	}
	e, known := w.seen[id.GUID]
	if !known {
		return gate.Sight{}
	}
	return gate.Sight{Known: true, Deleted: e.deleted, Kind: scoping.User, Parent: e.parent, Chain: append([]scoping.GUID{e.parent}, w.Brief(scoping.ObjectID{GUID: e.parent}).Chain...), Name: "CN=" + e.cn, Reading: w.changed[id.GUID]}
}

func (w *world) Reread(context.Context, []scoping.ObjectID) error { return nil }

func (w *world) Evidence(context.Context, []scoping.ObjectID, string) (map[scoping.ObjectID]gate.Evidence, error) {
	return nil, nil
}
func (w *world) Expected(scoping.ObjectID) bool                 { return true }
func (w *world) Reading() uint64                                { return w.reading }
func (w *world) Changed() (map[scoping.ObjectID]struct{}, bool) { return nil, true }
func (w *world) AsOf(string) (directory.AsOf, string, bool) {
	return directory.AsOf{Invocation: w.current().id}, w.reads, true
}

func (w *world) Carried(id scoping.ObjectID) uint64 {
	if w.seen[id.GUID].parent == site {
		return w.laid
	}
	return 0
}

// lay moves the container site, with all that lies in it.
func (w *world) lay(under scoping.GUID) { w.under, w.laid = under, w.reading+1 }

// inside reports whether a container is the assignment's, or lies in it.
func (w *world) inside(container scoping.GUID) bool {
	return container == hires || container == site && w.under == hires
}

func (w *world) Whole(string) uint64 { return w.whole }

func (w *world) Linked(_, of string) (out []scoping.GUID) {
	for g, e := range w.seen {
		if !e.deleted && slices.Contains(e.values[link], of) {
			out = append(out, g)
		}
	}
	return out
}

func (w *world) Root(context.Context, string) (scoping.GUID, string, error) {
	return top, "DC=contoso,DC=test", nil
}

func (w *world) Resolve(_ context.Context, _, dn string) (scoping.GUID, string, []scoping.GUID, error) {
	now := cmp.Or(w.renamed, "OU=Hires,DC=contoso,DC=test")
	if dn == "OU=Site,"+now && w.under == hires {
		return site, dn, []scoping.GUID{hires, top}, nil
	}
	if dn != now && dn != "<GUID="+hires.String()+">" {
		return scoping.GUID{}, "", nil, errors.New("no such container")
	}
	return hires, now, []scoping.GUID{top}, nil
}

// The engine.

// nowhere is a department whose people are wanted in a container that does not exist.
const nowhere = "nowhere"

// onsite is a department whose people are wanted in the container site.
const onsite = "onsite"

func (w *world) Map(_ context.Context, _ string, r engine.MapRequest, sources []engine.Source, take func([]engine.Mapping) error) (engine.MapBegin, error) {
	begin := engine.MapBegin{Rules: engine.FingerprintOf([]byte(w.title)), Writes: []string{"cn", "accountDisabled", "sAMAccountName", "displayName", "department", "employeeID", "title", "mail"}}
	if w.upn {
		begin.Writes = append(begin.Writes, "userPrincipalName")
		begin.Rules[0]++
	}
	var out []engine.Mapping
	for _, s := range sources {
		get := func(n string) []string { return s.Values[n].Text }
		name := get(cloud.DisplayName)[0]
		m := engine.Mapping{Object: s.Object, Want: engine.Present, Desired: map[string]engine.Flow{
			"cn": {Text: []string{name + "_" + s.Object.GUID.String()[:8]}}, "sAMAccountName": {Text: []string{name, name + "2", name + s.Object.GUID.String()[:8]}, Once: true, Unique: true},
			"displayName": {Text: []string{name}}, "mail": {Text: []string{"box", name + s.Object.GUID.String()[:8]}, Unique: true}, "department": {Text: get("department")}, "employeeID": {Text: get("employeeId"), Once: true},
			"accountDisabled": {Text: []string{strconv.FormatBool(get(cloud.Enabled)[0] != "true")}}}}
		if get("department")[0] == nowhere {
			m.Container = "OU=Nowhere," + r.ContainerDN
		}
		if w.upn {
			m.Desired["userPrincipalName"] = engine.Flow{Text: []string{name + "@contoso.test", name + "2@contoso.test", name + "3@contoso.test"}, Once: true, Unique: true}
		}
		if get("department")[0] == onsite {
			m.Container = "OU=Site," + r.ContainerDN
		}
		if w.title != "" {
			m.Desired["title"] = engine.Flow{Text: []string{w.title}}
		}
		out = append(out, m)
	}
	return begin, take(out)
}

func (w *world) at(url string, id scoping.GUID) *controller {
	for _, c := range []*controller{w.one, w.two} {
		if c.url == url && (id.IsZero() || c.id == id) {
			return c
		}
	}
	return nil
}

func (w *world) Deliver(ctx context.Context, _ string, d engine.Delivery, permit func(context.Context) (engine.Permit, error)) (engine.DeliveryResult, bool, error) {
	if d.Look != nil {
		c := w.at(d.Look.Controller, d.Look.Invocation)
		if c == nil {
			return engine.DeliveryResult{Code: string(provision.OtherController)}, false, nil
		}
		return engine.DeliveryResult{Code: engine.DeliveryOK, Provision: &provision.Result{Found: c.find(*d.Look)}}, false, nil
	}
	w.mu.Lock()
	happens := w.loses()
	w.mu.Unlock()
	if happens == dead {
		return engine.DeliveryResult{}, false, errors.New("the engine's process ended")
	}
	p, err := permit(ctx)
	if err != nil || p.Refused != "" {
		return engine.DeliveryResult{Code: engine.DeliveryRefused}, false, err
	}
	write := provision.Write{Target: *d.Provision, Values: *p.Values}
	w.mu.Lock()
	defer w.mu.Unlock()
	if x := w.onEnabling; x != none && write.Disabled != nil && !write.Disabled.To {
		happens, w.onEnabling = x, none
	}
	do := func() engine.DeliveryResult { return w.apply(write) }
	switch happens {
	case before:
		return engine.DeliveryResult{}, true, errors.New("the line broke")
	case after:
		do()
		return engine.DeliveryResult{}, true, errors.New("the line broke")
	case delayed:
		w.late = append(w.late, func() { do() })
		return engine.DeliveryResult{}, true, errors.New("the line broke")
	}
	return do(), true, nil
}

func (c *controller) find(l provision.Look) (out []provision.Found) {
	for i, t := range l.Terms {
		for _, g := range slices.SortedFunc(maps.Keys(c.entries), scoping.GUID.Compare) {
			e := c.entries[g]
			hit := slices.ContainsFunc(e.values[t.Attribute], func(v string) bool { return strings.EqualFold(v, t.Value) })
			hit = hit || t.Attribute == "objectGUID" && g.String() == t.Value || t.Attribute == "cn" && strings.EqualFold(e.cn, t.Value)
			if !hit {
				continue
			}
			f := provision.Found{Term: i, Object: g, DN: "CN=" + e.cn, Parent: e.parent, Deleted: e.deleted, Class: cmp.Or(e.class, "user"), Protected: e.protected, USN: e.usn, Values: maps.Clone(e.values)}
			f.Values["cn"], f.Values["userAccountControl"] = []string{e.cn}, []string{map[bool]string{false: "512", true: "514"}[e.off]}
			out = append(out, f)
		}
	}
	return out
}

// apply is what a sink does, with every precondition.
func (w *world) apply(x provision.Write) engine.DeliveryResult {
	if err := x.Valid(); err != nil {
		w.t.Errorf("a write that is none: %v", err)
	}
	no := func(c provision.Code) engine.DeliveryResult { return engine.DeliveryResult{Code: string(c)} }
	c := w.at(x.Controller, x.Invocation)
	if c == nil {
		return no(provision.OtherController)
	}
	if w.refuses != "" {
		return no(w.refuses)
	}
	living := func(f func(*entry) bool) bool {
		for _, e := range c.entries {
			if !e.deleted && f(e) {
				return true
			}
		}
		return false
	}
	e := c.entries[x.Object]
	switch {
	case x.Op == provision.Add:
		if living(func(o *entry) bool { return o.cn == x.RDN() }) {
			return no(provision.Exists)
		}
		n := &entry{guid: guid(uint32(1000 + w.newNumber())), cn: x.RDN(), parent: x.Container, off: true, values: map[string][]string{x.Link.Attribute: {x.Link.Value}}}
		for _, s := range x.Set {
			if s.Attribute == "sAMAccountName" && living(func(o *entry) bool { return slices.Equal(o.values["sAMAccountName"], s.To) }) {
				return no(provision.TakenName)
			}
			n.values[s.Attribute] = s.To
		}
		c.entries[n.guid], e = n, n
	case e == nil || e.deleted:
		return no(provision.Vanished)
	case !x.ByGUID && first(e.values[x.Link.Attribute]) != map[bool]string{true: x.WasLink, false: x.Link.Value}[x.Op == provision.Join || x.Altered]:
		return no(provision.Precondition)
	case !x.ByGUID && !w.inside(e.parent):
		return no(provision.Outside)
	case !w.inside(e.parent) && !w.mayEverywhere:
		return no(provision.NoRights)
	case x.Op == provision.Join:
		e.values[x.Link.Attribute], e.native = []string{x.Link.Value}, false
	case x.Op == provision.Rename:
		if e.cn != x.WasName {
			return no(provision.Precondition)
		}
		e.cn = x.Name
	case x.Op == provision.Delete:
		e.deleted = true
	default:
		for _, s := range x.Set {
			if !slices.Equal(e.values[s.Attribute], s.Was) {
				return no(provision.Precondition)
			}
		}
		if x.Disabled != nil && e.off != x.Disabled.Was {
			return no(provision.Precondition)
		}
		for _, s := range x.Set {
			if e.values[s.Attribute] = s.To; len(s.To) == 0 {
				delete(e.values, s.Attribute)
			}
		}
		if x.Disabled != nil {
			e.off = x.Disabled.To
		}
	}
	if e.native {
		w.t.Errorf("%s of somebody who is the directory's own", x.Op)
	}
	w.usn++
	e.usn = w.usn
	w.written[e.guid]++
	return engine.DeliveryResult{Code: engine.DeliveryOK, Provision: &provision.Result{Object: e.guid, DN: "CN=" + e.cn, Invocation: c.id, USN: e.usn}}
}

func first(v []string) string {
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

var numbers int

func (w *world) newNumber() int { numbers++; return numbers }

// touch is a change of the directory by somebody else.
func (w *world) touch(e *entry, f func(*entry)) {
	f(e)
	w.usn++
	e.usn = w.usn
}

// run is one run of the engine; a process that ends in it is followed by another.
func (w *world) run() (provisioning.Report, error) {
	w.refresh()
	w.look()
	r, err := w.desk.Run(context.Background(), "cloudsync", false)
	if errors.Is(err, errDied) || errors.Is(err, gate.ErrNotOpen) {
		w.dies = 0
		w.open()
	}
	return r, err
}

// replicate lets the second controller have what the first has.
func (w *world) replicate() {
	for from, to := range map[*controller]*controller{w.one: w.two} {
		for g, e := range from.entries {
			to.entries[g] = e.clone()
		}
	}
}

func (w *world) hire(n int) *person {
	p := &person{n: n, name: "p" + strconv.Itoa(n), dept: "a", enabled: true}
	w.people[n], w.members[n] = p, true
	return p
}

// accountsOf are the living entries with a link of a person.
func (w *world) accountsOf(n int) (out []*entry) {
	for _, g := range slices.SortedFunc(maps.Keys(w.one.entries), scoping.GUID.Compare) {
		if e := w.one.entries[g]; !e.deleted && slices.Contains(e.values[link], provisioning.LinkValue(scoping.User, cloudID(n))) {
			out = append(out, e)
		}
	}
	return out
}
