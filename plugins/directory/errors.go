package directory

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// The kinds of errors.
var (
	ErrUnreachable  = errors.New("the controller cannot be reached")
	ErrTLS          = errors.New("the controller's certificate is not accepted")
	ErrCredentials  = errors.New("the controller refused the sign-in")
	ErrCookie       = errors.New("the controller refused the DirSync cookie") // the caller reads everything again
	ErrNoSuchObject = errors.New("no such object in the directory")
	ErrNotPermitted = errors.New("the account lacks a right in the directory")
	ErrBase         = errors.New("the controller does not hold the directory's base")
	ErrTimeout      = errors.New("the controller stopped answering")
	ErrBehind       = errors.New("the controller lacks what was already seen of the directory") // nothing that it says is news (rule V1)
	ErrUnproved     = errors.New("the controller does not say what it has of others'")          // it may be behind
)

// DialError tells why a controller could not be used, and what to do. Kind is ErrUnreachable, ErrTLS,
// ErrCredentials or ErrBase.
type DialError struct {
	URL   string
	User  string // of a refused sign-in
	Code  string // AD's sub-code of a refused sign-in, such as "52e"; empty when unknown
	Kind  error
	Cause error
	Hint  string // what the administrator can do
}

// Error says what failed, where, and what to do.
func (e *DialError) Error() string {
	s := e.URL + ": " + e.Kind.Error()
	if e.User != "" {
		s += " of " + e.User
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Is matches the error's kind.
func (e *DialError) Is(target error) bool { return target == e.Kind }

// Unwrap gives the cause.
func (e *DialError) Unwrap() error { return e.Cause }

// signInCodes are the sub-codes that AD puts into the diagnostic message of a failed bind ("AcceptSecurityContext error,
// data 52e"): Win32 error numbers in hexadecimal (MS-ERREF 2.2).
var signInCodes = map[string][2]string{
	"525": {"the account does not exist", "check bind.user"},
	"52e": {"unknown user or wrong password", "check bind.user and the password"},
	"52f": {"the account is restricted from signing in here", "check the account's log-on restrictions"},
	"530": {"the account may not sign in at this hour", "check the account's log-on hours"},
	"531": {"the account may not sign in from this machine", "check the account's allowed workstations"},
	"532": {"the password has expired", "set a new password and let it never expire"},
	"533": {"the account is disabled", "enable the account"},
	"568": {"too many group memberships for a token", "remove the account from groups"},
	"701": {"the account has expired", "extend or clear the account's expiry date"},
	"773": {"the password must be changed before the first sign-in", "set the password without 'must change at next logon'"},
	"775": {"the account is locked out", "unlock the account, and look for what uses an old password"},
}

var dataCode = regexp.MustCompile(`data ([0-9a-fA-F]+)`)

func classifyBind(address, user string, err error) error {
	if ldap.IsErrorWithCode(err, ldap.LDAPResultStrongAuthRequired) {
		return &DialError{URL: address, User: user, Kind: ErrCredentials, Cause: err, Hint: "use an ldaps:// URL"}
	}
	if !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
		return &DialError{URL: address, Kind: ErrUnreachable, Cause: err, Hint: "the controller dropped the sign-in; look at its event log"}
	}
	e := &DialError{URL: address, User: user, Kind: ErrCredentials, Cause: errors.New("unknown user or wrong password"),
		Hint: "check bind.user and the password"}
	if m := dataCode.FindStringSubmatch(err.Error()); m != nil {
		e.Code = strings.ToLower(m[1])
		if text, ok := signInCodes[e.Code]; ok {
			e.Cause, e.Hint = fmt.Errorf("%s (data %s)", text[0], e.Code), text[1]
		} else {
			e.Cause = fmt.Errorf("sign-in refused with data %s", e.Code)
		}
	}
	return e
}

func classifyOpen(address string, err error) error {
	e := &DialError{URL: address, Kind: ErrTLS, Cause: err}
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var verify *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		e.Cause = fmt.Errorf("the certificate has expired or is not valid yet: %w", err)
		e.Hint = "renew the controller's certificate, and check this machine's clock"
	case errors.As(err, &unknown):
		e.Cause = fmt.Errorf("the certificate is signed by an unknown CA: %w", err)
		e.Hint = "set tls.caFile to the CA that issued the controller's certificate"
	case errors.As(err, &host):
		e.Cause = fmt.Errorf("the certificate is for another host name: %w", err)
		e.Hint = "use the name that the certificate holds in the URL"
	case strings.Contains(err.Error(), "negative serial number"):
		e.Cause = fmt.Errorf("the certificate has a negative serial number, which RFC 5280 forbids: %w", err)
		e.Hint = "give the controller a certificate of your own; Samba's self-made ones may be like this"
	case errors.As(err, &verify), errors.As(err, &header), strings.Contains(err.Error(), "tls:"), strings.Contains(err.Error(), "x509:"):
		e.Hint = "check that the URL's port speaks TLS, and the controller's certificate"
	default:
		e.Kind = ErrUnreachable
		e.Hint = "check the host name, the port, firewalls, and that the controller runs"
		var dns *net.DNSError
		if errors.As(err, &dns) {
			e.Hint = "the host name is not known to DNS: check tandem.yaml and this machine's DNS servers"
		}
	}
	return e
}

// classify gives an LDAP error its kind.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case ldap.IsErrorAnyOf(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax):
		return fmt.Errorf("%w: %w", ErrNoSuchObject, err)
	case ldap.IsErrorWithCode(err, ldap.LDAPResultInsufficientAccessRights):
		return fmt.Errorf("%w: %w", ErrNotPermitted, err)
	case ldap.IsErrorWithCode(err, ldap.ErrorNetwork), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		strings.Contains(err.Error(), "unable to read LDAP response packet"):
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}
