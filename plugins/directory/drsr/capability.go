package drsr

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/access"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/ntlm"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/rpc"
)

// Code names what keeps hashes from being read.
type Code string

// The codes. [Code.Advice] says of each what to do.
const (
	Rights      Code = "drs-rights"       // the account lacks a right on the domain
	NTLMRefused Code = "drs-ntlm-refused" // the controller refuses the account's sign-in by NTLM, though the password is right
	Kerberos    Code = "drs-kerberos"     // only Kerberos would be taken, which there is not yet
	Ports       Code = "drs-ports"        // the controller's RPC ports cannot be reached
	ReadOnly    Code = "drs-rodc"         // the controller is read-only, or gives nothing to replicate
	Encryption  Code = "drs-encryption"   // what the controller offers is protected too weakly, or cannot be decrypted
	PartialSet  Code = "drs-partial-set"  // the controller does not give some attributes only
	NoNTHash    Code = "drs-no-nt-hash"   // a user has a password, and the directory keeps no NT hash of it
)

// Rights that reading hashes needs on the naming context's root, by their GUID in access lists (MS-ADTS 5.1.3.2.1).
const (
	GetChanges    = "1131f6aa-9c07-11d1-f79f-00c04fc2dcd2" // DS-Replication-Get-Changes
	GetChangesAll = "1131f6ad-9c07-11d1-f79f-00c04fc2dcd2" // DS-Replication-Get-Changes-All
)

// rightNames are the display names by which dsacls knows the rights, and those of samba-tool.
var rightNames = map[string][2]string{
	GetChanges:    {"Replicating Directory Changes", "get-changes"},
	GetChangesAll: {"Replicating Directory Changes All", "get-changes-all"},
}

// Advice says what to do.
func (c Code) Advice() string {
	switch c {
	case Rights:
		return "grant the account both rights on the domain"
	case NTLMRefused:
		return "allow NTLM for this account at the controller: 'Network security: Restrict NTLM' with its exceptions, or in smb.conf 'ntlm auth = ntlmv2-only'"
	case Kerberos:
		return "Tandem signs in to replication by NTLM only: take the account out of Protected Users, or allow NTLM at this controller"
	case Ports:
		return "open TCP 135 and the RPC ports 49152 to 65535 of the controller to this machine, or give the controller a fixed port ('TCP/IP Port' under NTDS\\Parameters) and name it (replicate.port, or --replicate-port)"
	case ReadOnly:
		return "name a writable controller whose outbound replication is on"
	case Encryption:
		return "update the controller; Tandem reads hashes over a connection with NTLMv2, 128-bit sealing and signed headers only"
	case PartialSet:
		return "nothing has to be done: all attributes are read instead, which takes about twice as long"
	case NoNTHash:
		return "let the directory keep NT hashes ('nt hash store = always' in smb.conf) and set the password anew"
	}
	return ""
}

// Error tells why hashes cannot be read, and what to do. It is found by errors.As; its cause, as by errors.Is, may be a kind
// of the packages directory, rpc and ntlm.
type Error struct {
	Code       Code
	Controller string   // URL
	Account    string   // as configured
	Detail     string   // what was seen; may be empty
	Missing    []string // with Rights: GUIDs of the rights that are missing for all that is known
	Grant      []string // with Rights: commands, each of which grants one of them, on Windows and on Samba
	Cause      error    // may be nil
}

