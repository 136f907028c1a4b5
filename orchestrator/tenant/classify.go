package tenant

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// defaultRetryAfter is the pause after a throttled answer without Retry-After.
const defaultRetryAfter = 10 * time.Second

// wholeBatch classifies an answer to the batch itself other than 200: none of its parts has an answer of its own.
func (c *Client) wholeBatch(a *answer, parts int) *cloud.Result {
	e, graphs := graphError("send a batch", a.Status, a.Header, a.Body)
	r := &cloud.Result{Status: refusal(a.Status, graphs || a.Header.Get("Retry-After") != ""), HTTP: a.Status, Code: e.Code,
		Message: e.Message, RequestID: e.RequestID}
	switch {
	case a.Status == http.StatusUnauthorized:
		c.tokens.renew() // before the next attempt, which the gate decides about
		r.Status = cloud.NotSent
	case a.Status >= 300 && a.Status < 400:
		r.Status = cloud.NotSent // a proxy or portal answered; a write never follows a redirect
		r.Message = "redirected to " + a.Header.Get("Location")
	case r.Status == cloud.Throttled:
		c.throttled.Add(uint64(parts))
		r.RetryAfter = c.pause(a.Header.Get("Retry-After"))
	case a.Status == http.StatusForbidden:
		r.Message += "; grant the application permissions that `tandem check` lists"
	}
	return r
}

// refusal returns the status of an answer that is no success. Only a write that certainly had no effect is rejected or throttled. A gateway may answer 503 after the effect, so
// 503 counts only if the answer is the service's own: it contains a Graph error or a Retry-After.
func refusal(status int, own bool) cloud.Status {
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && own:
		return cloud.Throttled
	case status == http.StatusRequestTimeout:
		return cloud.InDoubt
	case status >= 400 && status < 500, status == http.StatusNotImplemented:
		return cloud.Rejected
	}
	return cloud.InDoubt
}

func (c *Client) pause(header string) time.Duration {
	if d, ok := retryAfter(header, c.config.Now()); ok {
		return d
	}
	return defaultRetryAfter
}

// classify makes the result of one part.
func (c *Client) classify(w cloud.Write, a partAnswer) cloud.Result {
	header := http.Header{}
	for k, v := range a.Headers {
		header.Set(k, v)
	}
	if a.Status >= 200 && a.Status < 300 {
		return done(w, a, header)
	}
	e, graphs := graphError(string(w.Op), a.Status, header, a.Body)
	r := cloud.Result{
		Status: refusal(a.Status, graphs || header.Get("Retry-After") != ""), HTTP: a.Status, Code: e.Code, Message: e.Message, RequestID: e.RequestID,
	}
	switch {
	case r.Status == cloud.Throttled:
		c.throttled.Add(1)
		r.RetryAfter = c.pause(header.Get("Retry-After"))
	case a.Status == http.StatusUnauthorized:
		c.tokens.renew()
		r.Status = cloud.NotSent
	case a.Status == http.StatusNotFound:
		notFound(w, &r)
	case r.Status == cloud.Rejected:
		rejected(w, e, &r)
	}
	if r.Status == cloud.Rejected {
		blame(w, e, &r)
	}
	return r
}

// blame sets the attribute or the end that the refusal is about, so that it alone fails (standing S6).
func blame(w cloud.Write, e *GraphError, r *cloud.Result) {
	if _, property, told := strings.Cut(r.Code, cloud.CodeConflict+":"); told {
		r.Attribute = property
	} else if e.Target != "" {
		r.Attribute = e.Target
	} else {
		r.Attribute = namedProperty(w, e.Message)
	}
	if _, set := w.Set[r.Attribute]; !set && r.Attribute == attribute.ProxyAddresses {
		r.Attribute = cloud.Mail // the tenant keeps mail among the proxyAddresses
	}
	for _, id := range w.Refs {
		if strings.Contains(e.Message, id) {
			r.End = id
		}
	}
}

// namedProperty returns the property of the write that Graph's message names; empty: it names none, or several.
func namedProperty(w cloud.Write, message string) string {
	found := ""
	for name := range w.Set {
		if !strings.Contains(message, "'"+name+"'") && !strings.Contains(message, "Property "+name+" ") {
			continue
		}
		if found != "" {
			return ""
		}
		found = name
	}
	return found
}

func done(w cloud.Write, a partAnswer, header http.Header) cloud.Result {
	r := cloud.Result{Status: cloud.Done, HTTP: a.Status, CloudID: w.CloudID, RequestID: header.Get("request-id")}
	if w.Op == cloud.Create {
		r.CloudID = idOf(a.Body)
	}
	return r
}

func idOf(body []byte) string {
	var o raw
	if unmarshal(body, &o) != nil {
		return ""
	}
	return o.text("id")
}

// notFound sets the result of a 404. For a removal it is success (rule X3). Otherwise the object or an object that it should refer to is missing; Graph's message names which.
func notFound(w cloud.Write, r *cloud.Result) {
	if w.Op == cloud.Delete || w.Op == cloud.RemoveMember || w.Op == cloud.ClearManager {
		r.Status, r.CloudID = cloud.Done, w.CloudID
		return
	}
	named := func(id string) bool { return strings.Contains(r.Message, id) }
	if len(w.Refs) > 0 && !named(w.CloudID) && slices.ContainsFunc(w.Refs, named) {
		r.Code = cloud.CodeReferenceMissing
		return
	}
	r.Missing = true
}

// rejected recognizes by Graph's messages the refusals to which the gate reacts, and sets their codes.
func rejected(w cloud.Write, e *GraphError, r *cloud.Result) {
	words := strings.ToLower(e.Message)
	switch {
	case w.Op == cloud.AddMembers && strings.Contains(words, "already exist") && len(w.Refs) == 1:
		r.Status, r.Code, r.CloudID = cloud.Done, cloud.CodeAlreadyMember, w.CloudID // the reference is there, as wanted
	case w.Op == cloud.AddMembers && strings.Contains(words, "already exist"):
		r.Code = cloud.CodeAlreadyMember
	case len(w.Refs) > 0 && (strings.Contains(words, "doesn't exist") || strings.Contains(words, "does not exist")):
		r.Code = cloud.CodeReferenceMissing // the object may be too new to be seen
	case e.HTTP == http.StatusConflict, e.Code == "ObjectConflict", e.Code == "ConflictingObjects",
		strings.Contains(words, "same value for property"):
		r.Conflict, r.Code = true, conflictCode(e)
	case e.HTTP == http.StatusForbidden:
		r.Message += "; " + forbiddenHint(w)
	}
}

// conflictCode returns the code of a conflict, with the property that Graph blames if it names one.
func conflictCode(e *GraphError) string {
	for _, name := range append([]string{e.Target}, attribute.Keys()...) {
		if name != "" && (name == e.Target || strings.Contains(e.Message, name)) {
			return cloud.CodeConflict + ":" + name
		}
	}
	return cloud.CodeConflict
}

func forbiddenHint(w cloud.Write) string {
	need := permUser
	switch {
	case w.Op == cloud.AddMembers || w.Op == cloud.RemoveMember:
		need = permMember
	case w.Kind == scoping.Group:
		need = permGroup
	case w.Op == cloud.Restore:
		need = permRestore
	}
	return "it takes the application permission " + need + ", and for objects that hold directory roles a role as well"
}
