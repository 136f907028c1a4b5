package engine

import (
	"fmt"
	"log/slog"
)

const hidden = "[secret]"

// String gives the texts, or "[secret]".
func (v Value) String() string {
	if v.Secret {
		return hidden
	}
	return fmt.Sprintf("%q", v.Text)
}

// GoString hides secrets from %#v too.
func (v Value) GoString() string { return v.String() }

// LogValue hides secrets from slog.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// String gives the connection without its password.
func (d Directory) String() string {
	return fmt.Sprintf("%s (%v, base %q, user %q)", d.Name, d.URLs, d.Base, d.User)
}

// Format hides the password from every verb: %d would print the fields.
func (d Directory) Format(f fmt.State, _ rune) { fmt.Fprint(f, d.String()) }

// LogValue hides the password from slog.
func (d Directory) LogValue() slog.Value { return slog.StringValue(d.String()) }
