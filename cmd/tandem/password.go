package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/plugins/secret"
)

func passwordCommand() *cli.Command {
	return &cli.Command{Name: "password", Usage: "passwords in the directory", Subcommands: []*cli.Command{
		{Name: "set", Usage: "set a user's password through the engine that owns the user; it is asked for twice, and an empty one with --unlock only unlocks", ArgsUsage: "REF",
			Flags: []cli.Flag{&cli.BoolFlag{Name: "must-change", Usage: "the user has to change it at the next sign-in"}, &cli.BoolFlag{Name: "unlock", Usage: "end a lock-out as well"},
				&cli.BoolFlag{Name: "stdin", Usage: "read the password from standard input: its first line"}}, Action: setPassword},
	}}
}

func setPassword(c *cli.Context) error {
	if err := arguments(c, "REF"); err != nil {
		return err
	}
	q := api.PasswordRequest{Ref: c.Args().First(), MustChange: c.Bool("must-change"), Unlock: c.Bool("unlock")}
	var err error
	switch {
	case c.Bool("stdin"):
		q.Password, err = readPassword(os.Stdin)
	case terminal(os.Stdin):
		q.Password, err = askPassword(os.Stdin, os.Stderr, q.Ref, q.Unlock)
	case !q.Unlock:
		return api.Usage("there is no terminal to ask for the password: give it with --stdin")
	}
	if err != nil {
		return err
	}
	defer q.Password.Wipe()
	if q.Password == nil && !q.Unlock {
		return api.Usage("the password is empty")
	}
	var out json.RawMessage
	var o api.Outcome
	noteInterrupt("stopping at the next durable step; Ctrl-C again leaves at once")
	err = api.Do(c.Context, options(c), func(s *api.Session) error {
		var err error
		o, err = s.SetPassword(c.Context, q, &out)
		return err
	})
	if err != nil {
		return err
	}
	if err := show(c, out, view(showPasswordSet)); err != nil {
		return err
	}
	return end(o, nil)
}

func showPasswordSet(w io.Writer, p api.PasswordSet) {
	if p.Set {
		must := ""
		if p.MustChange {
			must = "; it has to be changed at the next sign-in"
		}
		fmt.Fprintf(w, "the password of %s is set%s\n", p.Name, must)
	}
	if p.Unlocked {
		fmt.Fprintf(w, "%s is unlocked\n", p.Name)
	}
	fmt.Fprintf(w, "by engine %s\n", p.Engine)
}

// maxPassword is the longest password that is read, in bytes.
const maxPassword = 1024

// errAborted is the error of a person who typed Ctrl-C instead of a password.
var errAborted = errors.New("nothing was done: the password was not given")

// readPassword reads the first line, or all where there is one line alone; nil: it is empty.
func readPassword(r io.Reader) (*secret.Value, error) {
	return readHidden(r, func(b byte) bool { return b == '\n' }, nil)
}

// readHidden reads bytes one by one up to the end of a line, so that none is kept in any buffer but the password's own. Of keys, which may be nil, one takes the last character away and one gives up.
func readHidden(r io.Reader, ends func(byte) bool, keys *keys) (*secret.Value, error) {
	got := make([]byte, 0, maxPassword)
	one := make([]byte, 1)
	defer clear(one)
	for {
		n, err := r.Read(one)
		if n == 0 && err == nil {
			continue
		}
		if n == 0 && !errors.Is(err, io.EOF) {
			clear(got)
			return nil, fmt.Errorf("read the password: %w", err)
		}
		if n == 0 || ends(one[0]) {
			break
		}
		switch {
		case keys != nil && one[0] == keys.abort:
			clear(got)
			return nil, errAborted
		case keys != nil && (one[0] == keys.erase || one[0] == keys.otherErase):
			_, size := utf8.DecodeLastRune(got)
			clear(got[len(got)-size:])
			got = got[:len(got)-size]
			continue
		case len(got) == maxPassword:
			clear(got)
			return nil, api.Usage("the password has more than %d bytes", maxPassword)
		}
		got = append(got, one[0])
	}
	if keys == nil && len(got) > 0 && got[len(got)-1] == '\r' {
		got = got[:len(got)-1]
	}
	if !utf8.Valid(got) {
		clear(got)
		return nil, api.Usage("the password is not UTF-8")
	}
	if len(got) == 0 {
		return nil, nil
	}
	return secret.Take(got), nil
}

// keys are what a person edits a line with.
type keys struct{ abort, erase, otherErase byte }

// askPassword asks for a password twice without showing it; nil: it is empty.
func askPassword(in *os.File, out io.Writer, ref string, unlock bool) (*secret.Value, error) {
	back, err := hideInput(in)
	if err != nil {
		return nil, fmt.Errorf("hide what is typed: %w; --stdin reads the password from standard input", err)
	}
	defer back()
	ask := func(prompt string) (*secret.Value, error) {
		fmt.Fprint(out, prompt)
		defer fmt.Fprintln(out)
		return readHidden(in, func(b byte) bool { return b == '\n' || b == '\r' }, &keys{abort: 3, erase: 0x7f, otherErase: '\b'})
	}
	prompt := "new password of " + visible(ref, false)
	if unlock {
		prompt += " (empty: only unlock)"
	}
	first, err := ask(prompt + ": ")
	if err != nil || first == nil {
		return nil, err
	}
	again, err := ask("once more: ")
	defer again.Wipe()
	if err == nil && (again == nil || !again.Equal(first)) {
		err = api.Usage("the two are not the same: nothing was done")
	}
	if err != nil {
		first.Wipe()
		return nil, err
	}
	return first, nil
}
