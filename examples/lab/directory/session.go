package directory

import (
	"bufio"
	"crypto/tls"
	"net"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

const (
	oidStartTLS      = "1.3.6.1.4.1.1466.20037"
	handshakeTimeout = 10 * time.Second
)

// Answers' tags by operation (RFC 4511 section 4.2 and on).
const (
	tagBindResponse     = 0x61
	tagSearchDone       = 0x65
	tagModifyResponse   = 0x67
	tagAddResponse      = 0x69
	tagDeleteResponse   = 0x6b
	tagModifyDNResponse = 0x6d
	tagCompareResponse  = 0x6f
	tagExtendedResponse = 0x78
)

// session is one connection. Its requests are answered one after the other.
type session struct {
	server *Server
	conn   net.Conn
	in     *bufio.Reader
	out    *bufio.Writer
	secure bool
	id     identity
	pages  map[string]found // searches whose pages are not all read yet
	nextID int
}

func newSession(s *Server, raw net.Conn, secure bool) *session {
	c := &session{server: s, secure: secure, pages: map[string]found{}}
	if secure {
		raw = tls.Server(raw, s.opts.TLS)
	}
	c.use(raw)
	return c
}

func (c *session) use(conn net.Conn) {
	c.conn, c.in, c.out = conn, bufio.NewReaderSize(conn, 16<<10), bufio.NewWriterSize(conn, 64<<10)
}

// serve answers until the connection ends; how it ends does not matter to anyone.
func (c *session) serve() {
	if t, ok := c.conn.(*tls.Conn); ok {
		if err := c.handshake(t); err != nil {
			return
		}
	}
	for {
		p, err := ber.ReadPacket(c.in)
		if err != nil {
			return
		}
		if !c.answer(p) || c.out.Flush() != nil {
			return
		}
	}
}

func (c *session) handshake(t *tls.Conn) error {
	if err := t.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	if err := t.Handshake(); err != nil {
		return err
	}
	return t.SetDeadline(time.Time{})
}

// request is one message off the wire.
type request struct {
	id       int64
	op       *ber.Packet
	controls controls
}

// answer says whether the connection goes on.
func (c *session) answer(p *ber.Packet) bool {
	if len(p.Children) < 2 {
		return false
	}
	id, ok := p.Children[0].Value.(int64)
	if !ok || p.Children[1].ClassType != ber.ClassApplication {
		return false
	}
	r := request{id: id, op: p.Children[1]}
	var err error
	if len(p.Children) > 2 {
		r.controls, err = readControls(p.Children[2])
	}
	if r.op.Tag == ldap.ApplicationUnbindRequest {
		return false
	}
	if r.op.Tag == ldap.ApplicationAbandonRequest {
		return true // requests are answered before the next is read
	}
	return c.dispatch(r, err)
}

// writing names the requests that write.
var writing = map[ber.Tag]string{ldap.ApplicationAddRequest: "add", ldap.ApplicationModifyRequest: "modify", ldap.ApplicationDelRequest: "delete", ldap.ApplicationModifyDNRequest: "rename"}

func (c *session) dispatch(r request, err error) bool {
	handlers := map[ber.Tag]struct {
		tag   byte
		serve func(request) error
	}{
		ldap.ApplicationAddRequest:      {tagAddResponse, c.add},
		ldap.ApplicationModifyRequest:   {tagModifyResponse, c.modify},
		ldap.ApplicationDelRequest:      {tagDeleteResponse, c.remove},
		ldap.ApplicationModifyDNRequest: {tagModifyDNResponse, c.rename},
		ldap.ApplicationCompareRequest:  {tagCompareResponse, c.compare},
		ldap.ApplicationBindRequest:     {tagBindResponse, c.bind},
	}
	switch r.op.Tag {
	case ldap.ApplicationSearchRequest:
		return c.search(r, err)
	case ldap.ApplicationExtendedRequest:
		return c.extended(r)
	}
	h, ok := handlers[r.op.Tag]
	if !ok {
		return false
	}
	if err == nil && r.op.Tag != ldap.ApplicationBindRequest {
		err = c.signedIn()
	}
	tell := func(bool) {}
	if op, writes := writing[r.op.Tag]; writes && c.server.opts.Writes != nil {
		tell = func(done bool) { c.server.opts.Writes(op, c.conn.RemoteAddr(), done) }
	}
	tell(false)
	if err == nil {
		err = h.serve(r)
	}
	tell(true)
	code, text := resultOf(err)
	return c.send(message(r.id, encodeResult(h.tag, code, text, nil), nil))
}

func (c *session) send(b []byte) bool {
	_, err := c.out.Write(b)
	return err == nil
}

func (c *session) signedIn() error {
	if c.id.anonymous() {
		return refuse(ldap.LDAPResultOperationsError, "000004DC: LdapErr: DSID-0C0909AF, comment: In order to perform this operation a successful bind must be completed on the connection., data 0")
	}
	return nil
}

func (c *session) bind(r request) error {
	c.id = identity{}
	if len(r.op.Children) != 3 {
		return refuse(ldap.LDAPResultProtocolError, "the bind request is malformed")
	}
	name, auth := r.op.Children[1].Data.String(), r.op.Children[2]
	if auth.Tag != 0 {
		return refuse(ldap.LDAPResultAuthMethodNotSupported, "00002027: only simple binds are supported")
	}
	password := auth.Data.String()
	if name == "" && password == "" {
		return nil
	}
	if !c.secure {
		return refuse(ldap.LDAPResultStrongAuthRequired, "BindSimple: Transport encryption required.")
	}
	id, err := c.server.model.signIn(name, password)
	if err == nil {
		c.id = id
	}
	return err
}

// extended knows StartTLS (RFC 4511 section 4.14) alone.
func (c *session) extended(r request) bool {
	if len(r.op.Children) == 0 || r.op.Children[0].Data.String() != oidStartTLS {
		return c.send(message(r.id, encodeResult(tagExtendedResponse, ldap.LDAPResultProtocolError, "the extended operation is not known", nil), nil))
	}
	if c.secure {
		return c.send(message(r.id, encodeResult(tagExtendedResponse, ldap.LDAPResultOperationsError, "TLS is on already", nil), nil))
	}
	name := appendElement(nil, 0x8a, []byte(oidStartTLS))
	if !c.send(message(r.id, encodeResult(tagExtendedResponse, ldap.LDAPResultSuccess, "", name), nil)) || c.out.Flush() != nil {
		return false
	}
	t := tls.Server(c.conn, c.server.opts.TLS)
	if c.handshake(t) != nil {
		return false
	}
	c.use(t)
	c.secure = true
	return true
}
