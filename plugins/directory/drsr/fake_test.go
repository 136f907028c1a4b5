package drsr_test

import (
	"bytes"
	"context"
	"crypto/des"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"hash/crc32"
	"net"
	"sync"
	"testing"
	"time"

	labdirectory "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/drsr"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/ndr"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/ntlm/ntlmtest"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/rpc/rpctest"
	"github.com/tandem-sync/tandem/scoping"
)

// fake is a controller whose LDAP is the lab's and whose replication says what a test wants, for what Samba never does.
type fake struct {
	testing.TB
	model      *labdirectory.Model
	config     drsr.Config
	controller directory.Controller
	rpc        rpctest.Server
	flags      uint32               // capabilities
	epoch      uint32               // of a renamed domain
	first      func(q asked) []byte // answers the question for the root with which a session begins; nil: as any other
	changes    func(q asked) []byte
	asked      []asked
	serving    sync.WaitGroup
}

// asked is what a call of IDL_DRSGetNCChanges asked for.
type asked struct {
	target  scoping.GUID
	single  bool
	partial bool
	from    uint64 // USN
	ids     []uint32
}

const strongAndNew = 0x05008001

func newFake(t testing.TB) *fake {
	t.Helper()
	f := &fake{TB: t, model: labdirectory.New(labdirectory.Options{}), flags: strongAndNew}
	server, err := labdirectory.Serve(t.Context(), f.model, labdirectory.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f.config = drsr.Config{Port: 49152, Dial: f.dial, Connection: directory.Connection{Name: "contoso", URLs: []string{server.URL()}, Base: f.model.Base(),
		User: f.model.ReadOnlyUser(), Password: f.model.AdminPassword(), CA: server.CAPEM(), Timeout: 5 * time.Second}}
	f.rpc = rpctest.Server{Hash: hashOf(t, f.model.AdminPassword()), Call: f.call}
	t.Cleanup(func() {
		f.serving.Wait()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	l, err := directory.Dial(t.Context(), f.config.Connection)
	if err != nil {
		t.Fatal(err)
	}
	f.controller = l.Controller()
	f.first = func(asked) []byte { return f.only(row{guid: f.controller.Root}).marshal() }
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fake) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	f.serving.Go(func() {
		if err := f.rpc.Serve(there); err != nil {
			f.Log("replication:", err) // a client that gives up in the middle
		}
	})
	return here, nil
}

func (f *fake) session() *drsr.Session {
	f.Helper()
	s, err := drsr.Dial(f.Context(), f.config)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() }) // some break the connection
	return s
}

func (f *fake) call(operation uint16, arguments []byte) rpctest.Answer {
	switch operation {
	case 0:
		return rpctest.Answer{Results: f.bind(arguments)}
	case 3:
		q := parseRequest(f, arguments)
		if q.target == f.controller.Root && q.single && !q.partial && f.first != nil {
			return rpctest.Answer{Results: f.first(q)}
		}
		f.asked = append(f.asked, q)
		return rpctest.Answer{Results: f.changes(q)}
	}
	return rpctest.Answer{Results: make([]byte, 24)}
}

func (f *fake) bind(arguments []byte) []byte {
	status := uint32(0)
	if epoch := binary.LittleEndian.Uint32(arguments[len(arguments)-4:]); epoch != f.epoch {
		status = 0x2191
	}
	var w ndr.Writer
	w.Pointer()
	w.Uint32(28)
	w.Uint32(28)
	w.Uint32(f.flags)
	w.Zeros(20)
	w.Uint32(f.epoch)
	w.Bytes(bytes.Repeat([]byte{7}, 20))
	w.Uint32(status)
	return w.Data()
}

