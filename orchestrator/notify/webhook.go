package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Headers of a webhook's requests. The signature is "sha256=" and the hexadecimal HMAC-SHA256, by the shared secret, of the timestamp (Unix seconds), a full stop and the
// body. A receiver compares it in constant time and refuses old timestamps, so that a message which was intercepted cannot be sent again later.
const (
	HeaderSignature = "Tandem-Signature"
	HeaderTimestamp = "Tandem-Timestamp"
	HeaderEvent     = "Tandem-Event"
	HeaderDelivery  = "Tandem-Delivery"
)

// Webhook posts messages as JSON.
type Webhook struct {
	URL    string // https; it may contain a secret, so it is in no error
	Secret []byte // signs; empty: nothing is signed
	CA     []byte // PEM roots instead of the system's
	Now    func() time.Time
}

// webhook is the channel of a checked Webhook.
type webhook struct {
	Webhook
	host   string
	client *http.Client
}

// NewWebhook checks w and returns its channel. It sends nothing.
func NewWebhook(w Webhook) (Channel, error) {
	u, err := url.Parse(w.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("the webhook's URL must begin with https:// and name a host")
	}
	roots, err := rootsOf(w.CA)
	if err != nil {
		return nil, err
	}
	return &webhook{Webhook: w, host: u.Host, client: &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // messages go only to the configured host
	}}, nil
}

func rootsOf(ca []byte) (*x509.CertPool, error) {
	if len(ca) == 0 {
		return nil, nil // the system's
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("the CA file holds no PEM certificate")
	}
	return roots, nil
}

// Name implements Channel.
func (w *webhook) Name() string { return "webhook" }

// Send implements Channel.
func (w *webhook) Send(ctx context.Context, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding a notification: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("webhook at %s: %w", w.host, bare(err))
	}
	at := strconv.FormatInt(w.Now().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Tandem")
	r.Header.Set(HeaderEvent, string(m.Event))
	r.Header.Set(HeaderDelivery, m.ID)
	r.Header.Set(HeaderTimestamp, at)
	if len(w.Secret) > 0 {
		r.Header.Set(HeaderSignature, Signature(w.Secret, at, body))
	}
	answer, err := w.client.Do(r)
	if err != nil {
		return fmt.Errorf("webhook at %s: %w", w.host, bare(err))
	}
	defer func() { _ = answer.Body.Close() }()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, 200)) // only for the message
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("webhook at %s: it answered %s %q", w.host, answer.Status, said)
	}
	return nil
}

// bare returns an error without the URL that net/http adds, since that may contain a secret.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// Signature returns the value of HeaderSignature for a timestamp and a body.
func Signature(secret []byte, timestamp string, body []byte) string {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(timestamp + "."))
	h.Write(body)
	return "sha256=" + hex.EncodeToString(h.Sum(nil))
}
