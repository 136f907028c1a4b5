package line_test

import (
	"errors"
	"testing"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
)

func TestTokenSurvivesItsText(t *testing.T) {
	var want line.Token
	for i := range want.Pin {
		want.Pin[i] = byte(i * 7)
	}
	copy(want.Secret[:], "twenty-four bytes of it!")
	got, err := line.ParseToken(" " + want.String() + "\n")
	if err != nil || got != want {
		t.Fatalf("got %v, %v", got, err)
	}
}

func TestDamagedTokenIsRefused(t *testing.T) {
	whole := line.Token{}.String()
	for _, s := range []string{"", "x", whole[:len(whole)-2], whole + "AA", "Tandem" + whole, whole[len("tandem-agent-1."):]} {
		if _, err := line.ParseToken(s); !errors.Is(err, line.ErrToken) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestBasesCompareAsNames(t *testing.T) {
	if !line.SameBase("DC=Contoso, DC=test", "dc=contoso,dc=TEST") || line.SameBase("DC=a,DC=b", "DC=ab") {
		t.Fatal("bases compared as text")
	}
}
