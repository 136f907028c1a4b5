package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
)

// The ledger has fingerprints that earlier programs made with fmt: other ones would let every object be recorded anew.
func TestFingerprintsStayAsTheLedgerHasThem(t *testing.T) {
	for _, values := range [][]string{nil, {}, {""}, {"a"}, {"a", "b c"}, {"\"\\\n", "é\x00", "\xff"}} {
		h := sha256.New()
		fmt.Fprintf(h, "%q=%q\n%q=%q\n", "a b", values, "z", []string{"1"})
		if got, want := hashOf(cloud.Values{"z": {"1"}, "a b": values}), hex.EncodeToString(h.Sum(nil)[:12]); got != want {
			t.Errorf("%q: %s, want %s", values, got, want)
		}
	}
}
