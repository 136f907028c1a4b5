package directory

import (
	"errors"
	"fmt"

	"github.com/go-ldap/ldap/v3"
)

// ResultError is the refusal of an operation as LDAP puts it.
type ResultError struct {
	// Code is the LDAP result code (RFC 4511 appendix A), such as ldap.LDAPResultNoSuchObject.
	Code uint16
	// Text is the diagnostic message. Where Active Directory starts it with a Windows error in eight hexadecimal digits,
	// so does this one.
	Text string
}

// Error gives code and text.
func (e *ResultError) Error() string {
	return fmt.Sprintf("LDAP result %d (%s): %s", e.Code, ldap.LDAPResultCodeMap[e.Code], e.Text)
}

func refuse(code uint16, format string, args ...any) error {
	return &ResultError{Code: code, Text: fmt.Sprintf(format, args...)}
}

// resultOf turns any error into what is sent to the client.
func resultOf(err error) (code uint16, text string) {
	if err == nil {
		return ldap.LDAPResultSuccess, ""
	}
	var r *ResultError
	if errors.As(err, &r) {
		return r.Code, r.Text
	}
	return ldap.LDAPResultOther, err.Error()
}
