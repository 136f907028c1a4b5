package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/rights"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// purposes are what accounts beside the one that reads are for, in the words of the flags.
var purposes = map[scoping.Purpose]string{
	scoping.Replicate: "reads password hashes (password-hash)", scoping.Reset: "sets passwords (password-writeback)", scoping.Provision: "writes users and groups (provisioning)",
}

// names is a flag that may be repeated, with values that hold commas.
type names []string

// Set implements cli.Generic.
func (n *names) Set(v string) error {
	*n = append(*n, v)
	return nil
}

// String implements cli.Generic.
func (n *names) String() string { return strings.Join(*n, "; ") }

// accountFlags are the flags of enroll that name accounts by purpose.
func accountFlags() []cli.Flag {
	var out []cli.Flag
	for _, p := range scoping.Purposes() {
		out = append(out, &cli.StringFlag{Name: string(p) + "-user", Usage: "account that " + purposes[p]},
			&cli.PathFlag{Name: string(p) + "-password-file", Usage: "`FILE` with its password"})
		if p == scoping.Replicate {
			out = append(out, &cli.IntFlag{Name: "replicate-port", Usage: "TCP `PORT` of the controllers' replication interface, instead of asking their endpoint mapper"})
		} else {
			out = append(out, &cli.GenericFlag{Name: string(p) + "-under", Usage: "`DN` of a container in which it may do that; may be repeated", Value: new(names)})
		}
	}
	return out
}

// accountsOf reads the flags; an account needs its user and its password's file.
func accountsOf(c *cli.Context) (map[scoping.Purpose]directory.Account, error) {
	var out map[scoping.Purpose]directory.Account
	for _, p := range scoping.Purposes() {
		user, file := c.String(string(p)+"-user"), c.Path(string(p)+"-password-file")
		if user == "" && file == "" {
			for _, more := range []string{"-port", "-under"} {
				if c.IsSet(string(p) + more) {
					return nil, usageError{fmt.Errorf("--%s%s is for an account: give --%s-user and --%s-password-file too", p, more, p, p)}
				}
			}
			continue
		}
		if user == "" || file == "" {
			return nil, usageError{fmt.Errorf("--%s-user and --%s-password-file go together", p, p)}
		}
		password, err := secretFile(c, string(p)+"-password-file")
		if err != nil {
			return nil, err
		}
		a := directory.Account{User: user, Password: secret.Take(bytes.TrimRight(password, "\r\n"))}
		if p == scoping.Replicate {
			a.Port = c.Int("replicate-port")
			if a.Port < 0 || a.Port > 65535 {
				return nil, usageError{fmt.Errorf("--replicate-port %d is no TCP port", a.Port)}
			}
		} else if under, ok := c.Generic(string(p) + "-under").(*names); ok {
			a.Under = *under
		}
		if out == nil {
			out = map[scoping.Purpose]directory.Account{}
		}
		out[p] = a
	}
	return out, nil
}

// tryAccounts looks at each account before the token is used up. One that cannot sign in ends the enrolment, as with the account that reads; what it lacks, and
// what it may too much, are warnings.
func tryAccounts(c *cli.Context, connection directory.Connection, accounts map[scoping.Purpose]directory.Account) error {
	for _, p := range scoping.Purposes() {
		a, held := accounts[p]
		if !held {
			continue
		}
		found := rights.Of(c.Context, p, connection, a)
		for _, f := range found {
			if f.Code == rights.SignIn || f.Code == rights.Unreachable {
				return errors.New("--" + string(p) + "-user: " + f.Text + " (" + f.Hint + ")")
			}
		}
		show(c, found)
	}
	return nil
}

// show writes findings for people.
func show(c *cli.Context, found []rights.Finding) {
	for _, f := range found {
		kind := map[rights.Level]string{rights.Failure: "warning", rights.Warning: "warning", rights.Note: "note"}[f.Level]
		if kind == "" {
			continue
		}
		fmt.Fprintf(c.App.ErrWriter, "%s: %s", kind, f.Text)
		if f.Hint != "" {
			fmt.Fprintf(c.App.ErrWriter, " (%s)", f.Hint)
		}
		fmt.Fprintln(c.App.ErrWriter)
	}
}
