package drsr_test

import (
	"errors"
	"testing"

	"github.com/tandem-sync/tandem/plugins/directory/drsr"
	"github.com/tandem-sync/tandem/scoping"
)

// Two resets with "must change" leave pwdLastSet as it is, and −1 moves it without a change: neither is lost.
func TestEachChangeOfAPasswordIsToldAfterItsWatermark(t *testing.T) {
	w, there := onSamba(t)
	if !there {
		return
	}
	dn, g := w.user("Ann", "First-Passw0rd!")
	other, _ := w.user("Ben", "First-Passw0rd!")
	s := w.session(w.config())
	at, err := s.Everyone(t.Context(), func(scoping.GUID) drsr.Depth { return drsr.Nothing }, nil)
	w.ok(err)
	for _, x := range []struct {
		what string
		do   func()
		told bool
	}{
		{"nothing", func() {}, false},
		{"a reset", func() { w.set(dn, "unicodePwd", quoted("Second-Passw0rd!")) }, true},
		{"the same password again", func() { w.set(dn, "unicodePwd", quoted("Second-Passw0rd!")) }, true},
		{"must change", func() { w.set(dn, "pwdLastSet", "0") }, true},
		{"a reset with must change", func() { w.set(dn, "unicodePwd", quoted("Third-Passw0rd!")); w.set(dn, "pwdLastSet", "0") }, true},
		{"must not change", func() { w.set(dn, "pwdLastSet", "-1") }, true},
		{"somebody else", func() { w.set(other, "displayName", "Ben B.") }, false},
		{"a smart card required", func() { w.set(dn, "userAccountControl", "262656") }, true},
	} {
		x.do()
		told := 0
		next, err := s.Changed(t.Context(), at, func(id scoping.GUID) error {
			if id == g {
				told++
			}
			return nil
		})
		w.ok(err)
		if at = next; (told > 0) != x.told {
			t.Errorf("%s: told %d times", x.what, told)
		}
	}
	at.Invocation[0]++
	if _, err := s.Changed(t.Context(), at, nil); !errors.Is(err, drsr.ErrOther) {
		t.Errorf("a watermark of another controller: %v", err)
	}
}

func FuzzParseWatermark(f *testing.F) {
	f.Add([]byte("0123456789012345678901234567890123456789"))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := drsr.ParseWatermark(b)
		if err != nil {
			if !errors.Is(err, drsr.ErrWatermark) {
				t.Error(err)
			}
			return
		}
		if string(w.Encode()) != string(b) {
			t.Errorf("%x became %x", b, w.Encode())
		}
	})
}
