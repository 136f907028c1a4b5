package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	abs "github.com/microsoft/kiota-abstractions-go"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
)

// Why an answer to a password event came too late, for errors.Is.
var (
	ErrEventAnswered = errors.New("the event was answered already")
	ErrEventExpired  = errors.New("the event's deadline is past")
)

// maxEventWait is the longest wait that the tenant accepts.
const maxEventWait = time.Minute

// PasswordEvents returns up to 30 password changes that wait to be written into the directory. If there are none, it waits for some, for up to wait in whole seconds. The tenant
// returns an event again until it is answered or its deadline is past. The caller wipes the events.
func (c *Client) PasswordEvents(ctx context.Context, wait time.Duration) ([]cloud.PasswordEvent, error) {
	const op = "ask for password changes"
	if err := c.open(ctx, DoorWriteback); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	wait = min(max(wait, 0), maxEventWait)
	r := c.patient()
	r.longer, r.secret = wait, true
	address := c.labPath("/writeback?wait=" + strconv.Itoa(int(wait/time.Second)))
	a, err := r.read(ctx, op, "", func() (*abs.RequestInformation, error) { return c.request(abs.GET, address, nil) })
	if err != nil {
		return nil, err
	}
	defer clear(a.Body)
	events, err := cloud.ParsePasswordEvents(a.Body)
	if err != nil {
		return nil, garbage(op, a, err)
	}
	return events, nil
}

// AnswerPasswordEvent sends the tenant how an event ended; message is for the tenant's journal, and users do not read it. It repeats after throttling and passing failures,
// which is harmless, since the first answer counts. Errors are ErrEventAnswered and ErrEventExpired, ErrNotFound for an event that the tenant does not know, and those of reads.
func (c *Client) AnswerPasswordEvent(ctx context.Context, id string, answer cloud.PasswordAnswer, message string) error {
	op := "answer the password change " + id
	if err := c.open(ctx, DoorWriteback); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	body, err := json.Marshal(map[string]string{"code": string(answer), "message": message})
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	attempts := 0
	_, err = c.patient().read(ctx, op, "", func() (*abs.RequestInformation, error) {
		attempts++
		return c.request(abs.POST, c.labPath("/writeback/"+url.PathEscape(id)), body)
	})
	var e *GraphError
	if !errors.As(err, &e) {
		return err
	}
	switch e.HTTP {
	case http.StatusConflict:
		if attempts > 1 {
			return nil // an earlier attempt of this call arrived, and its answer was lost
		}
		e.Kind = ErrEventAnswered
	case http.StatusGone:
		e.Kind = ErrEventExpired
	}
	return err
}
