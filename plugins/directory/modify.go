package directory

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/plugins/directory/internal/write"
)

// WriteError tells why a modification was not answered by success. Kinds are found by errors.Is: [ErrNoSuchObject],
// [ErrNotPermitted], [ErrUnreachable], [ErrTimeout], and the context's.
type WriteError struct {
	// InDoubt is set when something was sent and no answer came: the modification may have been made.
	InDoubt bool
	// Code is LDAP's result (RFC 4511 4.1.9); zero without an answer.
	Code uint16
	// Diagnostic is what the controller says besides. Its head is a Win32 error in hexadecimal (MS-ADTS 3.1.1.3.1.9). It holds no value that was sent,
	// as far as controllers are known.
	Diagnostic string
	Cause      error
}

// Error says what failed.
func (e *WriteError) Error() string {
	switch {
	case e.InDoubt:
		return "the controller did not answer, and may have made the change: " + e.Cause.Error()
	case e.Code == 0:
		return "the change was not sent: " + e.Cause.Error()
	}
	return e.Cause.Error()
}

// Unwrap returns the cause.
func (e *WriteError) Unwrap() error { return e.Cause }

// Modify changes one object, addressed by its objectGUID. An error is a *[WriteError], which tells whether the change may have been made. Like every
// request it closes the connection when ctx ends before the answer.
//
// go-ldap takes values as strings and copies them into the packets that it sends: secrets stay in memory in these copies until they
// are collected, and cannot be cleared.
func (s *Session) Modify(ctx context.Context, m write.Modification) error {
	r := &ldap.ModifyRequest{DN: guidDN(m.Object)}
	for _, c := range m.Controls {
		r.Controls = append(r.Controls, control{oid: c.OID, value: c.Value})
	}
	for _, c := range m.Changes {
		values := make([]string, len(c.Values))
		for i, v := range c.Values {
			values[i] = string(v)
		}
		r.Changes = append(r.Changes, ldap.Change{Operation: uint(c.Op), Modification: ldap.PartialAttribute{Type: c.Attr, Vals: values}})
	}
	return s.write(ctx, "modify "+m.Object.String(), func() error { return s.conn.Modify(r) })
}

// Add makes one object. Its errors are those of [Session.Modify].
func (s *Session) Add(ctx context.Context, a write.Addition) error {
	r := &ldap.AddRequest{DN: a.DN}
	for _, at := range a.Attributes {
		values := make([]string, len(at.Values))
		for i, v := range at.Values {
			values[i] = string(v)
		}
		r.Attribute(at.Name, values)
	}
	return s.write(ctx, "add "+a.DN, func() error { return s.conn.Add(r) })
}

// Rename gives one object another name or another place. Its errors are those of [Session.Modify]. Whoever calls it looks afterwards whether it was that object: another one may
// have been given the DN meanwhile.
func (s *Session) Rename(ctx context.Context, m write.Rename) error {
	r := ldap.NewModifyDNRequest(m.DN, m.RDN, true, m.Parent)
	return s.write(ctx, "rename "+m.DN, func() error { return s.conn.ModifyDN(r) })
}

// Remove deletes one object, addressed by its objectGUID. Its errors are those of [Session.Modify].
func (s *Session) Remove(ctx context.Context, m write.Removal) error {
	r := ldap.NewDelRequest(guidDN(m.Object), nil)
	return s.write(ctx, "delete "+m.Object.String(), func() error { return s.conn.Del(r) })
}

// write sends one request that changes something.
func (s *Session) write(ctx context.Context, what string, send func() error) error {
	before := s.raw.sent.Load()
	err := s.do(ctx, func() error { return classify(send()) })
	if err == nil {
		return nil
	}
	e := &WriteError{Cause: fmt.Errorf("%s at %s: %w", what, s.controller.URL, err)}
	var answer *ldap.Error
	if errors.As(err, &answer) && answer.ResultCode < ldap.ErrorNetwork {
		e.Code, e.Diagnostic = answer.ResultCode, answer.Err.Error()
		return e
	}
	e.InDoubt = s.raw.sent.Load() != before
	return e
}

// counted counts what was written to a connection, so that a request that was never sent can be told from one without an answer.
type counted struct {
	net.Conn
	sent atomic.Int64
}

// Write implements net.Conn. It counts before it writes: a write that fails in its middle counts.
func (c *counted) Write(b []byte) (int, error) {
	c.sent.Add(int64(len(b)))
	return c.Conn.Write(b)
}
