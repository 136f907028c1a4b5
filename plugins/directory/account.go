package directory

import (
	"fmt"
	"log/slog"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// Account is a login of a directory for one purpose, beside the one that reads.
type Account struct {
	User     string
	Password *secret.Value
	Port     int      // TCP port of the controllers' replication interface; 0: their endpoint mapper tells. Only for reading hashes
	Under    []string // DNs of the containers in which it may write; empty: not said
}

// String gives the account without its password.
func (a Account) String() string { return fmt.Sprintf("account %q", a.User) }

// GoString hides the password from %#v too.
func (a Account) GoString() string { return a.String() }

// LogValue hides the password from slog.
func (a Account) LogValue() slog.Value { return slog.StringValue(a.String()) }

// As returns the connection as another account. Its password stays in memory as a string, as LDAP's client takes it, until it is collected. It fails with secret.ErrWiped.
func (c Connection) As(a Account) (Connection, error) {
	err := a.Password.Use(func(b []byte) error {
		c.User, c.Password = a.User, string(b)
		return nil
	})
	if err != nil {
		return Connection{}, fmt.Errorf("password of %s for directory %s: %w", a.User, c.Name, err)
	}
	return c, nil
}
