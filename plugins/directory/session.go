package directory

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/scoping"
)

// Controller is the domain controller that a session reads. Versions (USNs) of different InvocationIDs do not compare.
type Controller struct {
	URL          string
	DNSName      string
	InvocationID scoping.GUID // changes when the controller is restored or promoted anew
	HighestUSN   uint64       // highestCommittedUSN when the session began
	Time         time.Time    // the controller's clock when the session began
	Root         scoping.GUID // objectGUID of the naming context's root
	RootDN       string       // its DN in the controller's own spelling
	DSA          scoping.GUID // objectGUID of the controller's NTDS settings; zero when not told
	ReadOnly     bool         // a read-only controller, which holds few passwords

	CertificateEnds time.Time // of the certificate that it showed; zero: it showed none
}

// Session is one signed-in connection to one controller. Its methods may be called one after the other from any goroutine,
// not at the same time. A cancelled context closes the connection: afterwards every method fails.
type Session struct {
	connection     Connection
	raw            *counted
	conn           *ldap.Conn
	controller     Controller
	controls       []string // OIDs that rootDSE lists
	schemaDN       string   // the naming context of the schema
	highest        uint64   // highestCommittedUSN as last read
	objectSecurity bool     // DirSync only with the caller's own rights
	closing        sync.Once
}

// Controller tells which controller the session reads, as it was when the session began.
func (s *Session) Controller() Controller { return s.controller }

// Root gives the objectGUID of the naming context's root, the last ancestor of every object.
func (s *Session) Root() scoping.GUID { return s.controller.Root }

// Name gives the directory's name.
func (s *Session) Name() string { return s.connection.Name }

// Supports reports whether the controller lists a control in rootDSE.
func (s *Session) Supports(oid string) bool { return slices.Contains(s.controls, oid) }

// Token reads the SIDs by which the controller decides what this session may do, as it lists them in rootDSE's tokenGroups: the account's own, its groups'
// through all nesting, and what every signed-in account is besides (MS-ADTS 3.1.1.3.2, tokenGroups). The order says nothing. They are raw, as objectSid is.
func (s *Session) Token(ctx context.Context) ([][]byte, error) {
	root, err := s.readBase(ctx, "", []string{"tokenGroups"})
	if err != nil {
		return nil, fmt.Errorf("%s: read what %s is: %w", s.controller.URL, s.connection.User, err)
	}
	return root.GetRawAttributeValues("tokenGroups"), nil
}

// Address is the controller's address that the session is connected to, whose certificate was verified unless the connection
// says otherwise.
func (s *Session) Address() net.Addr { return s.raw.RemoteAddr() }

// Close ends the session. It may be called more than once.
func (s *Session) Close() error {
	var err error
	s.closing.Do(func() { err = s.conn.Close() })
	return err
}

// abort closes without waiting for anything in flight.
func (s *Session) abort() {
	s.closing.Do(func() {
		s.raw.Close()
		s.conn.Close()
	})
}

// do runs one request that answers as a whole. It ends early, closing the connection, when ctx does or when the controller
// stays silent for the connection's timeout.
func (s *Session) do(ctx context.Context, request func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.connection.timeout(), ErrTimeout)
	defer cancel()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	stop := context.AfterFunc(ctx, s.abort)
	err := request()
	if !stop() {
		return errors.Join(context.Cause(ctx), err)
	}
	return err
}

func (s *Session) search(ctx context.Context, r *ldap.SearchRequest) (*ldap.SearchResult, error) {
	var result *ldap.SearchResult
	err := s.do(ctx, func() (err error) {
		result, err = s.conn.Search(r)
		return classify(err)
	})
	return result, err
}

func (s *Session) readBase(ctx context.Context, dn string, attrs []string, controls ...ldap.Control) (*ldap.Entry, error) {
	result, err := s.search(ctx, &ldap.SearchRequest{BaseDN: dn, Scope: ldap.ScopeBaseObject, Filter: "(objectClass=*)",
		Attributes: attrs, Controls: controls})
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", dn, err)
	}
	if len(result.Entries) != 1 {
		return nil, fmt.Errorf("read %q: %w", dn, ErrNoSuchObject)
	}
	return result.Entries[0], nil
}

