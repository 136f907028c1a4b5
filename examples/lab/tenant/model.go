package tenant

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Options makes a Model. The zero value of each field is a usable default.
type Options struct {
	Domain string           // the verified custom domain; default contoso.test
	Clock  func() time.Time // default time.Now
	Rand   io.Reader        // ids; default crypto/rand. With a seeded reader ids repeat from run to run
	Salts  io.Reader        // of passwords; default crypto/rand. It is read by several goroutines at once

	DeletedAnchorBlocks  bool          // a soft-deleted user's onPremisesImmutableId still blocks a new user's
	GroupsNotRestorable  bool          // deleting a security group is final
	KeepDeletedUPN       bool          // a soft-deleted user keeps userPrincipalName; otherwise its id in hex is put before it
	DeltaTokenLife       time.Duration // default 7 days
	DeltaPageSize        int           // objects per page of a delta round; default 200
	DeltaMembersPerEntry int           // members of one group per entry; a larger group recurs on later pages; default 1000
}

// DeletedItemLife is how long Entra keeps deleted users and groups.
// See https://learn.microsoft.com/graph/api/resources/directory.
const DeletedItemLife = 30 * 24 * time.Hour

// Model is a tenant's state and rules. It does no I/O and starts no goroutine; it is safe for concurrent use.
// Every change has a number, and each object keeps its versions by that number: so a delta query compares two
// numbers, and a lagging reader reads at a smaller one.
type Model struct {
	mu       sync.RWMutex
	opts     Options
	tenantID string
	verified []string // domains, lower case; the first is the default, the last the initial one
	created  time.Time

	objects  map[string]*object
	order    map[Kind][]*object
	log      []change
	index    map[string][]string // kind, property, value → ids that ever had it; checked against the version on use
	memberOf map[string][]string // member → groups that ever had it
	anchors  map[string][]string // source anchor → contacts that ever had it
	bin      []binEntry          // soft-deleted objects, oldest first
	roles    map[string]*assignment

	extensions []string // registered ones of users, in the order of their registration
	lag        time.Duration
	validity   time.Duration // of passwords that were set in the tenant; 0 is endless
	generation string        // of delta tokens; a new one voids all issued
}

type change struct {
	id string
	at time.Time
}

type binEntry struct {
	id string
	at time.Time
}

// NewModel makes an empty tenant with its organization and the well-known directory roles.
func NewModel(o Options) *Model {
	if o.Domain == "" {
		o.Domain = "contoso.test"
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Salts == nil {
		o.Salts = rand.Reader
	}
	if o.DeltaTokenLife == 0 {
		o.DeltaTokenLife = 7 * 24 * time.Hour
	}
	if o.DeltaPageSize <= 0 {
		o.DeltaPageSize = 200
	}
	if o.DeltaMembersPerEntry <= 0 {
		o.DeltaMembersPerEntry = 1000
	}
	domain := strings.ToLower(o.Domain)
	name, _, _ := strings.Cut(domain, ".")
	m := &Model{opts: o, verified: []string{domain, name + ".onmicrosoft.com"}, objects: map[string]*object{}, order: map[Kind][]*object{},
		index: map[string][]string{}, memberOf: map[string][]string{}, anchors: map[string][]string{}, roles: map[string]*assignment{}}
	m.created = m.now()
	m.tenantID = m.newID()
	m.generation = m.newID()
	return m
}

// TenantID is the tenant's id, made from Options.Rand.
func (m *Model) TenantID() string { return m.tenantID }

// Domains lists the verified domains; the first is the default, the last the initial onmicrosoft.com one.
func (m *Model) Domains() []string { return append([]string(nil), m.verified...) }

func (m *Model) now() time.Time { return m.opts.Clock().UTC() }

func (m *Model) newID() string {
	id, err := uuid.NewRandomFromReader(m.opts.Rand)
	if err != nil {
		panic(fmt.Sprintf("tenant: reading randomness for an id: %v", err)) // a Rand that ends is a mistake of the caller
	}
	return id.String()
}

// SetReadLag makes reads and delta queries miss what was written within the last d on the model's clock.
// Writes are always judged against everything written.
func (m *Model) SetReadLag(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lag = d
}

// ExpireDeltaTokens voids every delta token issued so far.
func (m *Model) ExpireDeltaTokens() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.generation = m.newID()
}

// head is the number of the newest change.
func (m *Model) head() uint64 { return uint64(len(m.log)) }

