package orchestrator_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator"
)

func TestEachMistakeOfNotificationsIsToldWithItsPlace(t *testing.T) {
	const before = "version: 1\nstate: ./state\ndirectories:\n  - {name: contoso, url: ldaps://dc1.contoso.test, base: 'DC=contoso,DC=test', bind: {user: svc, passwordFile: p}}\n" +
		"tenant: {tenantId: t, clientId: c, clientSecretFile: s}\nengines:\n  - {name: connect, kind: connect}\n"
	for name, c := range map[string]struct{ text, want string }{
		"as the contract has it": {"notify: {webhook: https://alerts.contoso.test/t, events: [held, waiting, failed, agents]}", ""},
		"everything":             {"notify:\n  webhook: {urlFile: u, secretFile: s, caFile: c}\n  mail: {server: 'mail:587', tls: starttls, from: 't@contoso.test', to: ['Ida <i@contoso.test>'], user: svc, passwordFile: p}", ""},
		"nobody":                 {"notify: {events: [held]}", "8:1: notify: name a webhook, or mail"},
		"no such event":          {"notify: {webhook: https://a.test, events: [held, fire]}", `notify.events[1]: "fire" is not one of held, waiting, failed, recovered, agents, certificate, mark, disk`},
		"not encrypted":          {"notify: {webhook: http://a.test}", `notify.webhook: "http://a.test" must begin with https://`},
		"two URLs":               {"notify:\n  webhook: {url: https://a.test, urlFile: u}", "9:3: notify.webhook: give exactly one of url and urlFile"},
		"an unknown key":         {"notify:\n  webhook: {url: https://a.test, secretFil: s}", `unknown key "secretFil" (did you mean "secretFile"?)`},
		"a secret in the file":   {"notify:\n  mail: {server: 'mail:587', from: a@b.test, to: [c@b.test], user: u, password: x}", `unknown key "password"`},
		"no server":              {"notify:\n  mail: {from: a@b.test, to: [c@b.test]}", "notify.mail.server"},
		"no port":                {"notify:\n  mail:\n    server: mail\n    from: a@b.test\n    to: [c@b.test]", `10:5: notify.mail.server: "mail" is not HOST:PORT`},
		"no TLS":                 {"notify:\n  mail: {server: 'mail:25', tls: none, from: a@b.test, to: [c@b.test]}", "without TLS nothing is mailed"},
		"nobody to mail to":      {"notify:\n  mail: {server: 'mail:25', from: a@b.test}", "notify.mail.to: name who gets the mails"},
		"no address":             {"notify:\n  mail: {server: 'mail:25', from: a@b.test, to: [everybody]}", `"everybody" is no mail address`},
		"a user alone":           {"notify:\n  mail: {server: 'mail:25', from: a@b.test, to: [c@b.test], user: svc}", "user and passwordFile belong together"},
		"monitoring":             {"listen: {certificateFile: c, keyFile: k, tokenFile: t}", ""},
		"monitoring for all":     {"listen: {certificateFile: c, keyFile: k}", "listen.tokenFile is missing"},
	} {
		_, err := orchestrator.ParseConfig("tandem.yaml", []byte(before+c.text+"\n"))
		var wrong *orchestrator.ConfigError
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.As(err, &wrong) || len(wrong.Mistakes) != 1 || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}