// learn reads what the session has to know of its controller.
func (s *Session) learn(ctx context.Context) error {
	root, err := s.readBase(ctx, "", []string{"highestCommittedUSN", "dsServiceName", "dnsHostName", "supportedControl",
		"namingContexts", "currentTime", "schemaNamingContext"})
	if err != nil {
		return fmt.Errorf("%s: %w", s.controller.URL, err)
	}
	s.controls, s.schemaDN = root.GetAttributeValues("supportedControl"), root.GetAttributeValue("schemaNamingContext")
	s.controller.DNSName = root.GetAttributeValue("dnsHostName")
	s.controller.Time, _ = time.Parse("20060102150405.0Z", root.GetAttributeValue("currentTime"))
	if s.controller.HighestUSN, err = strconv.ParseUint(root.GetAttributeValue("highestCommittedUSN"), 10, 64); err != nil {
		return fmt.Errorf("%s: rootDSE has no highestCommittedUSN: is it an Active Directory controller?", s.controller.URL)
	}
	s.highest = s.controller.HighestUSN
	if err := s.learnInvocation(ctx, root.GetAttributeValue("dsServiceName")); err != nil {
		return err
	}
	return s.learnRoot(ctx, root.GetAttributeValues("namingContexts"))
}

func (s *Session) learnInvocation(ctx context.Context, service string) error {
	settings, err := s.readBase(ctx, service, []string{"invocationId", "objectGUID", "objectClass", "msDS-isRODC"})
	if err != nil {
		return fmt.Errorf("%s: read the controller's NTDS settings: %w", s.controller.URL, err)
	}
	s.controller.InvocationID, err = scoping.GUIDFromBytes(settings.GetRawAttributeValue("invocationId"))
	if err != nil {
		return fmt.Errorf("%s: invocationId of %q: %w", s.controller.URL, service, err)
	}
	if own, err := scoping.GUIDFromBytes(settings.GetRawAttributeValue("objectGUID")); err == nil {
		s.controller.DSA = own
	}
	// MS-ADTS 6.1.1.2.2.1.2.1.2: a read-only controller's settings are of a class of their own.
	class := func(c string) bool { return strings.EqualFold(c, "nTDSDSARO") }
	s.controller.ReadOnly = settings.GetAttributeValue("msDS-isRODC") == "TRUE" || slices.ContainsFunc(settings.GetAttributeValues("objectClass"), class)
	return nil
}

func (s *Session) learnRoot(ctx context.Context, contexts []string) error {
	base, err := ldap.ParseDN(s.connection.Base)
	if err != nil || len(base.RDNs) == 0 {
		return &DialError{URL: s.controller.URL, Kind: ErrBase, Hint: "set base in tandem.yaml to the naming context that is meant",
			Cause: fmt.Errorf("%q is not a distinguished name", s.connection.Base)}
	}
	isRoot := func(nc string) bool {
		dn, err := ldap.ParseDN(nc)
		return err == nil && dn.EqualFold(base)
	}
	if !slices.ContainsFunc(contexts, isRoot) {
		return &DialError{URL: s.controller.URL, Kind: ErrBase, Hint: "set base in tandem.yaml to the naming context that is meant",
			Cause: fmt.Errorf("%q is not a naming context; those are %s", s.connection.Base, strings.Join(contexts, "; "))}
	}
	entry, err := s.readBase(ctx, s.connection.Base, []string{"objectGUID"}, extendedDN)
	if err != nil {
		return err
	}
	s.controller.RootDN = parseExtendedDN(entry.DN).DN
	s.controller.Root, err = scoping.GUIDFromBytes(entry.GetRawAttributeValue("objectGUID"))
	if err != nil {
		return fmt.Errorf("objectGUID of %q: %w", s.connection.Base, err)
	}
	return nil
}

// HighestUSN reads the controller's highestCommittedUSN again. What a later search shows is at least as new as that.
func (s *Session) HighestUSN(ctx context.Context) (uint64, error) {
	root, err := s.readBase(ctx, "", []string{"highestCommittedUSN"})
	if err != nil {
		return 0, err
	}
	usn, err := strconv.ParseUint(root.GetAttributeValue("highestCommittedUSN"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("highestCommittedUSN of %s: %w", s.controller.URL, err)
	}
	s.highest = usn
	return usn, nil
}
