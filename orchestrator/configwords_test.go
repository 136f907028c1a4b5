package orchestrator_test

import (
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator"
)

// A value of another kind than is due is said in the file's words: which key, what is due, what stands there.
func TestMistakesOfKindAreSaidInTheFilesWords(t *testing.T) {
	for text, want := range map[string]string{
		"version: one\n":                                  `1:10: version: a whole number is due, not the text "one"`,
		"version: 1.5\n":                                  `1:10: version: a whole number is due, not the number 1.5`,
		"version: [1]\n":                                  `1:10: version: a whole number is due, not a list`,
		"state: {a: b}\n":                                 `1:8: state: a text is due, not keys with values`,
		"directories: x\n":                                `1:14: directories: a list, each item behind a dash and with some of name, url, base, `,
		"directories: {name: a}\n":                        `not keys with values`,
		"directories:\n  - name: a\n    bind: x\n":        `3:11: directories[0].bind: an indented block with some of the keys user, passwordFile, passwordEnv, gssapi is due, not the text "x"`,
		"directories: [{url: {a: b}}]\n":                  `1:21: directories[0].url: a list, such as [a, b], is due, not keys with values`,
		"directories: [{tls: {insecureSkipVerify: 7}}]\n": `1:42: directories[0].tls.insecureSkipVerify: true or false is due, not the number 7`,
		"tenant: {delay: soon}\n":                         `1:17: tenant.delay: a duration, such as 30s, 2m or 1h30m, is due, not the text "soon"`,
		"tenant: {delay: 5}\n":                            `1:17: tenant.delay: a duration, such as 30s, 2m or 1h30m, is due, not the number 5`,
		"tenant: x\n":                                     `1:9: tenant: an indented block with some of the keys endpoint, authority, `,
		"engines: [x]\n":                                  `1:11: engines[0]: an indented block with some of the keys name, kind, `,
		"engines:\n  - schedule: 2 minutes\n":             `2:15: engines[0].schedule: a duration, such as 30s, 2m or 1h30m, is due, not the text "2 minutes"`,
		"engines: [{settings: [x]}]\n":                    `engines[0].settings: an indented block of keys with values is due, not a list`,
		"engines: [{command: x}]\n":                       `engines[0].command: a list, such as [a, b], is due, not the text "x"`,
		"version: 1\nversion: 1\n":                        `2:1: the key "version" stands twice: first in line 1`,
		"state: a: b\n":                                   `a colon with a space stands inside a value`,
		"state:\n\tx: 1\n":                                `indent with spaces`,
		"- a\n":                                           `an indented block with some of the keys version, state, `,
		"tenant: {dellay: 5s}\n":                          `unknown key "dellay" (did you mean "delay"?)`,
	} {
		_, err := orchestrator.ParseConfig("tandem.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\n%v\nwant %s", text, err, want)
			continue
		}
		for _, jargon := range []string{"!!", "orchestrator.", "construct", "time.Duration", "[]"} {
			if strings.Contains(err.Error(), jargon) {
				t.Errorf("%q: %v speaks of %s", text, err, jargon)
			}
		}
	}
}
