package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
)

// Mail sends messages as e-mails over SMTP, always with TLS.
type Mail struct {
	Server   string // host:port
	Implicit bool   // TLS from the first byte (RFC 8314); otherwise STARTTLS, which the server must offer
	From     string
	To       []string
	User     string // empty: no sign-in
	Password string
	CA       []byte // PEM roots instead of the system's
}

// mailSilence is how long a mail server may stay silent. The library watches a context only while it connects, so this also bounds how long the end of the process waits.
const mailSilence = 10 * time.Second

// mailer is the channel of a checked Mail.
type mailer struct {
	Mail
	host    string
	options []mail.Option
}

// NewMail checks m and returns its channel. It sends nothing.
func NewMail(m Mail) (Channel, error) {
	host, port, err := net.SplitHostPort(m.Server)
	number, numberErr := strconv.Atoi(port)
	if err != nil || numberErr != nil || host == "" {
		return nil, fmt.Errorf("the mail server %q is not HOST:PORT", m.Server)
	}
	roots, err := rootsOf(m.CA)
	if err != nil {
		return nil, err
	}
	if len(m.To) == 0 {
		return nil, errors.New("nobody is named who gets the mails")
	}
	o := []mail.Option{mail.WithPort(number), mail.WithTimeout(mailSilence), mail.WithTLSConfig(&tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12})}
	if m.Implicit {
		o = append(o, mail.WithSSL())
	} else {
		o = append(o, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if m.User != "" {
		o = append(o, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.User), mail.WithPassword(m.Password))
	}
	out := &mailer{Mail: m, host: host, options: o}
	if _, err := out.compose(Message{}); err != nil {
		return nil, err
	}
	return out, nil
}

// Name implements Channel.
func (m *mailer) Name() string { return "mail" }

// Send implements Channel.
func (m *mailer) Send(ctx context.Context, x Message) error {
	msg, err := m.compose(x)
	if err != nil {
		return err
	}
	c, err := mail.NewClient(m.host, m.options...)
	if err != nil {
		return fmt.Errorf("mail by %s: %w", m.Server, err)
	}
	if err := c.DialAndSendWithContext(ctx, msg); err != nil {
		return fmt.Errorf("mail by %s: %w", m.Server, err)
	}
	return nil
}

func (m *mailer) compose(x Message) (*mail.Msg, error) {
	msg := mail.NewMsg()
	if err := msg.From(m.From); err != nil {
		return nil, fmt.Errorf("mail from %q: %w", m.From, err)
	}
	if err := msg.To(m.To...); err != nil {
		return nil, fmt.Errorf("mail to %s: %w", strings.Join(m.To, ", "), err)
	}
	if x.ID != "" {
		msg.SetMessageIDWithValue(x.ID + "@" + domainOf(m.From)) // the same in each attempt, so that mail systems drop duplicates
	}
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no absence notice answers it
	msg.Subject(subject(x))
	msg.SetBodyString(mail.TypeTextPlain, Text(x))
	return msg, nil
}

func domainOf(address string) string {
	at := strings.LastIndexByte(address, '@')
	return strings.TrimRight(address[at+1:], "> ")
}

func subject(m Message) string {
	words := map[alarm.Event]string{alarm.Held: "held", alarm.Waiting: "waiting", alarm.Failed: "failed", alarm.Recovered: "recovered", alarm.Agents: "agents", alarm.Certificate: "certificate",
		alarm.Mark: "other host", alarm.Disk: "disk", Test: "test"}
	s := "[tandem] " + words[m.Event] + ": " + m.Cause
	if m.Host != "" {
		s += " (" + m.Host + ")"
	}
	return oneLine(s)
}

// oneLine replaces each run of white space by one space, so that a text cannot begin another line or header.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Text returns the message as text for people.
func Text(m Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", oneLine(m.Message))
	if m.Hint != "" {
		fmt.Fprintf(&b, "→ %s\n", oneLine(m.Hint))
	}
	if len(m.Also) > 0 {
		b.WriteString("\nBecause of it:\n")
	}
	for _, a := range m.Also {
		fmt.Fprintf(&b, "- %s\n", oneLine(a))
	}
	b.WriteString("\n")
	for _, l := range [][2]string{{"Since", m.Since}, {"Told at", m.At}, {"Host", m.Host}, {"Installation", m.Installation}, {"Cause", m.Cause}, {"Message", m.ID}} {
		if l[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", l[0], oneLine(l[1]))
		}
	}
	if m.Times > 1 {
		fmt.Fprintf(&b, "It came back %d times since it was told last.\n", m.Times)
	}
	return b.String()
}
