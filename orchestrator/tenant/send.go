package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"

	abs "github.com/microsoft/kiota-abstractions-go"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
)

const (
	maxBatch     = 20 // parts of a $batch; Graph takes no more
	sendParallel = 8  // requests in flight per call of Send
)

// Send makes one physical attempt of each write, and returns the results in the order of the writes. It never repeats or queues, and nothing goes on after it returned. The
// writes of a call are sent in any order; a second write for the same object is not sent. A write without an answer is in doubt, or not sent if nothing of it has left this
// machine.
func (c *Client) Send(ctx context.Context, writes []cloud.Write) []cloud.Result {
	results := make([]cloud.Result, len(writes))
	batches := c.batches(ctx, writes, results)
	places := make(chan struct{}, sendParallel)
	var all sync.WaitGroup
	for some := range slices.Chunk(passwordsIn(writes, results), cloud.MaxCredentials) {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			c.sendPasswords(ctx, writes, results, some)
		})
	}
	for _, b := range batches {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			c.sendBatch(ctx, writes, results, b)
		})
	}
	all.Wait()
	return results
}

// outgoing is one $batch that is to be sent.
type outgoing struct {
	path  string
	parts []part
	from  []int // for each part, the index of its write
}

// batches returns the requests of the writes that can be sent, in batches for Graph and for the lab's door. It sets the results of the others.
func (c *Client) batches(ctx context.Context, writes []cloud.Write, results []cloud.Result) (out []outgoing) {
	parts, from := c.parts(ctx, writes, results)
	for _, b := range []outgoing{{path: "/$batch"}, {path: c.labPath("/$batch")}} {
		for i, p := range parts {
			if p.lab != (b.path != "/$batch") {
				continue
			}
			if b.parts, b.from = append(b.parts, p), append(b.from, from[i]); len(b.parts) == maxBatch {
				out = append(out, b)
				b.parts, b.from = nil, nil
			}
		}
		if len(b.parts) > 0 {
			out = append(out, b)
		}
	}
	return out
}

// parts returns the requests of the writes that can be sent, with the index of the write of each. It sets the results of the others.
func (c *Client) parts(ctx context.Context, writes []cloud.Write, results []cloud.Result) (parts []part, from []int) {
	busy := map[string]bool{}
	for i, w := range writes {
		if w.Op == cloud.SetPassword {
			continue // sendPasswords sends these
		}
		p, err := c.partOf(w)
		if err != nil {
			results[i] = cloud.Result{Status: cloud.Rejected, Code: cloud.CodeImpossible, Message: err.Error()}
			continue
		}
		if refused := c.barred(ctx, p); refused != nil {
			results[i] = *refused
			continue
		}
		if object := w.CloudID + w.Anchor + w.Key; busy[object] {
			results[i] = cloud.Result{Status: cloud.NotSent, Message: "another write of the same object is in this call"}
			continue
		} else {
			busy[object] = true
		}
		p.ID = strconv.Itoa(i)
		parts, from = append(parts, p), append(from, i)
	}
	return parts, from
}

// barred returns the result of a request that cannot be sent to this tenant; nil: it can.
func (c *Client) barred(ctx context.Context, p part) *cloud.Result {
	if !p.lab {
		return nil
	}
	switch open, err := c.Door(ctx, DoorContacts); {
	case err != nil:
		return &cloud.Result{Status: cloud.NotSent, Message: err.Error()}
	case !open:
		return &cloud.Result{Status: cloud.Rejected, Code: cloud.CodeImpossible, Message: noContacts}
	}
	return nil
}

// sendBatch sends one $batch and sets the results of its writes.
func (c *Client) sendBatch(ctx context.Context, writes []cloud.Write, results []cloud.Result, b outgoing) {
	outer, answers := c.attempt(ctx, b)
	for _, i := range b.from {
		if outer != nil {
			results[i] = *outer
			continue
		}
		a, answered := answers[strconv.Itoa(i)]
		if !answered {
			results[i] = cloud.Result{Status: cloud.InDoubt, Message: "the batch was answered without this write"}
			continue
		}
		results[i] = c.classify(writes[i], a)
	}
	for _, i := range b.from {
		c.followUp(ctx, writes[i], &results[i])
	}
}

// partAnswer is the answer to one part of a batch.
type partAnswer struct {
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

// attempt sends a batch of writes once. It returns the answers of the parts, or one result for all (outer).
func (c *Client) attempt(ctx context.Context, b outgoing) (outer *cloud.Result, answers map[string]partAnswer) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	if _, err := c.tokens.get(ctx); err != nil {
		return &cloud.Result{Status: cloud.NotSent, Message: err.Error()}, nil
	}
	body, err := json.Marshal(map[string]any{"requests": b.parts})
	if err != nil {
		return &cloud.Result{Status: cloud.NotSent, Message: err.Error()}, nil
	}
	r, err := c.request(abs.POST, b.path, body)
	if err != nil {
		return &cloud.Result{Status: cloud.NotSent, Message: err.Error()}, nil
	}
	c.writes.Add(uint64(len(b.parts)))
	var d departure
	a, err := c.exchange(d.trace(ctx), r)
	if err != nil {
		if d.nothingLeft(ctx) {
			return &cloud.Result{Status: cloud.NotSent, Message: err.Error()}, nil
		}
		return &cloud.Result{Status: cloud.InDoubt, Message: err.Error()}, nil
	}
	if a.Status != http.StatusOK {
		return c.wholeBatch(a, len(b.parts)), nil
	}
	answers, err = readBatch(a.Body)
	if err != nil {
		return &cloud.Result{Status: cloud.InDoubt, HTTP: a.Status, RequestID: a.Header.Get("request-id"), Message: err.Error()}, nil
	}
	return nil, answers
}

// readBatch returns the answers in the answer of a batch, by id. A part with two answers counts as unanswered.
func readBatch(body []byte) (map[string]partAnswer, error) {
	var doc struct {
		Responses []partAnswer `json:"responses"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("the answer of the batch cannot be read: %w", err)
	}
	if doc.Responses == nil {
		return nil, errors.New("the answer of the batch holds no responses")
	}
	answers, twice := map[string]partAnswer{}, map[string]bool{}
	for _, a := range doc.Responses {
		_, seen := answers[a.ID]
		twice[a.ID] = twice[a.ID] || seen
		answers[a.ID] = a
	}
	for id, t := range twice {
		if t {
			delete(answers, id)
		}
	}
	return answers, nil
}
