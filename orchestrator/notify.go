package orchestrator

import (
	"context"
	"fmt"
	"net"
	"net/mail"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/notify"
	"github.com/tandem-sync/tandem/orchestrator/schedule"
	"github.com/tandem-sync/tandem/state"
)

// NotifyConfig is how people are notified of alarms, and of which.
type NotifyConfig struct {
	Webhook *WebhookConfig `yaml:"webhook"` // gets each message as JSON; in the file the URL alone may stand for it
	Mail    *MailConfig    `yaml:"mail"`    // gets each message as an e-mail
	Events  []alarm.Event  `yaml:"events"`  // of held, waiting, failed, recovered, agents, certificate, mark, disk; default: all
}

// WebhookConfig is a webhook. In the file it may be the URL alone.
type WebhookConfig struct {
	URL        string `yaml:"url"`        // https://…
	URLFile    string `yaml:"urlFile"`    // instead of url, where that holds a secret
	SecretFile string `yaml:"secretFile"` // the secret that signs each message; default: nothing is signed
	CAFile     string `yaml:"caFile"`     // PEM of the CAs that are trusted; default: the system's
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (w *WebhookConfig) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		w.URL = n.Value
		return nil
	}
	return n.Load((*webhookKeys)(w), yaml.WithKnownFields())
}

// webhookKeys is a WebhookConfig without UnmarshalYAML.
type webhookKeys WebhookConfig

// MailConfig is a mail server, and the people who get mails.
type MailConfig struct {
	Server       string   `yaml:"server"`       // HOST:PORT; needed
	TLS          string   `yaml:"tls"`          // starttls or implicit; default: implicit on port 465, else starttls
	CAFile       string   `yaml:"caFile"`       // PEM of the CAs that are trusted; default: the system's
	From         string   `yaml:"from"`         // the sender's address; needed
	To           []string `yaml:"to"`           // who gets the mails; needed
	User         string   `yaml:"user"`         // the account for signing in to the server; default: no sign-in
	PasswordFile string   `yaml:"passwordFile"` // its password
}

// The values of notify.mail.tls.
const (
	startTLS    = "starttls"
	implicitTLS = "implicit"
)

func (n *NotifyConfig) problems(m *mistakes) {
	bad := m.at("notify")
	if n.Webhook == nil && n.Mail == nil {
		bad("", "notify: name a webhook, or mail, or leave it out")
	}
	for i, e := range n.Events {
		if !slices.Contains(alarm.Events(), e) {
			m.at("notify", "events")("", "notify.events[%d]: %q is not one of %s", i, e, words(alarm.Events()))
		}
	}
	if w := n.Webhook; w != nil {
		w.problems(m.at("notify", "webhook"))
	}
	if x := n.Mail; x != nil {
		x.problems(m.at("notify", "mail"))
	}
}

func words[T ~string](all []T) string {
	var out []string
	for _, x := range all {
		out = append(out, string(x))
	}
	return strings.Join(out, ", ")
}

func (w *WebhookConfig) problems(bad placer) {
	switch {
	case (w.URL == "") == (w.URLFile == ""):
		bad("", "notify.webhook: give exactly one of url and urlFile")
	case w.URL != "" && !strings.HasPrefix(w.URL, "https://"):
		bad("url", "notify.webhook: %q must begin with https://", w.URL)
	}
}

func (x *MailConfig) problems(bad placer) {
	if _, _, err := net.SplitHostPort(x.Server); err != nil {
		bad("server", "notify.mail.server: %q is not HOST:PORT, such as mail.contoso.test:587", x.Server)
	}
	if x.TLS != "" && x.TLS != startTLS && x.TLS != implicitTLS {
		bad("tls", "notify.mail.tls: %q is neither %s nor %s; without TLS nothing is mailed", x.TLS, startTLS, implicitTLS)
	}
	if len(x.To) == 0 {
		bad("to", "notify.mail.to: name who gets the mails")
	}
	for i, a := range append([]string{x.From}, x.To...) {
		if _, err := mail.ParseAddress(a); err != nil {
			bad(map[bool]string{true: "from", false: "to"}[i == 0], "notify.mail: %q is no mail address", a)
		}
	}
	if (x.User == "") != (x.PasswordFile == "") {
		bad("user", "notify.mail: user and passwordFile belong together")
	}
}

