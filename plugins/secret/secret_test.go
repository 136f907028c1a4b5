package secret_test

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
)

var word = []byte("correct horse battery staple")

func take() *secret.Value { return secret.Take(bytes.Clone(word)) }

type holder struct {
	Name  string
	Value *secret.Value
	plain secret.Value // by value and unexported, where fmt calls no method
}

func TestNoFormatShowsASecret(t *testing.T) {
	v := take()
	h := holder{"Ann", v, *v}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%T", "%p"} {
		for _, arg := range []any{v, *v, h, &h, []*secret.Value{v}, map[string]secret.Value{"a": *v}} {
			fmt.Fprintf(&out, verb+"\n", arg)
		}
	}
	fmt.Fprintln(&out, fmt.Errorf("sign in %v: %w", v, errors.New("refused")))
	slog.New(slog.NewTextHandler(&out, nil)).Info("a", "v", v, "copy", *v, "holder", h)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("a", "v", v, "copy", *v, "holder", h)
	encoded, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)
	if strings.Count(out.String(), "[secret]") < 20 {
		t.Errorf("few marks:\n%s", out.String())
	}
	secrettest.Absent(t, out.Bytes(), word)
}

func TestASecretHasNoEncoding(t *testing.T) {
	v := take()
	for _, arg := range []any{v, *v} {
		_, text := arg.(encoding.TextMarshaler)
		_, binary := arg.(encoding.BinaryMarshaler)
		_, inJSON := arg.(json.Marshaler)
		_, inGob := arg.(gob.GobEncoder)
		_, spoken := arg.(fmt.Stringer)
		if text || binary || inJSON || inGob || spoken {
			t.Errorf("%T is encoded: text %v, binary %v, JSON %v, gob %v, String %v", arg, text, binary, inJSON, inGob, spoken)
		}
	}
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(holder{Name: "Ann", Value: v}); err == nil {
		t.Error("gob takes it")
	}
	secrettest.Absent(t, out.Bytes(), word)
}

func TestAWipedSecretIsZeroAndGone(t *testing.T) {
	b := bytes.Clone(word)
	v := secret.Take(b)
	used := func([]byte) error { return nil }
	if err := v.Use(used); err != nil {
		t.Fatal(err)
	}
	v.Wipe()
	v.Wipe()
	if !bytes.Equal(b, make([]byte, len(word))) {
		t.Errorf("the bytes are %q", b)
	}
	var none *secret.Value
	none.Wipe()
	for _, gone := range []*secret.Value{v, none, {}} {
		if err := gone.Use(used); !errors.Is(err, secret.ErrWiped) {
			t.Errorf("%v", err)
		}
	}
	if v.Equal(v) || none.Equal(none) {
		t.Error("what was wiped equals something")
	}
}

func TestSecretsAreComparedByTheirBytes(t *testing.T) {
	if !take().Equal(take()) || take().Equal(secret.Take([]byte("other"))) || !secret.Take(nil).Equal(secret.Take([]byte{})) {
		t.Error("wrong comparison")
	}
}

func TestWipingWaitsForWhoUsesTheSecret(t *testing.T) {
	v := take()
	using, wiped := make(chan struct{}), make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() {
		err := v.Use(func(b []byte) error {
			close(using)
			select {
			case <-wiped:
				return errors.New("wiped while it is used")
			default:
			}
			if !bytes.Equal(b, word) {
				return errors.New("other bytes")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-using
	v.Wipe()
	close(wiped)
	both.Wait()
}

func TestAPanicsTraceHasNoSecret(t *testing.T) {
	v := take()
	out := secrettest.Crash(t, func() {
		err := v.Use(func([]byte) error { panic(fmt.Sprintf("while %v of %+v is used", v, holder{"Ann", v, *v})) })
		fmt.Println(err)
	})
	secrettest.Absent(t, out, word)
}

// The search is worth what it finds.
func TestTheSearchFindsEveryForm(t *testing.T) {
	sixteen := []byte("0123456789abcdef")
	for _, shown := range []string{
		"x" + string(sixteen), fmt.Sprintf("%x", sixteen), fmt.Sprintf("%X", sixteen), fmt.Sprint(sixteen), fmt.Sprintf("%#v", sixteen),
		"MDEyMzQ1Njc4OWFiY2RlZg==", "f(0x3736353433323130, 0x1)", "f(0x3031323334353637)", "0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00a\x00b\x00c\x00d\x00e\x00f\x00",
	} {
		if len(secrettest.Found([]byte(shown), sixteen)) == 0 {
			t.Errorf("not found in %q", shown)
		}
	}
	if f := secrettest.Found([]byte("nothing of it"), sixteen); len(f) != 0 {
		t.Errorf("found %v", f)
	}
	if len(secrettest.Found([]byte("ab"), []byte("ab"))) == 0 {
		t.Error("a short secret is searched for")
	}
}
