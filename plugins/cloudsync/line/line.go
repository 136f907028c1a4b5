// Package line is what the cloudsync service and its agents agree on: the protocol (line.proto), the enrolment token, and how
// each side knows the other.
//
// It promises that an agent talks to no service but the one that invited it (the token carries the pin of the service's public
// key), and that a service answers no agent that it did not enrol (client certificates of its own authority).
package line

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/plugins/proxy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/tandem-sync/tandem/scoping"
)

// Limits of the line.
const (
	MaxMessage   = 64 << 20         // bytes in one message: one group with all its members must fit
	BatchEntries = 64               // entries in one Part at most
	BatchBytes   = 256 << 10        // a Part is sent when it holds this much, even with fewer entries
	KeepAlive    = 10 * time.Second // how often an agent probes a silent connection; gRPC allows clients no less
	ProbeTimeout = 5 * time.Second  // how long a probe may go unanswered before the connection counts as dead
	AgentAlive   = 4 * time.Second  // how often the service probes a silent connection, and how long that may go unanswered
	AliveEvery   = 20 * time.Second // how often an agent that waits for its controller says that it is at work
)

// Attending is the key in the header of Attend that says that the agent was taken. Without it the header is that of a refusal.
const Attending = "tandem-attending"

// Codes of a Failure.
const (
	CodeCookie          = "cookie"           // the controller refused the DirSync cookie: read everything again
	CodeOtherController = "other-controller" // the agent reads another controller than the cookie is for
	CodeController      = "controller"       // the agent is not configured for the controller that was asked for
	CodeBehind          = "behind"           // the controller lacks what was already seen of the directory
	CodeNotFound        = "not-found"        // Resolve found nothing
	CodeDirectory       = "directory"        // anything else that the directory said
	CodeNoAccount       = "no-account"       // the agent has no account for it
	CodeRequest         = "request"          // the agent does not know the request: it is older than the service
)

// Pin names a service: the SHA-256 of its public key (SubjectPublicKeyInfo), as in RFC 7469 section 2.4.
type Pin [sha256.Size]byte

// PinOf gives the pin of a certificate's public key.
func PinOf(c *x509.Certificate) Pin { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// ErrPin says that what answered is not the service that was pinned.
var ErrPin = errors.New("the server's key is not the one that was pinned at enrolment: this is another service, or somebody in between")

// ErrToken says that a text is no enrolment token.
var ErrToken = errors.New("not an enrolment token: copy the whole line that tandem agent invite printed")

// secretSize is the length in bytes of a token's secret.
const secretSize = 24

// tokenPrefix makes tokens recognizable, and versions them.
const tokenPrefix = "tandem-agent-1."

// Token lets one agent enrol once: the pin says with whom, the secret is what it shows there.
type Token struct {
	Pin    Pin
	Secret [secretSize]byte
}

// String gives the text that a person carries to the agent's host. It is a secret until it is used.
func (t Token) String() string {
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(append(t.Pin[:], t.Secret[:]...))
}

// ParseToken reads what Token.String wrote; otherwise ErrToken.
func ParseToken(s string) (Token, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(s), tokenPrefix)
	b, err := base64.RawURLEncoding.DecodeString(text)
	if !ok || err != nil || len(b) != sha256.Size+secretSize {
		return Token{}, ErrToken
	}
	var t Token
	copy(t.Pin[:], b)
	copy(t.Secret[:], b[sha256.Size:])
	return t, nil
}

// ClientTLS gives an agent's TLS settings: it accepts the pinned service and nobody else. Without a certificate it can
// only enrol.
func ClientTLS(pin Pin, certificate *tls.Certificate) *tls.Config {
	c := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // names and authorities say nothing here: the pin below is the check
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return ErrPin
			}
			got := PinOf(s.PeerCertificates[0])
			if subtle.ConstantTimeCompare(got[:], pin[:]) != 1 {
				return ErrPin
			}
			return nil
		},
	}
	if certificate != nil {
		c.Certificates = []tls.Certificate{*certificate}
	}
	return c
}

// version is the version of the program at this end; releases set it by the linker.
var version = "0.1.0-dev"

// Version is the version of the program at this end of the line, agent or service. The line itself is the same across versions; people want to know which they have.
func Version() string { return version }

// through connects to the service, through an HTTP proxy where the environment names one.
var through proxy.Dialer

// Dial prepares a connection to the service; it connects with the first call, through an HTTP proxy where the environment names one (HTTPS_PROXY, NO_PROXY).
func Dial(server string, config *tls.Config) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("passthrough:///"+server, grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: KeepAlive, Timeout: ProbeTimeout, PermitWithoutStream: true}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return through.DialContext(ctx, "tcp", address)
		}),
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig())
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", server, err)
	}
	return conn, nil
}

// Probe does the TLS handshake alone. It exists because gRPC reports why a handshake failed only as text; Probe tells
// ErrPin from an unreachable server.
func Probe(ctx context.Context, server string, config *tls.Config) error {
	config.NextProtos = []string{"h2"}
	conn, err := through.DialContext(ctx, "tcp", server)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", server, err)
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // what went wrong is told already
		return fmt.Errorf("connect to %s: %w", server, err)
	}
	return secure.Close()
}

// SameBase says whether two DNs of naming contexts are the same name; AD compares them without case, and they hold nothing
// that needs escaping.
func SameBase(a, b string) bool {
	clean := func(s string) []byte {
		return bytes.ToLower(bytes.ReplaceAll([]byte(s), []byte(", "), []byte(",")))
	}
	return bytes.Equal(clean(a), clean(b))
}

// Pack writes objectGUIDs one after the other.
func Pack(guids []scoping.GUID) []byte {
	b := make([]byte, 0, 16*len(guids))
	for _, g := range guids {
		b = append(b, g[:]...)
	}
	return b
}

// Unpack reads what Pack wrote.
func Unpack(b []byte) ([]scoping.GUID, error) {
	if len(b)%16 != 0 {
		return nil, fmt.Errorf("%d bytes are no list of objectGUIDs", len(b))
	}
	guids := make([]scoping.GUID, len(b)/16)
	for i := range guids {
		copy(guids[i][:], b[16*i:])
	}
	return guids, nil
}