// channels reads the secrets and makes the channels.
func (n *NotifyConfig) channels(c *Config, getenv func(string) string) (out []notify.Channel, err error) {
	if n == nil {
		return nil, nil
	}
	if w := n.Webhook; w != nil {
		url := w.URL
		if w.URLFile != "" {
			if url, err = c.secret("URL of the webhook", w.URLFile, "", getenv); err != nil {
				return nil, err
			}
		}
		var secret string
		if w.SecretFile != "" {
			if secret, err = c.secret("secret of the webhook", w.SecretFile, "", getenv); err != nil {
				return nil, err
			}
		}
		ca, err := c.caPEM("CA of the webhook", w.CAFile)
		if err != nil {
			return nil, err
		}
		ch, err := notify.NewWebhook(notify.Webhook{URL: url, Secret: []byte(secret), CA: ca, Now: time.Now})
		if err != nil {
			return nil, c.wrong("notify.webhook: %v", err)
		}
		out = append(out, ch)
	}
	if n.Mail == nil {
		return out, nil
	}
	ch, err := n.Mail.channel(c, getenv)
	return append(out, ch), err
}

func (x *MailConfig) channel(c *Config, getenv func(string) string) (notify.Channel, error) {
	_, port, _ := net.SplitHostPort(x.Server)
	m := notify.Mail{Server: x.Server, Implicit: x.TLS == implicitTLS || x.TLS == "" && port == "465", From: x.From, To: x.To, User: x.User}
	var err error
	if x.PasswordFile != "" {
		if m.Password, err = c.secret("password of the mail account", x.PasswordFile, "", getenv); err != nil {
			return nil, err
		}
	}
	if m.CA, err = c.caPEM("CA of the mail server", x.CAFile); err != nil {
		return nil, err
	}
	ch, err := notify.NewMail(m)
	if err != nil {
		return nil, c.wrong("notify.mail: %v", err)
	}
	return ch, nil
}

// wants reports whether people are notified of an event.
func (n *NotifyConfig) wants(e alarm.Event) bool {
	return n == nil || len(n.Events) == 0 || slices.Contains(n.Events, e)
}

func (x *Orchestrator) openNotifier(ctx context.Context, k notify.Keeper) error {
	channels, err := x.config.Notify.channels(&x.config, x.options.Getenv)
	if err != nil {
		return err
	}
	host, _ := os.Hostname() // without one messages do not name it
	x.notifier = notify.Open(ctx, notify.Options{Channels: channels, Keeper: k, Clock: noticeClock{x.options.Clock.Now}, NewID: newID, Rules: notify.Rules{Wants: x.config.Notify.wants}, Host: host, Log: x.log})
	return nil
}

// noticeClock is the notifier's clock.
type noticeClock struct{ now func() time.Time }

func (c noticeClock) Now() time.Time                         { return c.now() }
func (c noticeClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// watch hands the present alarms to the notifier every schedule.Look, until ctx ends.
func (x *Orchestrator) watch(ctx context.Context) {
	tick := time.NewTicker(schedule.Look)
	defer tick.Stop()
	for ctx.Err() == nil {
		if f, err := x.Facts(ctx); err == nil {
			x.notifier.Look(ctx, alarm.Of(f), f.Status.Installation)
		} else if ctx.Err() == nil {
			x.log.Warn("what is wrong cannot be told", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// TestNotify sends a test message through every channel that is configured.
func (x *Orchestrator) TestNotify(ctx context.Context, by string) ([]notify.Tried, error) {
	st, err := x.host.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking which installation this is: %w", err)
	}
	return x.notifier.Test(ctx, st.Installation, by)
}

// LoadNotices implements notify.Keeper.
func (k *kept) LoadNotices(ctx context.Context) (b []byte, err error) {
	err = k.ledger.View(ctx, func(tx state.Tx) error {
		b = append([]byte(nil), tx.Get("notices", "all")...)
		return nil
	})
	return b, err
}

// SaveNotices implements notify.Keeper.
func (k *kept) SaveNotices(ctx context.Context, b []byte) error {
	return k.ledger.Update(ctx, func(tx state.Tx) error { return tx.Put("notices", "all", b) })
}