// visible is the number of the newest change that readers see.
func (m *Model) visible() uint64 {
	if m.lag == 0 {
		return m.head()
	}
	limit := m.now().Add(-m.lag)
	return uint64(sort.Search(len(m.log), func(i int) bool { return m.log[i].at.After(limit) }))
}

// stamp numbers a change of o.
func (m *Model) stamp(o *object) uint64 {
	at := m.now()
	if n := len(m.log); n > 0 && at.Before(m.log[n-1].at) {
		at = m.log[n-1].at // the log is searched by time, so a clock that steps back must not disorder it
	}
	m.log = append(m.log, change{o.id, at})
	o.changes = append(o.changes, m.head())
	return m.head()
}

// write stores a new version of o.
func (m *Model) write(o *object, v *version) {
	previous := o.latest()
	v.seq = m.stamp(o)
	o.versions = append(o.versions, v)
	m.reindex(o, previous, v)
}

func (m *Model) add(kind Kind, v *version) *object {
	o := &object{id: m.newID(), kind: kind}
	if kind == Group {
		o.members = newMemberSet()
	}
	v.props["id"] = o.id
	v.props["createdDateTime"] = stampTime(m.now())
	v.props["securityIdentifier"] = cloudSID(o.id)
	for name := range v.props {
		if schemas[kind].byName[name] == nil && !isExtension(name) {
			delete(v.props, name)
		}
	}
	m.objects[o.id] = o
	if v.anchor != "" {
		m.anchors[v.anchor] = append(m.anchors[v.anchor], o.id)
	}
	m.order[kind] = append(m.order[kind], o)
	m.write(o, v)
	return o
}

func stampTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// cloudSID derives an object's cloud SID from its id, as Entra does: S-1-12-1 and the id as four little-endian words.
func cloudSID(id string) string {
	u, err := uuid.Parse(id)
	if err != nil {
		return ""
	}
	// A GUID's first three fields are little-endian in binary form.
	b := [16]byte{u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6]}
	copy(b[8:], u[8:])
	w := func(i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }
	return fmt.Sprintf("S-1-12-1-%d-%d-%d-%d", w(0), w(4), w(8), w(12))
}

// indexed properties can be looked up without a scan.
var indexed = []string{"userPrincipalName", "onPremisesImmutableId", "mail", "mailNickname", "uniqueName", "displayName", "proxyAddresses",
	"onPremisesSecurityIdentifier", "appId", "employeeId"}

func indexKey(kind Kind, property, value string) string {
	return string(kind) + "\x00" + property + "\x00" + strings.ToLower(value)
}

func (m *Model) reindex(o *object, previous, v *version) {
	for _, p := range indexed {
		var old any
		if previous != nil {
			old = previous.props[p]
		}
		if sameValue(old, v.props[p]) {
			continue
		}
		for _, text := range texts(v.props[p]) {
			key := indexKey(o.kind, p, text)
			m.index[key] = append(m.index[key], o.id)
		}
	}
}

func texts(v any) []string {
	switch t := v.(type) {
	case string:
		return []string{t}
	case []string:
		return t
	}
	return nil
}

// lookup finds the live objects of a kind that have value in an indexed property as of change number at.
func (m *Model) lookup(kind Kind, property, value string, at uint64) []*object {
	var out []*object
	seen := map[string]bool{}
	for _, id := range m.index[indexKey(kind, property, value)] {
		if seen[id] {
			continue
		}
		seen[id] = true
		o := m.objects[id]
		if v := o.at(at); v != nil && v.life == live && containsFold(texts(v.props[property]), value) {
			out = append(out, o)
		}
	}
	return out
}

func containsFold(list []string, want string) bool {
	for _, s := range list {
		if strings.EqualFold(s, want) {
			return true
		}
	}
	return false
}

// find resolves an id, or for users a userPrincipalName, to a live object as of change number at.
func (m *Model) find(kind Kind, ref string, at uint64) (*object, error) {
	if o := m.objects[strings.ToLower(ref)]; o != nil {
		if v := o.at(at); v != nil && v.life == live && (kind == "" || o.kind == kind) {
			return o, nil
		}
		return nil, notFound(ref)
	}
	if kind == User && strings.Contains(ref, "@") {
		if found := m.lookup(User, "userPrincipalName", ref, at); len(found) == 1 {
			return found[0], nil
		}
	}
	return nil, notFound(ref)
}
