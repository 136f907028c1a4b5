package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// betweenLooks keeps to what the log's interface allows, which is 5 requests in 10 seconds.
const betweenLooks = 2500 * time.Millisecond

// provision sends everybody, and returns what the log tells of each number.
func (c *client) provision(ctx context.Context, people []person, today time.Time) (map[string]*outcome, error) {
	if err := c.signIn(ctx); err != nil {
		return nil, err
	}
	var log string
	var since time.Time
	for part := range slices.Chunk(people, atOnce) {
		header, _, err := c.call(ctx, http.MethodPost, c.BulkUpload, bulk(part, today))
		if err != nil {
			return nil, fmt.Errorf("sending %s and %d more: %w", part[0].ID, len(part)-1, err)
		}
		log = header.Get("Location")
		if at, err := http.ParseTime(header.Get("Date")); err == nil && since.IsZero() {
			since = at // by the tenant's clock: the log's entries since then are about what was sent now
		}
	}
	return c.follow(ctx, log, since, people)
}

// follow reads the log until it has told of everybody.
func (c *client) follow(ctx context.Context, log string, since time.Time, people []person) (map[string]*outcome, error) {
	address, err := sinceThen(log, since)
	if err != nil {
		return nil, err
	}
	for {
		entries, err := c.entries(ctx, address)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("reading the provisioning log: %w", err)
		}
		outcomes, missing := outcomesOf(entries, people)
		if missing == 0 {
			return outcomes, nil
		}
		if err == nil {
			err = c.wait(ctx, betweenLooks)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("the log has not told of %d of %d people in time: run it again, which does nothing twice", missing, len(people))
		}
		if err != nil {
			return nil, err
		}
	}
}

// sinceThen narrows the address of the log to entries since a time.
func sinceThen(log string, since time.Time) (string, error) {
	u, err := url.Parse(log)
	if err != nil || log == "" {
		return "", fmt.Errorf("the tenant does not say where its log is: Location %q", log)
	}
	q := u.Query()
	q.Set("$filter", q.Get("$filter")+" and activityDateTime ge "+since.UTC().Format(time.RFC3339))
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// entry is what is used of a line of the log.
type entry struct {
	Action string `json:"provisioningAction"`
	Source struct {
		ID string `json:"id"`
	} `json:"sourceIdentity"`
	Target struct {
		Details struct{ UserPrincipalName string } `json:"details"`
	} `json:"targetIdentity"`
	Status struct {
		Status string                              `json:"status"`
		Error  *struct{ ErrorCode, Reason string } `json:"errorInformation"`
	} `json:"provisioningStatusInfo"`
	Steps []struct {
		Details map[string]string `json:"details"`
	} `json:"provisioningSteps"`
	Modified []struct{ DisplayName string } `json:"modifiedProperties"`
}

// entries reads all pages of the log, and returns its lines oldest first.
func (c *client) entries(ctx context.Context, address string) ([]entry, error) {
	var out []entry
	for address != "" {
		_, body, err := c.call(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, err
		}
		var page struct {
			Value []entry
			Next  string `json:"@odata.nextLink"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, fmt.Errorf("the log is no JSON: %w", err)
		}
		out = append(out, page.Value...)
		address = page.Next
	}
	slices.Reverse(out)
	return out, nil
}

// outcome is what became of a person.
type outcome struct {
	action, status, reason string
	name                   string   // sign-in name in the tenant
	changed                []string // properties
	without                string   // the number of a manager who is not there
}

// outcomesOf puts the log's lines together by person. missing counts those of whom it does not tell yet.
func outcomesOf(entries []entry, people []person) (out map[string]*outcome, missing int) {
	out = map[string]*outcome{}
	for _, e := range entries {
		o := out[e.Source.ID]
		if o == nil {
			o = &outcome{action: e.Action, status: e.Status.Status}
			out[e.Source.ID] = o
		}
		o.take(e)
	}
	for _, p := range people {
		if out[p.ID] == nil {
			missing++
		}
	}
	return out, missing
}

// take adds a line: a manager who came later has one of its own.
func (o *outcome) take(e entry) {
	o.name = e.Target.Details.UserPrincipalName
	if e.Status.Status == "success" && o.status == "skipped" {
		o.action, o.status = e.Action, e.Status.Status
	}
	if e.Status.Error != nil {
		o.status, o.reason = e.Status.Status, e.Status.Error.Reason
	}
	for _, m := range e.Modified {
		o.changed = append(o.changed, m.DisplayName)
		if m.DisplayName == "manager" {
			o.without = ""
		}
	}
	for _, s := range e.Steps {
		if s.Details["SkipReason"] == "UnableToResolveReferenceAttributeValue" {
			for number, what := range s.Details {
				if what == "manager Add" {
					o.without = number
				}
			}
		}
	}
}

func (o *outcome) failed() bool { return o.status == "failure" }

// changes lists what was changed; that somebody may sign in now, or may no more, comes first.
func (o *outcome) changes() string {
	rest := slices.DeleteFunc(slices.Clone(o.changed), func(name string) bool { return name == "accountEnabled" })
	var parts []string
	switch {
	case o.action == "disable":
		parts = append(parts, "disabled")
	case len(rest) < len(o.changed):
		parts = append(parts, "enabled")
	}
	if len(rest) > 0 {
		parts = append(parts, "changed: "+strings.Join(rest, ", "))
	}
	return strings.Join(parts, "; ")
}

// String puts an outcome into words.
func (o *outcome) String() string {
	text := ""
	switch {
	case o.failed():
		return "FAILED: " + o.reason
	case o.status == "skipped":
		text = "nothing to do"
	case o.action == "create":
		text = "created as " + o.name
	default:
		text = o.changes()
	}
	if o.without != "" {
		text += " (without a manager until " + o.without + " is there)"
	}
	return text
}