// Error says what failed, where, and what to do.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s cannot read password hashes (%s)", e.Controller, e.Account, e.Code)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	s += "; " + e.Code.Advice()
	for i, line := range e.Grant {
		s += map[bool]string{true: ": ", false: " or "}[i == 0] + line
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errors of a controller that have no code.
var (
	// ErrOther says that replication is answered by another controller than the one whose certificate was verified.
	ErrOther = errors.New("the replication interface belongs to another controller than the LDAP address")
	// ErrProtocol is the kind of answers that make no sense.
	ErrProtocol = errors.New("the controller does not keep to MS-DRSR")
)

// Status is the code with which the controller refuses an operation: a Win32 error (MS-ERREF 2.2).
type Status uint32

// Statuses that something is made of.
const (
	accessDenied           Status = 0x0005
	invalidParameter       Status = 0x0057
	objectNotFound         Status = 0x208d // ERROR_DS_OBJ_NOT_FOUND
	schemaMismatch         Status = 0x20e2 // ERROR_DS_DRA_SCHEMA_MISMATCH
	replicationParameter   Status = 0x20f5 // ERROR_DS_DRA_INVALID_PARAMETER
	badDN                  Status = 0x20f7 // ERROR_DS_DRA_BAD_DN
	replicationDenied      Status = 0x2105 // ERROR_DS_DRA_ACCESS_DENIED
	notSupported           Status = 0x2106 // ERROR_DS_DRA_NOT_SUPPORTED
	sourceDisabled         Status = 0x2108 // ERROR_DS_DRA_SOURCE_DISABLED
	incompatiblePartialSet Status = 0x2110 // ERROR_DS_DRA_INCOMPATIBLE_PARTIAL_SET
	differentEpochs        Status = 0x2191 // ERROR_DS_DIFFERENT_REPL_EPOCHS
)

// Error names the status.
func (s Status) Error() string {
	return fmt.Sprintf("the controller answers with status %#04x", uint32(s))
}

func (s Status) denied() bool { return s == accessDenied || s == replicationDenied }

func (s Status) absent() bool { return s == badDN || s == objectNotFound }

// refusesPartialSet reports whether the status may mean the set of attributes.
func (s Status) refusesPartialSet() bool {
	switch s {
	case invalidParameter, schemaMismatch, replicationParameter, notSupported, incompatiblePartialSet:
		return true
	}
	return false
}

// fail makes an error of this session's controller and account.
func (s *Session) fail(code Code, detail string, cause error) *Error {
	return &Error{Code: code, Controller: s.controller.URL, Account: s.config.Connection.User, Detail: detail, Cause: cause}
}

// classify gives errors of connecting and calling their code.
func (s *Session) classify(ctx context.Context, err error) error {
	var refused *rpc.Refused
	var fault *rpc.Fault
	var status Status
	var known *Error
	switch {
	case err == nil, errors.As(err, &known), ctx.Err() != nil:
		return err
	case errors.As(err, &refused) && refused.Reason == rpc.ReasonAuthentication:
		return s.fail(Kerberos, "", err)
	case errors.Is(err, ntlm.ErrWeak), errors.Is(err, rpc.ErrWeak):
		return s.fail(Encryption, "", err)
	case errors.As(err, &status) && status == sourceDisabled:
		return s.fail(ReadOnly, "", err)
	case errors.As(err, &fault) && (fault.Status == rpc.StatusAccessDenied || fault.Status == rpc.StatusAuthUnknown ||
		fault.Status == rpc.StatusSecurity || fault.Status == rpc.StatusProtocol):
		return s.refusal(err)
	case errors.Is(err, rpc.ErrNoInterface):
		return s.fail(Ports, "", err)
	case errors.Is(err, rpc.ErrSilent):
		return fmt.Errorf("%s: %w: %w", s.controller.URL, directory.ErrTimeout, err)
	}
	return fmt.Errorf("%s: read password hashes: %w", s.controller.URL, err)
}

// accountRestriction is LDAP's sub-code for accounts that may not sign in this way, ERROR_ACCOUNT_RESTRICTION (MS-ERREF 2.2).
const accountRestriction = "52f"

// unproved gives the failure of the sign-in over LDAPS its code: members of Protected Users may sign in by Kerberos only, which
// their controllers tell already there.
func (s *Session) unproved(err error) error {
	var refused *directory.DialError
	if errors.As(err, &refused) && refused.Code == accountRestriction {
		s.controller.URL = refused.URL
		return s.fail(Kerberos, "the account is restricted, as members of Protected Users are", err)
	}
	return err
}

// refusal tells of a sign-in by NTLM that was refused, though the password was right a moment ago.
func (s *Session) refusal(err error) error {
	return s.fail(NTLMRefused, "the password is right: LDAP took it", err)
}

// denial tells which rights are missing. What needs the first right only is tried, to learn whether that is there.
func (s *Session) denial(ctx context.Context, cause error) error {
	e := s.fail(Rights, "", cause)
	e.Missing = []string{GetChanges, GetChangesAll}
	if _, err := s.change(ctx, s.single(s.controller.Root), usual, []attribute{objectSID}); err == nil {
		e.Missing = e.Missing[1:]
	}
	for _, right := range e.Missing {
		name := rightNames[right]
		e.Detail += map[bool]string{true: "it lacks ", false: " and "}[e.Detail == ""] + fmt.Sprintf("%q (%s)", name[0], right)
		e.Grant = append(e.Grant, fmt.Sprintf(`dsacls "%s" /G "%s:CA;%s"`, s.controller.RootDN, s.config.Connection.User, name[0]))
		trustee := access.SID(s.account.SID).String()
		if trustee == "" {
			trustee = "SID-OF-THE-ACCOUNT"
		}
		e.Grant = append(e.Grant, fmt.Sprintf(`samba-tool dsacl set --objectdn="%s" --sddl="(OA;;CR;%s;;%s)"`, s.controller.RootDN, right, trustee))
	}
	return e
}

// RightName is the name by which dsacls knows a right, of those in [Error.Missing].
func RightName(right string) string { return rightNames[right][0] }