// parseRequest reads DRS_MSG_GETCHGREQ_V8.
func parseRequest(t testing.TB, b []byte) (q asked) {
	r := ndr.Read(b)
	r.Bytes(20)
	if v, arm := r.Uint32(), r.Uint32(); v != 8 || arm != 8 {
		t.Errorf("a request of version %d", v)
	}
	r.Align(8)
	r.Bytes(32)
	r.Pointer()
	q.from = r.Uint64()
	r.Bytes(16)
	r.Pointer()
	r.Bytes(3 * 4)
	q.single = r.Uint32() == 6
	r.Uint64()
	q.partial = r.Pointer()
	r.Pointer()
	r.Uint32()
	r.Pointer()
	r.Bytes(12)
	copy(q.target[:], r.UUID())
	if q.partial {
		r.Bytes(28 + 4 + 2)
		r.Align(4)
		r.Bytes(3 * 4)
		for range r.Count(4) {
			q.ids = append(q.ids, r.Uint32())
		}
	}
	if r.Err() != nil {
		t.Error(r.Err())
	}
	return q
}

// row is an object of a reply.
type row struct {
	guid       scoping.GUID
	sid        []byte
	attributes []cell
	noStamps   bool
}

// cell is an attribute; no values mean that it was cleared.
type cell struct {
	id     uint32
	values [][]byte
	stamp  credential.Stamp
}

// answer is a reply to IDL_DRSGetNCChanges.
type answer struct {
	version    uint32 // 0: 6
	invocation scoping.GUID
	to         uint64
	more       bool
	rows       []row
	extended   uint32
	prefixes   [][]byte // numbered from 40
}

// Prefixes of a controller that numbers them otherwise than requests do.
var labPrefixes = [][]byte{{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 0x01, 0x04}, {0x55, 0x04}, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 0x01, 0x02}}

// Attributes by their numbers there.
const (
	firstPrefix    = 40
	idControl      = firstPrefix<<16 | 8
	idPassword     = firstPrefix<<16 | 90
	idPasswordSet  = firstPrefix<<16 | 96
	idAccountName  = firstPrefix<<16 | 221
	idDescription  = (firstPrefix+1)<<16 | 13
	idDeleted      = (firstPrefix+2)<<16 | 48
	idSecurityID   = firstPrefix<<16 | 146
	statusDenied   = 0x2105
	statusDisabled = 0x2108
)

// refused is a reply with a status only.
func refused(status uint32) []byte {
	var w ndr.Writer
	w.Uint32(6)
	w.Uint32(6)
	w.Zeros(168)
	w.Uint32(status)
	return w.Data()
}

// marshal writes DRS_MSG_GETCHGREPLY_V6 (MS-DRSR 4.1.10.2) from its definition.
func (a answer) marshal() []byte {
	if a.version == 0 {
		a.version = 6
	}
	if a.prefixes == nil {
		a.prefixes = labPrefixes
	}
	var w ndr.Writer
	w.Uint32(a.version)
	w.Uint32(a.version)
	w.Align(8)
	w.Zeros(16)
	w.Bytes(a.invocation[:])
	w.Pointer() // pNC
	w.Align(8)
	w.Zeros(24)
	w.Uint64(a.to)
	w.Zeros(16)
	w.Pointer() // pUpToDateVecSrc
	w.Uint32(uint32(len(a.prefixes)))
	w.Pointer()
	w.Uint32(a.extended)
	w.Uint32(uint32(len(a.rows)))
	w.Uint32(0)
	pointer(&w, len(a.rows) > 0)
	w.Uint32(map[bool]uint32{true: 1}[a.more])
	w.Zeros(12)
	w.Null()
	w.Uint32(0)
	name(&w, scoping.GUID{9}, nil, "DC=contoso,DC=test")
	w.Uint32(1) // one cursor
	w.Align(8)
	for _, v := range []uint32{2, 0, 1, 0} {
		w.Uint32(v)
	}
	w.Zeros(32)
	w.Uint32(uint32(len(a.prefixes)))
	for i, p := range a.prefixes {
		w.Uint32(firstPrefix + uint32(i))
		w.Uint32(uint32(len(p)))
		w.Pointer()
	}
	for _, p := range a.prefixes {
		w.Uint32(uint32(len(p)))
		w.Bytes(p)
	}
	for i, r := range a.rows {
		pointer(&w, i+1 < len(a.rows))
		w.Pointer()
		w.Uint32(0)
		w.Uint32(uint32(len(r.attributes)))
		w.Pointer()
		w.Uint32(0)
		w.Pointer()
		pointer(&w, !r.noStamps)
	}
	for i := len(a.rows) - 1; i >= 0; i-- {
		a.rows[i].marshal(&w)
	}
	w.Uint32(0)
	return w.Data()
}

