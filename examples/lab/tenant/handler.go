package tenant

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tandem-sync/tandem/examples/lab/tenant/inbound"
)

// front is the tenant's HTTP face: authority, Graph and the lab's own door.
type front struct {
	model    *Model
	tenantID string
	clientID string
	secret   string
	labToken string

	tokens   *tokenStore
	faults   faultBook
	ghosts   ghostBook
	throttle throttle
	log      requestLog
	hand     inHand
	relay    *relay
	inbound  *inbound.Service
	granted  grants
	services serviceLimits
}

// settle lets happen what time has brought: deleted items end, and what HR systems sent is carried out.
func (f *front) settle() {
	f.model.Expire()
	f.inbound.Advance()
}

// bodyLimit is the largest request read, in bytes.
const bodyLimit = 4 << 20

// ServeHTTP sends a request to the part of the tenant that its path names.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !f.hand.enter() {
		panic(http.ErrAbortHandler)
	}
	defer f.hand.leave()
	path := r.URL.EscapedPath()
	switch {
	case path == "/":
		f.home(w)
	case strings.HasPrefix(path, "/v1.0/"):
		f.graph(w, r, strings.TrimPrefix(path, "/v1.0"), false)
	case strings.HasPrefix(path, "/lab/") && atDoor(strings.TrimPrefix(path, "/lab")) && !f.isLab(r):
		f.graph(w, r, strings.TrimPrefix(path, "/lab"), true)
	case strings.HasPrefix(path, "/lab/"):
		f.lab(w, r)
	case strings.HasPrefix(path, "/beta/"):
		writeError(w, r, &Error{Status: http.StatusNotFound, Code: "ResourceNotFound", Message: "This tenant serves Graph v1.0 only."})
	default:
		f.authority(w, r)
	}
}

// graph answers one request of the application or a person: to Graph, or at the lab's door.
func (f *front) graph(w http.ResponseWriter, r *http.Request, path string, lab bool) {
	g, ok := f.tokens.find(bearer(r), f.model.now())
	if !ok || !f.enabled(g.person) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="", authorization_uri="https://`+r.Host+`/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000"`)
		writeError(w, r, tokenError(bearer(r)))
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		writeError(w, r, err)
		return
	}
	f.settle()
	f.runGhosts(false)
	f.log.request()
	c := &call{ctx: r.Context(), person: g.person, method: r.Method, path: path, query: r.URL.Query(), header: r.Header, body: body, base: "https://" + r.Host + "/v1.0", lab: lab}
	write(w, r, f.perform(c))
}

// enabled reports whether a token's person may still use it; the application always may.
func (f *front) enabled(person string) bool {
	if person == "" {
		return true
	}
	o, err := f.model.Get(User, person)
	enabled, _ := o.Properties["accountEnabled"].(bool)
	return err == nil && enabled
}

func tokenError(token string) *Error {
	e := &Error{Status: http.StatusUnauthorized, Code: "InvalidAuthenticationToken", Message: "Access token has expired or is not yet valid."}
	if token == "" {
		e.Message = "Access token is empty."
	}
	return e
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// readBody reads a request's body, also compressed: Microsoft's SDKs compress unless told not to.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var in io.Reader = http.MaxBytesReader(w, r.Body, bodyLimit)
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, plainBadRequest("The body is not gzip, as its Content-Encoding says.")
		}
		in = io.LimitReader(z, bodyLimit+1)
	}
	body, err := io.ReadAll(in)
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) || len(body) > bodyLimit {
		return nil, &Error{Status: http.StatusRequestEntityTooLarge, Code: "RequestEntityTooLarge", Message: "The request body is too large."}
	}
	if err != nil {
		return nil, plainBadRequest("The request body could not be read.")
	}
	return body, nil
}

// perform takes a call through throttling and faults to its operation.
func (f *front) perform(c *call) reply {
	r, err := routeFor(c)
	if err != nil {
		return failed(err)
	}
	denied, units := f.throttle.admit(f.model.now(), c, r, f.clientID, f.tenantID)
	if denied != nil {
		f.log.record(f.model.now(), c, r, denied.status, "limit", false)
		return *denied
	}
	if denied := f.services.admit(f.model.now(), c, r); denied != nil {
		f.log.record(f.model.now(), c, r, denied.status, "limit", false)
		return *denied
	}
	out := f.strikeOr(c, r)
	if units != "" && !out.cut {
		if out.header == nil {
			out.header = map[string]string{}
		}
		out.header["x-ms-resource-unit"] = units
	}
	return out
}

// execute performs the operation and logs it.
func (f *front) execute(c *call, r *route, fault string, lost bool) reply {
	out, err := reply{}, f.admits(r, c)
	if err == nil {
		out, err = r.serve(f, c)
	}
	if err != nil {
		out = failed(err)
	}
	f.log.record(f.model.now(), c, r, out.status, fault, lost)
	return out
}

// write sends a reply, or cuts the connection when there is to be none.
func write(w http.ResponseWriter, r *http.Request, out reply) {
	if out.cut {
		panic(http.ErrAbortHandler) // net/http's own way to drop a connection without an answer
	}
	h := w.Header()
	h.Set("request-id", uuid.NewString())
	h.Set("client-request-id", clientRequestID(r.Header))
	h.Set("OData-Version", "4.0")
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Type", contentType)
	for k, v := range out.header {
		h.Set(k, v)
	}
	body := out.raw
	if e, ok := out.body.(*Error); ok {
		body = encode(errorBody(e, h.Get("request-id"), h.Get("client-request-id")))
	} else if out.body != nil {
		body = encode(out.body)
	}
	if body == nil {
		h.Del("Content-Type")
	}
	w.WriteHeader(out.status)
	_, _ = w.Write(body) // a client that went away is no concern of ours
}

func encode(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("tenant: an answer that does not encode: " + err.Error()) // answers are maps of plain JSON values
	}
	return raw
}

func clientRequestID(h http.Header) string {
	if id := h.Get("client-request-id"); id != "" {
		return id
	}
	return uuid.NewString()
}

func errorBody(e *Error, requestID, clientID string) map[string]any {
	inner := map[string]any{"date": time.Now().UTC().Format("2006-01-02T15:04:05"), "request-id": requestID, "client-request-id": clientID}
	body := map[string]any{"code": e.Code, "message": e.Message, "innerError": inner}
	if len(e.Details) > 0 {
		body["details"] = e.Details
	}
	return map[string]any{"error": body}
}

func wireError(e *Error, c *call) map[string]any {
	return errorBody(e, uuid.NewString(), clientRequestID(c.header))
}

func writeError(w http.ResponseWriter, r *http.Request, err error) { write(w, r, failed(err)) }

// wait sleeps on the wire's behalf: a slow answer, ended early by the client's leaving.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
