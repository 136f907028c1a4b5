package credential_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/scoping"
)

func TestAStampIsReadAsItIsWritten(t *testing.T) {
	s := credential.Stamp{Version: 7, Changed: time.Date(2026, 11, 29, 6, 0, 0, 0, time.UTC), Invocation: scoping.GUID{1, 2, 3}, USN: 4711}
	for _, x := range []credential.Stamp{s, {}} {
		if got, err := credential.ParseStamp(x.Text()); err != nil || got.Compare(x) != 0 || !got.Changed.Equal(x.Changed) {
			t.Errorf("%s: %v, %v", x.Text(), got, err)
		}
	}
	for _, bad := range []string{"", "7", "7.1.2.3", s.Text() + ".1", "0" + s.Text(), "-1" + s.Text()[1:]} {
		if _, err := credential.ParseStamp(bad); !errors.Is(err, credential.ErrStamp) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseStamp(f *testing.F) {
	f.Add(credential.Stamp{Version: 7, Changed: time.Unix(1, 0), USN: 4711}.Text())
	f.Fuzz(func(t *testing.T, text string) {
		s, err := credential.ParseStamp(text)
		if err == nil && s.Text() != text {
			t.Errorf("%q became %q", text, s.Text())
		}
	})
}