func pointer(w *ndr.Writer, there bool) {
	if there {
		w.Pointer()
		return
	}
	w.Null()
}

func name(w *ndr.Writer, g scoping.GUID, sid []byte, dn string) {
	wide := ntlmtest.Wide(dn + "\x00")
	w.Uint32(uint32(len(wide) / 2))
	w.Uint32(uint32(56 + len(wide)))
	w.Uint32(uint32(len(sid)))
	w.Bytes(g[:])
	w.Bytes(sid)
	w.Zeros(28 - len(sid))
	w.Uint32(uint32(len(wide)/2 - 1))
	w.Bytes(wide)
}

func (r row) marshal(w *ndr.Writer) {
	name(w, r.guid, r.sid, "CN=Ann,DC=contoso,DC=test")
	w.Uint32(uint32(len(r.attributes)))
	for _, c := range r.attributes {
		w.Uint32(c.id)
		w.Uint32(uint32(len(c.values)))
		pointer(w, len(c.values) > 0)
	}
	for _, c := range r.attributes {
		if len(c.values) == 0 {
			continue
		}
		w.Uint32(uint32(len(c.values)))
		for _, v := range c.values {
			w.Uint32(uint32(len(v)))
			w.Pointer()
		}
		for _, v := range c.values {
			w.Uint32(uint32(len(v)))
			w.Bytes(v)
			w.Align(4)
		}
	}
	w.Zeros(16) // pParentGuid
	if r.noStamps {
		return
	}
	w.Uint32(uint32(len(r.attributes)))
	w.Align(8)
	w.Uint32(uint32(len(r.attributes)))
	for _, c := range r.attributes {
		w.Align(8)
		w.Uint32(c.stamp.Version)
		w.Uint64(uint64(c.stamp.Changed.Unix() + 11644473600))
		w.Bytes(c.stamp.Invocation[:])
		w.Uint64(c.stamp.USN)
	}
}

// sealed encrypts a hash as a controller does (MS-DRSR 4.1.10.5, EncryptValuesIfNecessary and MS-SAMR 2.2.11.1.1).
func sealed(t testing.TB, session, hash []byte, id uint32) []byte {
	t.Helper()
	b := binary.LittleEndian.AppendUint32(nil, id)
	var body []byte
	for half, seven := range [][]byte{{b[0], b[1], b[2], b[3], b[0], b[1], b[2]}, {b[3], b[0], b[1], b[2], b[3], b[0], b[1]}} {
		cipher, err := des.NewCipher([]byte{ // MS-SAMR 2.2.11.1.2, word for word
			seven[0] >> 1 << 1, (seven[0]&1<<6 | seven[1]>>2) << 1, (seven[1]&3<<5 | seven[2]>>3) << 1, (seven[2]&7<<4 | seven[3]>>4) << 1,
			(seven[3]&15<<3 | seven[4]>>5) << 1, (seven[4]&31<<2 | seven[5]>>6) << 1, (seven[5]&63<<1 | seven[6]>>7) << 1, seven[6] & 127 << 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		out := make([]byte, 8)
		cipher.Encrypt(out, hash[8*half:][:8])
		body = append(body, out...)
	}
	salt := []byte("sixteen of salt.")
	sum := md5.Sum(append(bytes.Clone(session), salt...))
	cipher, err := rc4.NewCipher(sum[:])
	if err != nil {
		t.Fatal(err)
	}
	body = append(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)), body...)
	cipher.XORKeyStream(body, body)
	return append(salt, body...)
}
