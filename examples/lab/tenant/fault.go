package tenant

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// FaultKind says what goes wrong.
type FaultKind string

// The faults that a lab can order.
const (
	LostBefore   FaultKind = "lost-before"   // the connection is cut and nothing happened
	LostAfter    FaultKind = "lost-after"    // the request took effect, then the connection is cut
	Ghost        FaultKind = "ghost"         // the connection is cut, and the request takes effect later
	Throttled    FaultKind = "throttled"     // 429 with RetryAfter
	Status       FaultKind = "status"        // an error answer with Status, Code and Message
	Garbage      FaultKind = "garbage"       // a page of HTML, or Body, where JSON was due
	Slow         FaultKind = "slow"          // the right answer, DelayMillis later
	ExpiredDelta FaultKind = "expired-delta" // 410 to a delta query that brings a token
)

// Fault is an order for something to go wrong with matching Graph requests, parts of a $batch included.
// It begins with the Nth match and strikes Count times; with Chance it strikes each match of those by a seeded draw.
type Fault struct {
	ID      string    `json:"id"`
	Kind    FaultKind `json:"kind"`
	Methods []string  `json:"methods,omitempty"` // none is all
	Path    string    `json:"path,omitempty"`    // regular expression on the path with its version and query, such as ^/v1.0/users; none is all
	Match   string    `json:"match,omitempty"`   // regular expression on the body; none is all
	Writes  bool      `json:"writes,omitempty"`  // only requests that write

	Nth    int     `json:"nth,omitempty"`    // the first match to strike, from 1; 0 is 1
	Count  int     `json:"count,omitempty"`  // how many matches to strike; 0 is 1, -1 is every one from then on
	Chance float64 `json:"chance,omitempty"` // 0 is certain
	Seed   uint64  `json:"seed,omitempty"`   // of the draws of Chance

	Status        int    `json:"status,omitempty"`        // of status and garbage
	Code          string `json:"code,omitempty"`          // error.code of status
	Message       string `json:"message,omitempty"`       // error.message of status
	RetryAfter    string `json:"retryAfter,omitempty"`    // sent as it stands: "7", "0.25"; none sends no header
	Body          string `json:"body,omitempty"`          // of garbage
	DelayMillis   int    `json:"delayMillis,omitempty"`   // of slow, on the wire's clock; of ghost, on the model's
	AfterRequests int    `json:"afterRequests,omitempty"` // of ghost: it takes effect before this many-th Graph request after
	Effect        bool   `json:"effect,omitempty"`        // status and garbage: the request takes effect all the same
}

type standingFault struct {
	Fault
	path, match *regexp.Regexp
	draw        *rand.Rand
	seen        int // matches
	struck      int
}

// faultBook holds the faults in force; the first that strikes a request wins.
type faultBook struct {
	mu    sync.Mutex
	next  int
	order []*standingFault
}

// FaultReport tells how often a fault matched and struck.
type FaultReport struct {
	Fault
	Matched int `json:"matched"`
	Struck  int `json:"struck"`
}

func (b *faultBook) add(f Fault) (string, error) {
	s := &standingFault{Fault: f, draw: rand.New(rand.NewPCG(f.Seed, 0))}
	if !slices.Contains([]FaultKind{LostBefore, LostAfter, Ghost, Throttled, Status, Garbage, Slow, ExpiredDelta}, f.Kind) {
		return "", badRequest("Unknown fault kind '%s'.", f.Kind)
	}
	var err error
	if s.path, err = regexp.Compile(f.Path); err == nil {
		s.match, err = regexp.Compile(f.Match)
	}
	if err != nil {
		return "", badRequest("Reading the fault's pattern: %v.", err)
	}
	if f.Kind == Status && (f.Status < 400 || f.Status > 599) || f.Kind == Garbage && f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		return "", badRequest("A fault's status must be an HTTP error, not %d.", f.Status)
	}
	if f.Chance < 0 || f.Chance > 1 || f.Nth < 0 || f.Count < -1 || f.DelayMillis < 0 || f.AfterRequests < 0 {
		return "", badRequest("A fault's chance lies between 0 and 1, and its numbers are not negative.")
	}
	s.Nth, s.Count = max(1, f.Nth), f.Count
	if s.Count == 0 {
		s.Count = 1
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.ID == "" {
		b.next++
		s.ID = fmt.Sprintf("fault-%d", b.next)
	}
	b.order = append(b.order, s)
	return s.ID, nil
}

// clear removes a fault, or all when id is empty.
func (b *faultBook) clear(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.order = slices.DeleteFunc(b.order, func(s *standingFault) bool { return id == "" || s.ID == id })
}

func (b *faultBook) report() []FaultReport {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := []FaultReport{}
	for _, s := range b.order {
		out = append(out, FaultReport{s.Fault, s.seen, s.struck})
	}
	return out
}

