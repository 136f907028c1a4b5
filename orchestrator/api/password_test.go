package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
)

// What the client sends is what the holder of the state reads, and neither keeps it.
func TestAPasswordReachesTheHolderOfTheStateAsItWasGiven(t *testing.T) {
	for _, word := range []string{"plain", `q"uote\\ \u00e9 <&>`, "née 🔑", " \t"} {
		inside := newMemory()
		var got PasswordRequest
		var err error
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			got, err = parsePassword(b)
			writeJSON(w, line{Result: &result{Value: json.RawMessage("{}")}})
		})}
		go func() { _ = s.Serve(inside) }()
		c := newClient(inside.dial)
		v := secret.Take([]byte(word))
		if _, failed := c.SetPassword(t.Context(), PasswordRequest{Ref: `CN="a",DC=x`, MustChange: true, Unlock: true, Password: v}, nil); failed != nil || err != nil {
			t.Fatal(failed, err)
		}
		if got.Ref != `CN="a",DC=x` || !got.MustChange || !got.Unlock || !got.Password.Equal(v) {
			t.Errorf("%q: %+v", word, got)
		}
		if err := v.Use(func([]byte) error { return nil }); err != nil {
			t.Errorf("it stays the caller's: %v", err)
		}
		c.http.CloseIdleConnections()
		_ = s.Close()
	}
}

func TestARequestThatAsksForNothingIsWrongUsage(t *testing.T) {
	for _, body := range []string{`{"request":{"ref":"x"}}`, `{"request":{"ref":"x","unlock":true,"mustChange":true}}`, `{`, `[]`, `{"password":7}`} {
		if q, err := parsePassword([]byte(body)); AsError(err) == nil || AsError(err).Exit != ExitUsage {
			t.Errorf("%s: %+v %v", body, q, err)
		}
	}
	if q, err := parsePassword([]byte(`{"request":{"ref":"x","unlock":true}}`)); err != nil || q.Password != nil || !q.Unlock {
		t.Errorf("%+v %v", q, err)
	}
}

func TestWhoMaySetPasswords(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	groups, err := me.GroupIds()
	if err != nil || len(groups) == 0 {
		t.Fatal(err)
	}
	mine, err := user.LookupGroupId(groups[0])
	if err != nil {
		t.Fatal(err)
	}
	local, inside := net.Pipe()
	defer local.Close()
	defer inside.Close()
	who := callerOf(withCaller(t.Context(), inside))
	for name, c := range map[string]struct {
		who     caller
		granted []string
		may     bool
	}{
		"nobody is named":            {who, nil, false},
		"somebody else":              {who, []string{"no-such-user-or-group"}, false},
		"by name":                    {who, []string{"no-such-user-or-group", me.Username}, true},
		"by group":                   {who, []string{mine.Name}, true},
		"an empty name":              {who, []string{""}, false},
		"who cannot be told":         {caller{name: me.Username, uid: os.Getuid()}, []string{me.Username}, false},
		"nobody noted who it is":     {callerOf(context.Background()), []string{me.Username}, false},
		"a user who is not there":    {caller{uid: 1 << 30, local: true}, []string{me.Username}, false},
		"a name that looks like one": {caller{name: me.Username, uid: 1 << 30, local: true}, []string{me.Username}, false},
	} {
		if got := c.who.is(c.granted); got != c.may {
			t.Errorf("%s: %v", name, got)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	over, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer over.Close()
	if callerOf(withCaller(t.Context(), over)).is([]string{me.Username}) {
		t.Error("somebody over the network may set passwords")
	}
}

// No fuzz target: it would instrument the Graph SDK, which takes longer than everything else together. What JSON does with a secret is fuzzed in package secret.
func TestARequestWithMistakesShowsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := []byte(rapid.SampledFrom([]string{`{"request":{"ref":"x","mustChange":true},"password":"correct horse battery staple"}`, `{"request":{"ref":"x"},"password":"\ud800"}`,
			`{"request":{"ref":"x","unlock":true},"password":["correct horse"]}`}).Draw(t, "body"))
		for range rapid.IntRange(0, 4).Draw(t, "mistakes") {
			body[rapid.IntRange(0, len(body)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		whole := bytes.Clone(body)
		q, err := parsePassword(body)
		if !bytes.Equal(body, whole) {
			t.Fatal("the request was changed")
		}
		if err != nil && (strings.Contains(err.Error(), "correct horse") || len(err.Error()) > 200) {
			t.Fatal(err)
		}
		if err == nil && q.Password == nil && !q.Unlock {
			t.Fatalf("%+v", q)
		}
	})
}

// A server recovers a panic of a handler and logs its trace, and a panic elsewhere ends the process with everybody's: neither shows the password of the request.
func TestAPanicWhileARequestIsReadShowsNoPassword(t *testing.T) {
	const word = "Secret-New-Passw0rd"
	out := secrettest.CrashTaking(t, 1, "api.parsePassword", func() {
		inside := newMemory()
		s := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			_, _ = parsePassword(b)
		})}
		go func() { _ = s.Serve(inside) }()
		body := `{"request":{"ref":"ann"},"password":"` + word + `"}`
		c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return inside.dial(ctx) }}}
		_, err := c.Post("http://tandem/", "application/json", strings.NewReader(body))
		t.Log(err)
	})
	secrettest.Absent(t, out, []byte(word))
}
