package tenant

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	abs "github.com/microsoft/kiota-abstractions-go"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// maxAnswer bounds the memory that one answer can take.
const maxAnswer = 64 << 20

// answer is an HTTP answer with its whole body.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// request makes the SDK's description of a request. The path is below /v1.0, or a whole URL such as a delta link.
func (c *Client) request(method abs.HttpMethod, path string, body []byte) (*abs.RequestInformation, error) {
	if !strings.HasPrefix(path, "https://") {
		path = c.base + path
	}
	u, err := url.Parse(path)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if !strings.HasPrefix(u.String(), c.config.Endpoint+"/") { // never hand the token to another host
		return nil, fmt.Errorf("make request: %s is not at %s", u.Host, c.config.Endpoint)
	}
	r := abs.NewRequestInformation()
	r.Method = method
	r.SetUri(*u)
	r.Headers.Add("Accept", "application/json")
	if body != nil {
		r.SetStreamContentAndContentType(body, "application/json")
		r.Headers.Add("Content-Length", strconv.Itoa(len(body))) // without it, the adapter sends chunks
	}
	return r, nil
}

// exchange sends a request once through the SDK's adapter and reads the whole answer, regardless of its status.
func (c *Client) exchange(ctx context.Context, r *abs.RequestInformation) (*answer, error) {
	return c.exchangeWith(ctx, r, readAnswer)
}

func (c *Client) exchangeWith(ctx context.Context, r *abs.RequestInformation, read func(*http.Response) (*answer, error)) (*answer, error) {
	c.requests.Add(1)
	var got *answer
	handler := abs.NewRequestHandlerOption()
	handler.SetResponseHandler(func(response any, _ abs.ErrorMappings) (any, error) {
		a, err := read(response.(*http.Response))
		got = a
		return nil, err
	})
	r.AddRequestOptions([]abs.RequestOption{handler})
	if err := c.adapter.SendNoContent(ctx, r, nil); err != nil {
		return nil, err
	}
	if got == nil {
		return nil, errors.New("the request ended without an answer")
	}
	c.config.Alive(ctx)
	return got, nil
}

func readAnswer(r *http.Response) (*answer, error) {
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("read the answer: longer than %d bytes", maxAnswer)
	}
	return &answer{Status: r.StatusCode, Header: r.Header, Body: body}, nil
}

// readSecretAnswer reads an answer that contains secrets. Its body is the only copy, which the caller clears.
func readSecretAnswer(r *http.Response) (*answer, error) {
	defer r.Body.Close()
	var body secret.Buffer
	_, err := body.ReadFrom(io.LimitReader(r.Body, maxAnswer+1))
	if err == nil && len(body.Bytes()) > maxAnswer {
		err = fmt.Errorf("longer than %d bytes", maxAnswer)
	}
	if err != nil {
		body.Wipe()
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return &answer{Status: r.StatusCode, Header: r.Header, Body: body.Bytes()}, nil
}

// noteDate stores the difference between this host's clock and the tenant's.
func (c *Client) noteDate(h http.Header) {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		c.skew.Store(int64(c.config.Now().Sub(date)))
	}
}

// reader sends reads.
type reader struct {
	*Client
	attempts int           // of each read, at most
	longer   time.Duration // is added to the client's timeout
	secret   bool          // the answer contains secrets: its body is not copied
}

// patient returns a reader that repeats after throttling and passing failures. glance returns one that does not, for reads that follow a write.
func (c *Client) patient() reader { return reader{Client: c, attempts: 5} }
func (c *Client) glance() reader  { return reader{Client: c, attempts: 1} }

// read sends a read, and repeats it after throttling and passing failures. op is what is being done, for errors; need is the permission that it takes, for hints; build makes
// the request anew for each attempt.
func (c reader) read(ctx context.Context, op, need string, build func() (*abs.RequestInformation, error)) (*answer, error) {
	for attempt := 1; ; attempt++ {
		a, err := c.readOnce(ctx, op, need, build)
		if err == nil || attempt >= c.attempts || ctx.Err() != nil || !passing(err) {
			return a, err
		}
		pause := backoff(attempt)
		if a != nil {
			if asked, ok := retryAfter(a.Header.Get("Retry-After"), c.config.Now()); ok {
				pause = asked
			}
		}
		c.log.Debug("tenant read is tried again", "op", op, "attempt", attempt, "pause", pause, "error", err)
		if werr := c.config.Wait(ctx, pause); werr != nil {
			return nil, fmt.Errorf("%w; not tried again: %w", err, werr)
		}
	}
}

