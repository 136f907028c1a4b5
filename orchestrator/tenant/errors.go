package tenant

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Kinds of errors, for errors.Is. The HTTP status of a [GraphError] decides its kind.
var (
	// ErrUnreachable: no connection, no answer, or a failure of the service (5xx).
	ErrUnreachable = errors.New("the tenant cannot be reached")
	// ErrUnauthorized: Entra issued no token, or Graph did not accept it.
	ErrUnauthorized = errors.New("the tenant does not accept the credentials")
	// ErrForbidden: the application lacks a permission; the hint names it.
	ErrForbidden = errors.New("the application lacks a permission in the tenant")
	// ErrThrottled: Graph asked to slow down at each attempt of a read.
	ErrThrottled = errors.New("the tenant asks to slow down")
	// ErrGarbage: the answer is not in Graph's form; a proxy or a portal may have made it.
	ErrGarbage = errors.New("the answer is not Graph's")
	// ErrNotFound: Graph does not show the object, which may be too new to be seen (rule V2).
	ErrNotFound = errors.New("the tenant does not show the object")
	// ErrOutage: a full reading found far fewer objects than are known (rule D2). The cache was not changed.
	ErrOutage = errors.New("the tenant shows nothing where there was much")
)

// GraphError is a refusal by Graph, or a failure on the way to it.
type GraphError struct {
	Op        string // what was being done, with the object
	HTTP      int    // 0: no answer
	Code      string // Graph's error code
	Message   string // Graph's message, or the cause's
	RequestID string // to be quoted to Microsoft's support
	Hint      string // what the administrator can do
	Kind      error  // one of the kinds above, or nil
	Target    string // the property that Graph blames; empty: it names none
	Err       error  // the cause, if there was no answer
}

// Error returns what failed, Graph's facts about it, and what to do.
func (e *GraphError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Op, e.Message)
	var facts []string
	if e.HTTP != 0 {
		facts = append(facts, fmt.Sprintf("HTTP %d", e.HTTP))
	}
	if e.Code != "" {
		facts = append(facts, e.Code)
	}
	if e.RequestID != "" {
		facts = append(facts, "request-id "+e.RequestID)
	}
	if len(facts) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(facts, ", "))
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Is reports whether e is of a kind, for errors.Is.
func (e *GraphError) Is(target error) bool { return e.Kind != nil && target == e.Kind }

// Unwrap returns the cause.
func (e *GraphError) Unwrap() error { return e.Err }

// kindOf returns the kind of an HTTP status, or nil.
func kindOf(status int) error {
	switch {
	case status == http.StatusUnauthorized:
		return ErrUnauthorized
	case status == http.StatusForbidden:
		return ErrForbidden
	case status == http.StatusNotFound:
		return ErrNotFound
	case status == http.StatusTooManyRequests:
		return ErrThrottled
	case status >= 500 && status != http.StatusNotImplemented:
		return ErrUnreachable
	case status >= 300 && status < 400:
		return ErrGarbage
	}
	return nil
}

// errorBody is Graph's error document (https://learn.microsoft.com/graph/errors).
type errorBody struct {
	Error *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Details []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Target  string `json:"target"`
		} `json:"details"`
		Inner struct {
			RequestID string `json:"request-id"`
		} `json:"innerError"`
	} `json:"error"`
}

// graphError returns the error of an answer, and whether its body is a Graph error document.
func graphError(op string, status int, header http.Header, body []byte) (e *GraphError, ok bool) {
	e = &GraphError{Op: op, HTTP: status, Kind: kindOf(status), RequestID: header.Get("request-id")}
	var doc errorBody
	if json.Unmarshal(body, &doc) != nil || doc.Error == nil {
		e.Message = http.StatusText(status)
		return e, false
	}
	e.Code, e.Message = doc.Error.Code, doc.Error.Message
	for _, d := range doc.Error.Details {
		if e.Target == "" {
			e.Target = d.Target
		}
		if d.Code == "ObjectConflict" || d.Code == "ConflictingObjects" {
			e.Code, e.Target = d.Code, d.Target
		}
	}
	if e.RequestID == "" {
		e.RequestID = doc.Error.Inner.RequestID
	}
	return e, true
}

func garbage(op string, a *answer, cause error) *GraphError {
	return &GraphError{
		Op: op, HTTP: a.Status, Kind: ErrGarbage, Err: cause, RequestID: a.Header.Get("request-id"),
		Message: fmt.Sprintf("the answer cannot be read as Graph's: %v", cause),
		Hint:    "look for a proxy or a captive portal between this host and the tenant",
	}
}
