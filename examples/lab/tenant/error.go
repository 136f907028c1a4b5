package tenant

import (
	"fmt"
	"net/http"
)

// Error is a refusal in Graph's shape. It is what every rule of the Model returns.
// See https://learn.microsoft.com/graph/errors.
type Error struct {
	Status  int    // HTTP status
	Code    string // error.code
	Message string // error.message
	Details []Detail
	Header  map[string]string // extra headers of the answer, such as Location
}

// Detail is one entry of error.details.
type Detail struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Target  string `json:"target"`
}

// Error joins status, code and message.
func (e *Error) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message) }

// Is makes two refusals equal when status and code are.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Status == e.Status && t.Code == e.Code
}

// Kinds of refusal, for errors.Is.
var (
	ErrBadRequest       = &Error{Status: http.StatusBadRequest, Code: "Request_BadRequest"}
	ErrNotFound         = &Error{Status: http.StatusNotFound, Code: "Request_ResourceNotFound"}
	ErrUnsupportedQuery = &Error{Status: http.StatusBadRequest, Code: "Request_UnsupportedQuery"}
	ErrSyncStateGone    = &Error{Status: http.StatusGone, Code: "syncStateNotFound"}
)

func badRequest(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "Request_BadRequest", Message: fmt.Sprintf(format, args...)}
}

func invalidValue(kind Kind, property string) *Error {
	e := badRequest("Invalid value specified for property '%s' of resource '%s'.", property, kind.resource())
	e.Details = []Detail{{"InvalidValue", e.Message, property}}
	return e
}

func conflict(property string) *Error {
	e := badRequest("Another object with the same value for property %s already exists.", property)
	e.Details = []Detail{{"ObjectConflict", e.Message, property}}
	return e
}

func notFound(ref string) *Error {
	return &Error{Status: http.StatusNotFound, Code: "Request_ResourceNotFound",
		Message: fmt.Sprintf("Resource '%s' does not exist or one of its queried reference-property objects are not present.", ref)}
}

func unsupportedQuery(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "Request_UnsupportedQuery", Message: fmt.Sprintf(format, args...)}
}
