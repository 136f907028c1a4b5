package notify_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/notify"
)

func message() notify.Message {
	return notify.Message{Version: 1, ID: "0199-aa", At: "2026-11-29T22:00:00Z", Event: alarm.Failed, Cause: "directory contoso", Level: alarm.Outage, Message: "directory contoso was not reached\r\nBcc: everybody@contoso.test",
		Hint: "tandem check", Also: []string{"engine connect did not complete a run"}, Host: "sync1"}
}

// hook is a webhook's receiver, over TLS.
func hook(t *testing.T, serve http.HandlerFunc) (*httptest.Server, []byte) {
	s := httptest.NewTLSServer(serve)
	t.Cleanup(s.Close)
	return s, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func TestAWebhookIsSignedOverItsTimestampAndBody(t *testing.T) {
	secret := []byte("shared")
	var got notify.Message
	s, ca := hook(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := hmac.New(sha256.New, secret) // as a receiver would, from the documentation alone
		h.Write([]byte(r.Header.Get("Tandem-Timestamp") + "." + string(body)))
		if want := "sha256=" + hex.EncodeToString(h.Sum(nil)); r.Header.Get("Tandem-Signature") != want || r.Header.Get("Tandem-Timestamp") != fmt.Sprint(start.Unix()) {
			t.Errorf("the signature is %q, want %q", r.Header.Get("Tandem-Signature"), want)
		}
		if r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Tandem-Event") != "failed" || r.Header.Get("Tandem-Delivery") != "0199-aa" {
			t.Errorf("headers: %v", r.Header)
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
	})
	c, err := notify.NewWebhook(notify.Webhook{URL: s.URL + "/hooks/T0P-secret", Secret: secret, CA: ca, Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	if want := message(); got.Cause != want.Cause || got.Message != want.Message || len(got.Also) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestAWebhookThatRefusesIsAnErrorWithoutItsURL(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"403": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such hook", http.StatusForbidden) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		"dropped": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	for name, serve := range answers {
		t.Run(name, func(t *testing.T) {
			s, ca := hook(t, serve)
			c, err := notify.NewWebhook(notify.Webhook{URL: s.URL + "/hooks/T0P-secret", CA: ca, Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			err = c.Send(t.Context(), message())
			if err == nil || strings.Contains(err.Error(), "T0P-secret") || !strings.Contains(err.Error(), strings.TrimPrefix(s.URL, "https://")) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestOnlyEncryptedWebhooksAreTaken(t *testing.T) {
	for _, u := range []string{"http://alerts.contoso.test/x", "alerts.contoso.test", "https://", "::"} {
		if _, err := notify.NewWebhook(notify.Webhook{URL: u}); err == nil {
			t.Errorf("%q was taken", u)
		}
	}
}

// post is a mail server that speaks as much of SMTP as it takes to get one mail: STARTTLS or TLS at once, AUTH PLAIN and LOGIN.
type post struct {
	t        *testing.T
	cert     tls.Certificate
	ca       []byte
	address  string
	implicit bool
	plain    bool // it offers no STARTTLS

	mu    sync.Mutex
	user  string
	to    []string
	mails []string
}

func newPost(t *testing.T, implicit, plain bool) *post {
	p := &post{t: t, implicit: implicit, plain: plain}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	p.cert, p.ca = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return p
}

func (p *post) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	secure := p.implicit
	if secure {
		c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{p.cert}})
	}
	r := bufio.NewReader(c)
	say := func(s string) { _, _ = fmt.Fprintf(c, "%s\r\n", s) }
	say("220 post ready")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-post")
			if !secure && !p.plain {
				say("250-STARTTLS")
			}
			say("250 AUTH PLAIN LOGIN")
		case "STARTTLS":
			say("220 go on")
			c, secure = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{p.cert}}), true
			r = bufio.NewReader(c)
		case "AUTH":
			_, word, _ := strings.Cut(rest, " ")
			b, _ := base64.StdEncoding.DecodeString(word)
			p.note(func() { p.user = strings.ReplaceAll(string(b), "\x00", "|") })
			if !secure {
				p.t.Error("a password came over a line that is not encrypted")
			}
			say("235 fine")
		case "RCPT":
			p.note(func() { p.to = append(p.to, rest) })
			say("250 ok")
		case "DATA":
			say("354 go on")
			var text strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil || line == ".\r\n" {
					break
				}
				text.WriteString(line)
			}
			p.note(func() { p.mails = append(p.mails, text.String()) })
			say("250 queued")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (p *post) note(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *post) mailer(user string) notify.Channel {
	p.t.Helper()
	c, err := notify.NewMail(notify.Mail{Server: p.address, Implicit: p.implicit, From: "tandem@contoso.test", To: []string{"night@contoso.test", "Ida <ida@contoso.test>"}, User: user, Password: "P0st-secret", CA: p.ca})
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

func TestAMailArrivesOverTLSAndSignsIn(t *testing.T) {
	for _, implicit := range []bool{false, true} {
		p := newPost(t, implicit, false)
		if err := p.mailer("svc-tandem").Send(t.Context(), message()); err != nil {
			t.Fatal(err)
		}
		if p.user != "|svc-tandem|P0st-secret" || len(p.mails) != 1 || len(p.to) != 2 || !strings.Contains(p.to[1], "<ida@contoso.test>") {
			t.Fatalf("signed in as %q, to %q, mails %q", p.user, p.to, p.mails)
		}
		head, body, _ := strings.Cut(p.mails[0], "\r\n\r\n")
		for _, want := range []string{"Subject: [tandem] failed: directory contoso (sync1)", "From: <tandem@contoso.test>", "Message-ID: <0199-aa@contoso.test>", "Auto-Submitted: auto-generated"} {
			if !strings.Contains(head, want) {
				t.Errorf("the mail's head lacks %q:\n%s", want, head)
			}
		}
		if strings.Contains("\n"+head, "\nBcc:") || strings.Contains("\n"+body, "\nBcc:") {
			t.Errorf("a name began a line of its own:\n%s", p.mails[0])
		}
		for _, want := range []string{"directory contoso was not reached Bcc:", "tandem check", "- engine connect did not complete a run"} {
			if !strings.Contains(body, want) {
				t.Errorf("the mail lacks %q:\n%s", want, body)
			}
		}
	}
}

func TestNoMailGoesOverALineThatCannotBeEncrypted(t *testing.T) {
	p := newPost(t, false, true)
	err := p.mailer("svc-tandem").Send(t.Context(), message())
	if err == nil || len(p.mails) > 0 || p.user != "" || strings.Contains(err.Error(), "P0st-secret") {
		t.Errorf("%v; mails %q, user %q", err, p.mails, p.user)
	}
	p = newPost(t, false, false)
	p.ca = nil // the certificate is nobody's that is trusted
	if err := p.mailer("svc-tandem").Send(t.Context(), message()); err == nil || p.user != "" {
		t.Errorf("%v; user %q", err, p.user)
	}
}

func TestASilentMailServerIsGivenUp(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c, err := notify.NewMail(notify.Mail{Server: l.Addr().String(), From: "a@contoso.test", To: []string{"b@contoso.test"}})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := c.Send(t.Context(), message()); err == nil || time.Since(began) > 25*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

func TestAMailConfigurationThatCannotWorkIsRefused(t *testing.T) {
	for _, m := range []notify.Mail{
		{Server: "mail.contoso.test", From: "a@contoso.test", To: []string{"b@contoso.test"}},
		{Server: "mail.contoso.test:587", From: "nobody", To: []string{"b@contoso.test"}},
		{Server: "mail.contoso.test:587", From: "a@contoso.test"},
		{Server: "mail.contoso.test:587", From: "a@contoso.test", To: []string{"b"}},
		{Server: "mail.contoso.test:587", From: "a@contoso.test", To: []string{"b@contoso.test"}, CA: []byte("x")},
	} {
		if _, err := notify.NewMail(m); err == nil {
			t.Errorf("%+v was taken", m)
		}
	}
}
