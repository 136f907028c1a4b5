package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"
)

// maxToken bounds what is read for a token; one has about 200 bytes.
const maxToken = 4096

// tokenOf returns the one-time token that one of the flags names.
func tokenOf(c *cli.Context) (string, error) {
	given, file := c.String("token"), c.Path("token-file")
	if (given == "") == (file == "") {
		return "", usageError{errors.New("give the token by exactly one of --token-file FILE (- for standard input) and --token TOKEN: tandem agent invite prints one")}
	}
	if given != "" {
		return given, nil
	}
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(io.LimitReader(c.App.Reader, maxToken))
	} else {
		text, err = secretFile(c, "token-file")
	}
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", usageError{fmt.Errorf("--token-file %s: there is no token in it", file)}
	}
	return token, nil
}

// secretFile reads the file that a flag names, and warns of one that others can read.
func secretFile(c *cli.Context, flag string) ([]byte, error) {
	file := c.Path(flag)
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, usageError{fmt.Errorf("--%s: %w", flag, err)}
	}
	// Windows keeps no such rights: its files have lists of their own.
	if info, err := os.Stat(file); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o004 != 0 {
		fmt.Fprintf(c.App.ErrWriter, "warning: everybody on this machine can read %s: chmod o-r %s\n", file, file)
	}
	return b, nil
}
