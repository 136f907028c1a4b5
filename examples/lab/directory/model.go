package directory

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/scoping"
)

// ReadOnlyName is the account name of the service account that every domain has: it may read everything, tombstones too,
// and use DirSync, and can write nothing. Its password is that of the administrator.
const ReadOnlyName = "svc-tandem"

// Options say what domain a [Model] holds. The zero value is contoso.test with a fixed seed and the real clock.
type Options struct {
	// Domain is the DNS name, contoso.test if empty. The base DN follows from it.
	Domain string
	// AdminPassword is the password of Administrator and of the service account; a fixed one if empty.
	AdminPassword string
	// Clock gives whenCreated, whenChanged and pwdLastSet; time.Now if nil.
	Clock func() time.Time
	// Rand gives objectGUIDs, the domain's SID and generated names. Nil means a fixed sequence, so that two models given the
	// same operations are the same.
	Rand io.Reader
	// Own gives the ids that are the domain's own, its root's objectGUID, its SID and its invocationId; Rand if nil. With a random one two
	// models with the same objects are two domains.
	Own io.Reader
	// Terse refuses passwords as Windows does, which does not say by which rule; by default it is said as Samba says it.
	Terse bool
}

// Attributes are the values of a new object by LDAP attribute name.
type Attributes map[string][]string

// Model is the state of one domain. Its methods are safe for concurrent use and act with all rights; who may do what over
// the wire is decided by [Server].
type Model struct {
	mu          sync.RWMutex
	opts        Options
	usn         uint64
	seq         uint64
	nextRID     uint32
	domainSID   string
	invocation  scoping.GUID
	cookieEra   uint32 // cookies of earlier eras are refused
	domain      *object
	config      *object
	deletedBox  *object // CN=Deleted Objects
	byGUID      map[scoping.GUID]*object
	accounts    map[string]*object      // live objects by folded sAMAccountName
	principals  map[string]*object      // live objects by folded userPrincipalName
	replicators map[*object]bool        // who may use DirSync and see tombstones without being an administrator
	dsa         *object                 // the NTDS Settings object
	partner     *Model                  // of a replica: whom it follows
	has         map[scoping.GUID]uint64 // what it has received of others, by their invocationId
}

// New makes a domain with its built-in objects, the administrator and the service account.
func New(o Options) *Model {
	if o.Domain == "" {
		o.Domain = "contoso.test"
	}
	if o.AdminPassword == "" {
		o.AdminPassword = "Lab-Passw0rd!"
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.NewChaCha8([32]byte{'t', 'a', 'n', 'd', 'e', 'm'})
	}
	m := &Model{
		opts: o, nextRID: 1103, byGUID: map[scoping.GUID]*object{}, accounts: map[string]*object{},
		principals: map[string]*object{}, replicators: map[*object]bool{},
	}
	m.invocation = m.newGUID()
	m.domainSID = m.newDomainSID()
	if o.Own != nil {
		m.opts.Rand = o.Own
		m.invocation, m.domainSID = m.newGUID(), m.newDomainSID()
		m.opts.Rand = o.Rand
	}
	m.build()
	return m
}

// Domain is the DNS name.
func (m *Model) Domain() string { return m.opts.Domain }

// Base is the domain's distinguished name.
func (m *Model) Base() string { return "DC=" + strings.ReplaceAll(m.opts.Domain, ".", ",DC=") }

// AdminUser is the bind name of the administrator.
func (m *Model) AdminUser() string { return "Administrator@" + m.opts.Domain }

// AdminPassword is the administrator's first password, and the service account's.
func (m *Model) AdminPassword() string { return m.opts.AdminPassword }

// ReadOnlyUser is the bind name of the service account.
func (m *Model) ReadOnlyUser() string { return ReadOnlyName + "@" + m.opts.Domain }

// InvocationID identifies this incarnation of the database: update sequence numbers compare only within one.
func (m *Model) InvocationID() scoping.GUID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.invocation
}

// NewInvocation gives the database a new invocationId, as a restore from a backup does. Cookies of the old one lead to a
// full synchronization.
func (m *Model) NewInvocation() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.receive(m.invocation, m.usn)
	m.invocation = m.newGUID()
	m.usn++
	m.dsa.set("invocationid", []string{string(m.invocation[:])}, m.usn)
	m.touch(m.dsa)
}

// RefuseCookies makes all DirSync cookies given until now invalid: they are answered as a damaged one is.
func (m *Model) RefuseCookies() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cookieEra++
}

// HighestUSN is the number of the last change.
func (m *Model) HighestUSN() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.usn
}

// Grant lets the account at dn use DirSync with all rights and see tombstones (DS-Replication-Get-Changes).
func (m *Model) Grant(dn string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.resolve(dn)
	if err != nil {
		return err
	}
	m.replicators[o] = true
	return nil
}

// Len counts live objects and tombstones of the domain and of its configuration.
func (m *Model) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.byGUID)
}

// touch stamps o with the change in progress, whose number is m.usn.
func (m *Model) touch(o *object) {
	o.usnLast, o.changed = m.usn, m.opts.Clock().UTC()
}

func bySeq(a, b *object) int {
	if a.seq < b.seq {
		return -1
	}
	return 1
}

func (m *Model) random(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(m.opts.Rand, b); err != nil {
		// A source that ends is a mistake in a test, and objects without identity would hide it.
		panic(fmt.Sprintf("directory: the random source failed: %v", err))
	}
	return b
}

// newGUID makes a version 4 GUID in AD's byte order.
func (m *Model) newGUID() scoping.GUID {
	g := scoping.GUID(m.random(16))
	g[7] = g[7]&0x0f | 0x40
	g[8] = g[8]&0x3f | 0x80
	return g
}

// newDomainSID makes S-1-5-21-x-y-z (MS-DTYP 2.4.2.2).
func (m *Model) newDomainSID() string {
	sid := []byte{1, 4, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0}
	return string(append(sid, m.random(12)...))
}

// sidOf puts a relative identifier below the domain's SID.
func (m *Model) sidOf(rid uint32) string {
	b := []byte(m.domainSID)
	b[1] = 5
	return string(binary.LittleEndian.AppendUint32(b, rid))
}

// sidText gives the S-1-... form of a SID's bytes.
func sidText(sid string) string {
	b := []byte(sid)
	if len(b) < 8 || len(b) != 8+4*int(b[1]) {
		return ""
	}
	authority := binary.BigEndian.Uint64(append([]byte{0, 0}, b[2:8]...))
	s := fmt.Sprintf("S-%d-%d", b[0], authority)
	for i := 8; i < len(b); i += 4 {
		s += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(b[i:]))
	}
	return s
}
