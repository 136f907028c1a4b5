package tenant

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"
)

// RequestRecord is one write request as the tenant saw it.
type RequestRecord struct {
	Seq    int64     `json:"seq"`
	At     time.Time `json:"at"` // on the model's clock
	Method string    `json:"method"`
	Path   string    `json:"path"`           // with version and query
	Status int       `json:"status"`         // 0 when there was neither effect nor answer
	Keys   []string  `json:"keys,omitempty"` // top-level keys of the body; values are not kept
	Batch  bool      `json:"batch,omitempty"`
	Ghost  bool      `json:"ghost,omitempty"` // took effect after its answer was lost
	Fault  string    `json:"fault,omitempty"` // the fault's kind, or "limit" for a throttling limit
	Lost   bool      `json:"lost,omitempty"`  // the client got no answer
}

// Counters count since the start or the last reset. Parts of a $batch count as operations of their own.
type Counters struct {
	Requests   int64         `json:"requests"`   // HTTP requests to Graph
	Operations int64         `json:"operations"` // requests and parts of batches
	Writes     int64         `json:"writes"`
	Reads      int64         `json:"reads"`
	Throttled  int64         `json:"throttled"` // answered 429
	Failed     int64         `json:"failed"`    // answered 400 and above, 429 included
	Lost       int64         `json:"lost"`
	ByStatus   map[int]int64 `json:"byStatus"`
}

// recordLimit bounds the log of writes; the oldest half goes when it is full.
const recordLimit = 200_000

type requestLog struct {
	mu       sync.Mutex
	seq      int64
	all      int64 // requests ever, not reset
	records  []RequestRecord
	counters Counters
}

func (l *requestLog) request() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all++
	l.counters.Requests++
}

func (l *requestLog) total() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

func (l *requestLog) record(now time.Time, c *call, r *route, status int, fault string, lost bool) {
	if len(r.pattern) == 1 && r.pattern[0] == "$batch" && fault == "" {
		return // its parts are recorded
	}
	keys := c.keys
	if r.write && keys == nil {
		keys = bodyKeys(c.body)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(r, status, lost)
	if !r.write {
		return
	}
	l.seq++
	if len(l.records) >= recordLimit {
		l.records = slices.Clone(l.records[recordLimit/2:])
	}
	l.records = append(l.records, RequestRecord{l.seq, now, c.method, c.address(), status, keys, c.part, c.ghost, fault, lost})
}

func (l *requestLog) count(r *route, status int, lost bool) {
	n := &l.counters
	n.Operations++
	if r.write {
		n.Writes++
	} else {
		n.Reads++
	}
	if status == http.StatusTooManyRequests {
		n.Throttled++
	}
	if status >= http.StatusBadRequest {
		n.Failed++
	}
	if lost {
		n.Lost++
	}
	if n.ByStatus == nil {
		n.ByStatus = map[int]int64{}
	}
	n.ByStatus[status]++
}

func bodyKeys(body []byte) []string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return nil
	}
	return sortedKeys(fields)
}

func (l *requestLog) read() ([]RequestRecord, Counters) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.counters
	n.ByStatus = map[int]int64{}
	for k, v := range l.counters.ByStatus {
		n.ByStatus[k] = v
	}
	return slices.Clone(l.records), n
}

func (l *requestLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records, l.counters = nil, Counters{}
}