// strike finds the fault that hits a call.
func (b *faultBook) strike(c *call, r *route) (Fault, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.order {
		if s.hits(c, r) {
			return s.Fault, true
		}
	}
	return Fault{}, false
}

func (s *standingFault) hits(c *call, r *route) bool {
	if s.Writes && !r.write || len(s.Methods) > 0 && !containsFold(s.Methods, c.method) || !s.path.MatchString(c.address()) || !s.match.Match(c.body) {
		return false
	}
	if s.Kind == ExpiredDelta && c.option("deltatoken") == "" && c.option("skiptoken") == "" {
		return false
	}
	s.seen++
	if s.seen < s.Nth || s.Count > 0 && s.seen >= s.Nth+s.Count {
		return false
	}
	if s.Chance > 0 && s.draw.Float64() >= s.Chance {
		return false
	}
	s.struck++
	return true
}

// address is what a fault's Path is matched against.
func (c *call) address() string {
	a := "/v1.0" + c.path
	if c.lab {
		a = "/lab" + c.path
	}
	if len(c.query) > 0 {
		a += "?" + c.query.Encode()
	}
	return a
}

// strikeOr executes the call unless a fault has other plans.
func (f *front) strikeOr(c *call, r *route) reply {
	if c.ghost {
		return f.execute(c, r, string(Ghost), true)
	}
	fault, ok := f.faults.strike(c, r)
	if !ok {
		return f.execute(c, r, "", false)
	}
	kind := string(fault.Kind)
	switch fault.Kind {
	case LostAfter:
		out := f.execute(c, r, kind, true)
		out.cut = true
		return out
	case Slow:
		wait(c.ctx, time.Duration(fault.DelayMillis)*time.Millisecond)
		return f.execute(c, r, kind, false)
	case Ghost:
		f.ghosts.add(c, f.model.now().Add(time.Duration(fault.DelayMillis)*time.Millisecond), f.log.total(), fault)
	}
	if fault.Effect && (fault.Kind == Status || fault.Kind == Garbage) {
		f.execute(c, r, kind, true)
	} else {
		f.log.record(f.model.now(), c, r, fault.answered(), kind, fault.Kind == LostBefore || fault.Kind == Ghost)
	}
	return fault.reply(c)
}

func (t Fault) answered() int { return t.reply(nil).status }

// reply is what the client sees of a fault that keeps the request from being answered rightly.
func (t Fault) reply(c *call) reply {
	header := map[string]string{}
	if t.RetryAfter != "" {
		header["Retry-After"] = t.RetryAfter
	}
	switch t.Kind {
	case Throttled:
		return reply{status: http.StatusTooManyRequests, header: header, body: tooMany()}
	case Status:
		return reply{status: t.Status, header: header, body: t.refusal()}
	case Garbage:
		header["Content-Type"] = "text/html; charset=utf-8"
		status, page := t.Status, t.Body
		if status == 0 {
			status = http.StatusOK
		}
		if page == "" {
			page = "<!DOCTYPE html><html><head><title>Proxy</title></head><body><h1>Sign in to the network</h1></body></html>"
		}
		return reply{status: status, header: header, raw: []byte(page)}
	case ExpiredDelta:
		gone := &Error{Status: http.StatusGone, Code: "syncStateNotFound", Message: "The delta token is expired or unknown. Start again with a full synchronization."}
		if c == nil {
			return reply{status: gone.Status}
		}
		err := c.withRestart(gone, strings.Split(strings.Trim(c.path, "/"), "/")[0])
		return failed(err)
	}
	return reply{cut: true}
}

func (t Fault) refusal() *Error {
	defaults := map[int][2]string{
		400: {"Request_BadRequest", "The request is invalid."}, 401: {"InvalidAuthenticationToken", "Access token has expired or is not yet valid."},
		403: {"Authorization_RequestDenied", "Insufficient privileges to complete the operation."},
		404: {"Request_ResourceNotFound", "Resource does not exist or one of its queried reference-property objects are not present."},
		409: {"Directory_ConcurrencyViolation", "Another operation on the same object is in progress."},
		500: {"InternalServerError", "An error occurred."}, 503: {"ServiceUnavailable", "The service is temporarily unavailable."},
		504: {"UnknownError", "The gateway timed out."},
	}
	d := defaults[t.Status]
	if t.Code != "" {
		d[0] = t.Code
	}
	if t.Message != "" {
		d[1] = t.Message
	}
	return &Error{Status: t.Status, Code: d[0], Message: d[1]}
}

func tooMany() *Error {
	return &Error{Status: http.StatusTooManyRequests, Code: "TooManyRequests", Message: "Too many requests. Please try again later."}
}
