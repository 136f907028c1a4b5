package cloud_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
)

func word(s string) *secret.Value { return secret.Take([]byte(s)) }

func TestCredentialsAreWrittenAsTheTenantReadsThem(t *testing.T) {
	var w secret.Buffer
	defer w.Wipe()
	at := time.Date(2026, 11, 29, 7, 0, 0, 0, time.FixedZone("CET", 3600))
	err := cloud.WriteCredentials(&w, []cloud.CredentialItem{{CloudID: "u\"1", Credential: word("v1;x"), ChangedAt: at, By: "connect", MustChange: true, Log: "here", Number: 1 << 60},
		{CloudID: "u2", Credential: word("v1;y"), ChangedAt: at}})
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Compact(&got, w.Bytes()); err != nil {
		t.Fatal(err)
	}
	want := `{"credentials":[{"credential":"v1;x","user":"u\"1","changedAt":"2026-11-29T06:00:00Z","by":"connect","mustChange":true,"log":"here","number":1152921504606846976},` +
		`{"credential":"v1;y","user":"u2","changedAt":"2026-11-29T06:00:00Z","by":"","mustChange":false,"log":"","number":0}]}`
	if got.String() != want {
		t.Errorf("%s\nwant\n%s", got.String(), want)
	}
	wiped := cloud.WriteCredentials(&w, []cloud.CredentialItem{{CloudID: "u3", Credential: &secret.Value{}}})
	if !errors.Is(wiped, secret.ErrWiped) || !strings.Contains(wiped.Error(), "u3") {
		t.Errorf("%v", wiped)
	}
}

func TestEventsThatCannotBeReadShowNothing(t *testing.T) {
	password := "correct horse battery staple"
	for _, body := range []string{
		`{"events":[{"id":"1","newPassword":"` + password + `"},{"id":2}]}`, `{"events":[{"id":"1","newPassword":"` + password + `"}`, `{"events":[{"mustChange":"` + password + `"}]}`,
		`{"events":{"` + password + `":1}}`, `{"` + password + `":[]}`, `"` + password + `"`, ``, `{"events":[{"op":"` + password + `\ud800"`,
	} {
		events, err := cloud.ParsePasswordEvents([]byte(body))
		if err == nil || len(events) != 0 {
			t.Errorf("%s was read", body)
			continue
		}
		secrettest.Absent(t, []byte(err.Error()), []byte(password))
	}
}

func TestEventsDoNotLeanOnTheDocumentTheyCameIn(t *testing.T) {
	body := []byte(`{"events":[{"id":"1","user":"u","op":"change","oldPassword":"old \u00e9","newPassword":"new","deadline":"2026-11-29T06:00:00Z"}]}`)
	events, err := cloud.ParsePasswordEvents(body)
	if err != nil {
		t.Fatal(err)
	}
	clear(body)
	if e := events[0]; e.ID != "1" || e.CloudID != "u" || e.Op != cloud.ChangePassword || !e.OldPassword.Equal(word("old é")) || !e.NewPassword.Equal(word("new")) {
		t.Errorf("%+v", e)
	}
}

func FuzzParseEvents(f *testing.F) {
	f.Add([]byte(`{"events":[{"id":"1","newPassword":"correct horse battery staple"}]}`))
	f.Add([]byte(`{"events":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		whole := bytes.Clone(body)
		events, err := cloud.ParsePasswordEvents(body)
		if !bytes.Equal(body, whole) {
			t.Error("the document was changed")
		}
		if err != nil && (len(events) != 0 || err.Error() != "it is no list of password changes") {
			t.Errorf("%d events and %v", len(events), err)
		}
	})
}

func TestAPanicWhilePasswordChangesAreReadShowsNone(t *testing.T) {
	old, fresh := []byte("Secret-0ld-Passw0rd"), []byte("Secret-New-Passw0rd")
	for nth := range 2 {
		t.Run(fmt.Sprint("password ", nth+1), func(t *testing.T) {
			secrettest.Absent(t, secrettest.CrashTaking(t, nth+1, "cloud.ParsePasswordEvents", func() {
				body := fmt.Appendf(nil, `{"events":[{"id":"1","oldPassword":%q,"newPassword":%q}]}`, old, fresh)
				_, err := cloud.ParsePasswordEvents(body)
				t.Log(err)
			}), old, fresh)
		})
	}
}
