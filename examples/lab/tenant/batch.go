package tenant

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// BatchLimit is the most parts of one $batch.
// See https://learn.microsoft.com/graph/json-batching.
const BatchLimit = 20

type batchPart struct {
	ID        string            `json:"id"`
	Method    string            `json:"method"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	Body      json.RawMessage   `json:"body"`
	DependsOn []string          `json:"dependsOn"`
}

type batchAnswer struct {
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    any               `json:"body,omitempty"`
}

// batch performs the parts of a $batch, each after those it depends on; a part whose predecessor failed is answered 424.
func batch(f *front, c *call) (reply, error) {
	if c.part {
		return reply{}, plainBadRequest("A $batch cannot hold a $batch.")
	}
	parts, err := parseBatch(c.body)
	if err != nil {
		return reply{}, err
	}
	done := map[string]int{}
	answers := make([]batchAnswer, 0, len(parts))
	cut := false
	for _, p := range parts {
		var a batchAnswer
		if satisfied(p, done) {
			r := f.perform(c.partCall(p))
			cut = cut || r.cut
			a = batchAnswer{ID: p.ID, Status: r.status, Headers: partHeaders(r), Body: f.partBody(r, c)}
		} else {
			a = batchAnswer{ID: p.ID, Status: http.StatusFailedDependency, Headers: map[string]string{"Content-Type": contentType}, Body: wireError(&Error{Code: "FailedDependency", Message: "A request that this one depends on failed."}, c)}
		}
		done[p.ID] = a.Status
		answers = append(answers, a)
	}
	return reply{status: http.StatusOK, body: map[string]any{"responses": answers}, cut: cut}, nil
}

// contentType is Graph's of JSON documents.
const contentType = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"

// partHeaders are the headers of one part's answer. Microsoft's clients read the body by its Content-Type.
func partHeaders(r reply) map[string]string {
	h := map[string]string{"Cache-Control": "no-cache", "x-ms-resource-unit": "1", "OData-Version": "4.0"}
	if r.body != nil {
		h["Content-Type"] = contentType
	}
	for k, v := range r.header {
		h[k] = v
	}
	return h
}

func satisfied(p batchPart, done map[string]int) bool {
	for _, d := range p.DependsOn {
		if done[d] >= http.StatusBadRequest {
			return false
		}
	}
	return true
}

func (f *front) partBody(r reply, c *call) any {
	switch e := r.body.(type) {
	case *Error:
		return wireError(e, c)
	case nil:
		if r.raw != nil {
			return string(r.raw)
		}
		return nil
	default:
		return e
	}
}

// parseBatch checks a $batch body and puts its parts in an order that respects dependsOn.
func parseBatch(body []byte) ([]batchPart, error) {
	var in struct {
		Requests []batchPart `json:"requests"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, plainBadRequest("Invalid batch payload format.")
	}
	if len(in.Requests) == 0 || len(in.Requests) > BatchLimit {
		return nil, plainBadRequest(fmt.Sprintf("Number of batch request steps must be between 1 and %d.", BatchLimit))
	}
	ids := map[string]bool{}
	for _, p := range in.Requests {
		if p.ID == "" || p.Method == "" || p.URL == "" || ids[p.ID] {
			return nil, plainBadRequest("Each batch request needs a unique id, a method and a url.")
		}
		ids[p.ID] = true
		if hasBody(p) && !hasContentType(p) {
			return nil, plainBadRequest("Write request id : " + p.ID + " does not contain Content-Type header or body.")
		}
	}
	return inOrder(in.Requests, ids)
}

func hasBody(p batchPart) bool { return len(p.Body) > 0 && string(p.Body) != "null" }

func hasContentType(p batchPart) bool {
	for name := range p.Headers {
		if strings.EqualFold(name, "Content-Type") {
			return true
		}
	}
	return false
}

// inOrder sorts stably so that each part stands after those it depends on, and refuses cycles and unknown ids.
func inOrder(parts []batchPart, ids map[string]bool) ([]batchPart, error) {
	placed := map[string]bool{}
	out := make([]batchPart, 0, len(parts))
	for len(out) < len(parts) {
		before := len(out)
		for _, p := range parts {
			if placed[p.ID] {
				continue
			}
			ready := true
			for _, d := range p.DependsOn {
				if !ids[d] {
					return nil, plainBadRequest("The batch request '" + p.ID + "' depends on '" + d + "', which is not in the batch.")
				}
				ready = ready && placed[d]
			}
			if ready {
				placed[p.ID] = true
				out = append(out, p)
			}
		}
		if len(out) == before {
			return nil, plainBadRequest("The batch requests depend on each other in a circle.")
		}
	}
	return out, nil
}

func (c *call) partCall(p batchPart) *call {
	path, query, _ := strings.Cut(p.URL, "?")
	path = "/" + strings.TrimPrefix(path, "/")
	values, err := url.ParseQuery(query)
	if err != nil {
		values = url.Values{"$unreadable": {query}} // refused by the operation as an unknown option
	}
	header := http.Header{}
	for k, v := range p.Headers {
		header.Set(k, v)
	}
	part := &call{ctx: c.ctx, person: c.person, method: strings.ToUpper(p.Method), path: path, query: values, header: header, base: c.base, part: true, lab: c.lab}
	if hasBody(p) {
		part.body = p.Body
	}
	return part
}