func (c reader) readOnce(ctx context.Context, op, need string, build func() (*abs.RequestInformation, error)) (*answer, error) {
	r, err := build()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout+c.longer)
	defer cancel()
	read := readAnswer
	if c.secret {
		read = readSecretAnswer
	}
	a, err := c.exchangeWith(ctx, r, read)
	if err != nil {
		return nil, unreachable(op, err)
	}
	if a.Status == http.StatusUnauthorized {
		c.tokens.renew()
	}
	if a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable {
		c.throttled.Add(1)
	}
	if a.Status < 200 || a.Status > 299 {
		e, _ := graphError(op, a.Status, a.Header, a.Body)
		if a.Status == http.StatusForbidden && need != "" {
			e.Hint = fmt.Sprintf(consent, need)
		}
		return a, e
	}
	return a, nil
}

// unreachable wraps the error of a request that got no answer. An error of the token is a GraphError already, and keeps its kind.
func unreachable(op string, err error) error {
	var e *GraphError
	if errors.As(err, &e) {
		return fmt.Errorf("%s: %w", op, err)
	}
	return &GraphError{Op: op, Kind: ErrUnreachable, Message: withoutAnswer(err), Err: err, Hint: connectionHint(err, "see that this host reaches the tenant's endpoint")}
}

// withoutAnswer returns why no answer came: the host and the cause, without the URL's query, which may be a page long.
func withoutAnswer(err error) string {
	var u *url.Error
	if !errors.As(err, &u) {
		return strings.Join(strings.Fields(err.Error()), " ")
	}
	host := u.URL
	if p, perr := url.Parse(u.URL); perr == nil {
		host = p.Host
	}
	cause := u.Err.Error()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		cause = "the connection was cut"
	case errors.Is(err, context.DeadlineExceeded):
		cause = "it stayed silent for too long"
	}
	return fmt.Sprintf("no answer from %s: %s", host, cause)
}

// connectionHint returns what an administrator can do about a request that got no answer.
func connectionHint(err error, otherwise string) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return "set tenant.tls.caFile to the CA of the endpoint if it is a private one; else look for a proxy that opens TLS"
	case errors.As(err, &name):
		return "write the endpoint with the name that its certificate holds"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the endpoint's certificate, and check this machine's clock"
	}
	return otherwise
}

// passing reports whether the same read may succeed soon. A token that Graph refused counts as passing, since the next attempt gets another one.
func passing(err error) bool {
	var e *GraphError
	if !errors.As(err, &e) {
		return false
	}
	return e.Kind == ErrThrottled || e.Kind == ErrUnreachable || e.HTTP == http.StatusUnauthorized && e.Err == nil
}

func backoff(attempt int) time.Duration { return 500 * time.Millisecond << (attempt - 1) }

// Bounds of Retry-After. Graph has asked for 0.249 s and always for one second; and a proxy must not be able to stop a run for a day.
const (
	minRetryAfter = 100 * time.Millisecond
	maxRetryAfter = 5 * time.Minute
)

// retryAfter reads the header in seconds, whole or decimal, or as a date (RFC 9110 10.2.3).
func retryAfter(s string, now time.Time) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, false
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(f) && f >= 0 {
		return clampRetry(time.Duration(min(f, maxRetryAfter.Seconds()) * float64(time.Second))), true
	}
	if date, err := http.ParseTime(s); err == nil {
		return clampRetry(date.Sub(now)), true
	}
	return 0, false
}

func clampRetry(d time.Duration) time.Duration { return min(max(d, minRetryAfter), maxRetryAfter) }

// get reads a JSON document below /v1.0 into out.
func (c reader) get(ctx context.Context, op, need, path string, out any) error {
	a, err := c.read(ctx, op, need, func() (*abs.RequestInformation, error) { return c.request(abs.GET, path, nil) })
	if err != nil {
		return err
	}
	return decode(op, a, out)
}

// post sends a reading POST, such as getByIds.
func (c reader) post(ctx context.Context, op, need, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	a, err := c.read(ctx, op, need, func() (*abs.RequestInformation, error) { return c.request(abs.POST, path, body) })
	if err != nil {
		return err
	}
	return decode(op, a, out)
}

func decode(op string, a *answer, out any) error {
	if err := json.Unmarshal(a.Body, out); err != nil {
		return garbage(op, a, err)
	}
	return nil
}

// list reads a collection with all its pages.
func list[T any](ctx context.Context, c reader, op, need, path string, each func(T)) error {
	for path != "" {
		var page struct {
			Value *[]T   `json:"value"`
			Next  string `json:"@odata.nextLink"`
		}
		a, err := c.read(ctx, op, need, func() (*abs.RequestInformation, error) { return c.request(abs.GET, path, nil) })
		if err != nil {
			return err
		}
		if err := decode(op, a, &page); err != nil {
			return err
		}
		if page.Value == nil {
			return garbage(op, a, errors.New("no value in a collection"))
		}
		for _, v := range *page.Value {
			each(v)
		}
		path = page.Next
	}
	return nil
}
