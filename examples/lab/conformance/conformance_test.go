package conformance_test

import (
	"testing"

	"github.com/tandem-sync/tandem/examples/lab/conformance"
	"github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/examples/lab/samba"
)

func TestEmbeddedDirectoryConforms(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Target {
		m := directory.New(directory.Options{})
		s, err := directory.Serve(t.Context(), m, directory.ServerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return conformance.Target{
			URL: s.URL(), PlainURL: s.PlainURL(), CAPEM: s.CAPEM(), Base: m.Base(), Domain: m.Domain(), AdminUser: m.AdminUser(),
			AdminPassword: m.AdminPassword(), ReadOnlyUser: m.ReadOnlyUser(), ReadOnlyPassword: m.AdminPassword(),
		}
	})
}

// TestSambaConforms fails where Samba cannot run, since the suite proves nothing without it. TANDEM_NO_SAMBA=1 leaves it out
// on a developer's machine, never where CI=true.
func TestSambaConforms(t *testing.T) {
	if samba.LeftOut() {
		t.Log("not checked against Samba: TANDEM_NO_SAMBA=1")
		return
	}
	conformance.Run(t, openSamba)
}

func openSamba(t *testing.T) conformance.Target {
	dc, err := samba.Start(t.Context(), samba.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatalf("%v\n(set TANDEM_NO_SAMBA=1 to leave Samba out)", err)
	}
	t.Cleanup(func() {
		if err := dc.Stop(); err != nil {
			t.Error(err)
		}
	})
	return conformance.Target{
		URL: dc.URL(), PlainURL: dc.PlainURL(), CAPEM: dc.CAPEM(), Base: dc.Base(), Domain: dc.Domain(), AdminUser: dc.AdminUser(),
		AdminPassword: dc.AdminPassword(), ReadOnlyUser: dc.ReadOnlyUser(), ReadOnlyPassword: dc.ReadOnlyPassword(),
	}
}
