package tenant

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/examples/lab/tenant/odata"
)

// call is one Graph request, whether it came alone or as a part of a $batch.
type call struct {
	ctx    context.Context
	person string // id of the user whose token it carries; "" is the application
	method string
	path   string // below the version, or below /lab: /users/…
	query  url.Values
	header http.Header
	body   []byte
	base   string // https://host/v1.0, for links
	part   bool   // of a $batch
	lab    bool   // at the lab's door, and not at Graph
	ghost  bool   // its answer was lost earlier
	args   []string
	keys   []string // top-level ones of the body, sorted, once it was read as an object
}

// reply is the answer to a call.
type reply struct {
	status int
	header map[string]string
	body   any    // encoded as JSON; nil sends none
	raw    []byte // instead of body
	cut    bool   // no answer at all: the connection is cut
}

func failed(err error) reply {
	e, ok := err.(*Error)
	if !ok {
		e = &Error{Status: http.StatusInternalServerError, Code: "InternalServerError", Message: err.Error()}
	}
	return reply{status: e.Status, header: e.Header, body: e}
}

var noContent = reply{status: http.StatusNoContent}

func plainBadRequest(message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "BadRequest", Message: message}
}

// object reads the body as a JSON object.
func (c *call) object() (map[string]any, error) {
	if len(c.body) == 0 {
		return nil, plainBadRequest("Empty Payload. JSON content expected.")
	}
	var out map[string]any
	if err := json.Unmarshal(c.body, &out); err != nil || out == nil {
		return nil, plainBadRequest("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
	}
	c.keys = sortedKeys(out)
	return out, nil
}

// option reads a query option with or without its dollar, as Graph does.
func (c *call) option(name string) string {
	if v := c.query.Get("$" + name); v != "" {
		return v
	}
	return c.query.Get(name)
}

// prefers tells whether a Prefer header names the preference; value gives what stands after its equals sign.
func (c *call) prefers(name string) (value string, ok bool) {
	for _, line := range c.header.Values("Prefer") {
		for _, p := range strings.Split(line, ",") {
			k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
			if strings.EqualFold(k, name) {
				return strings.Trim(v, `" `), true
			}
		}
	}
	return "", false
}

// eventual tells whether the call has what advanced queries need.
// See https://learn.microsoft.com/graph/aad-advanced-queries.
func (c *call) eventual() bool {
	return strings.EqualFold(c.header.Get("ConsistencyLevel"), "eventual")
}

func (c *call) counts() bool { return strings.EqualFold(c.option("count"), "true") }

// selected reads $select and checks its names.
func (c *call) selected(kind Kind, extra ...string) ([]string, error) {
	text := c.option("select")
	if text == "" {
		return nil, nil
	}
	var out []string
	for _, name := range strings.Split(text, ",") {
		name = strings.TrimSpace(name)
		if schemas[kind].byName[name] == nil && !slices.Contains(extra, name) && !(kind == User && isExtension(name)) { // Graph leaves out extensions that it does not know
			return nil, plainBadRequest("Parsing OData Select and Expand failed: Could not find a property named '" + name + "' on type 'microsoft.graph." + string(kind) + "'.")
		}
		out = append(out, name)
	}
	return out, nil
}

// checkOptions refuses system query options that are unknown or not supported here.
func (c *call) checkOptions(allowed ...string) error {
	for _, name := range sortedKeys(c.query) {
		option, system := strings.CutPrefix(name, "$")
		if system && !slices.Contains(allowed, option) {
			return unsupportedQuery("The query option '%s' is not supported for this request.", name)
		}
	}
	return nil
}

// top reads $top: 1 to 999, default 100.
func (c *call) top() (int, error) {
	text := c.option("top")
	if text == "" {
		return 100, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 999 {
		return 0, unsupportedQuery("Invalid page size specified: '%s'. Must be between 1 and 999 inclusive.", text)
	}
	return n, nil
}

func (c *call) skip() (int, error) {
	text := c.option("skiptoken")
	if text == "" {
		return 0, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return 0, badRequest("Badly formed token.")
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < 0 {
		return 0, badRequest("Badly formed token.")
	}
	return n, nil
}

func skipToken(offset int) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(offset)))
}

// link repeats the call's address with its options and a skip token.
func (c *call) link(token string) string {
	q := url.Values{}
	for k, v := range c.query {
		if strings.TrimPrefix(k, "$") != "skiptoken" {
			q[k] = v
		}
	}
	q.Set("$skiptoken", token)
	return c.base + c.path + "?" + q.Encode()
}

// filter reads and checks $filter for a kind.
func (c *call) filter(kind Kind) (odata.Expr, error) {
	text := c.option("filter")
	if text == "" {
		return nil, nil
	}
	x, err := odata.Parse(text)
	if err != nil {
		return nil, plainBadRequest(err.Error())
	}
	odata.Walk(x, func(n odata.Expr) {
		if err == nil {
			err = c.checkFilter(kind, n)
		}
	})
	return x, err
}

// checkFilter refuses what Graph does not support on the property, or only as an advanced query.
func (c *call) checkFilter(kind Kind, n odata.Expr) error {
	advanced := c.eventual() && c.counts()
	switch x := n.(type) {
	case odata.Not:
		if !advanced {
			return unsupportedQuery("Operator 'not' is not supported because the required parameters might be missing. Try adding $count=true query parameter and ConsistencyLevel:eventual header.")
		}
	case odata.Any:
		return checkFilterPath(kind, x.Path, true)
	case odata.Compare:
		if (x.Op == odata.Ne || x.Op == odata.EndsWith) && !advanced {
			return unsupportedQuery("Operator '%s' is not supported because the required parameters might be missing. Try adding $count=true query parameter and ConsistencyLevel:eventual header.", x.Op)
		}
		if x.Op == odata.Contains {
			return unsupportedQuery("Function 'contains' is not supported.")
		}
		if x.Path != "" {
			return checkFilterPath(kind, x.Path, false)
		}
	}
	return nil
}

func checkFilterPath(kind Kind, path string, collection bool) error {
	name, _, nested := strings.Cut(path, "/")
	p := schemas[kind].byName[name]
	switch {
	case p == nil:
		return unsupportedQuery("Property '%s' does not exist as a declared property or extension property.", path)
	case nested && p.Type == edmExt && kind == User:
		return nil
	case !p.Filter || nested || collection != (p.Type == edmStrings):
		return unsupportedQuery("Unsupported or invalid query filter clause specified for property '%s' of resource '%s'.", path, kind.resource())
	}
	return nil
}
