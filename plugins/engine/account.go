package engine

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// Account is a login of a directory for one purpose. It comes only to engines that have a feature of that purpose, and to those of others only where
// tandem.yaml names the purpose (engines[].accounts).
type Account struct {
	User     string
	Password *secret.Value // crosses the wire, is never written down, and is not wiped while the configuration is in force
	Port     int           // TCP port of the controllers' replication interface, for Replicate; 0: their endpoint mapper tells
	Under    []string      // DNs of the containers in which it may write; empty: not said
}

// String gives the account without its password.
func (a Account) String() string { return fmt.Sprintf("account %q", a.User) }

// GoString hides the password from %#v too.
func (a Account) GoString() string { return a.String() }

// LogValue hides the password from slog.
func (a Account) LogValue() slog.Value { return slog.StringValue(a.String()) }

// For returns the configuration for an engine of a description: of each directory's accounts those remain for whose purpose it has a feature,
// as one that it writes or as one that it delivers, and that it may have.
func (c Config) For(d Description, may []scoping.Purpose) Config {
	needed := map[scoping.Purpose]bool{}
	for _, f := range slices.Concat(d.Features, d.Delivers) {
		if p, ok := scoping.PurposeOf(f); ok && slices.Contains(may, p) {
			needed[p] = true
		}
	}
	c.Directories = slices.Clone(c.Directories)
	for i := range c.Directories {
		accounts := maps.Clone(c.Directories[i].Accounts)
		maps.DeleteFunc(accounts, func(p scoping.Purpose, _ Account) bool { return !needed[p] })
		if len(accounts) == 0 {
			accounts = nil
		}
		c.Directories[i].Accounts = accounts
	}
	return c
}
