package state_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/tandem-sync/tandem/state"
)

// A copy of a folder in memory holds what was there when it was made; what is written to one of the two is not in the other.
func TestACopyInMemoryGoesItsOwnWay(t *testing.T) {
	ctx := context.Background()
	disk := state.Memory(state.Options{})
	s, err := disk.Open()
	check(t, err)
	put := func(s *state.Store, key string) {
		t.Helper()
		check(t, s.Control.Update(ctx, func(tx state.Tx) error { return tx.Put("things", key, []byte("there")) }))
		_, err := s.Log.Append(ctx, [][]byte{[]byte(key)})
		check(t, err)
	}
	put(s, "before")
	other, err := disk.Copy(state.Options{}).Open()
	check(t, err)
	put(s, "here")
	put(other, "elsewhere")
	for _, x := range []struct {
		store *state.Store
		want  string
	}{{s, "before here"}, {other, "before elsewhere"}} {
		var log [][]byte
		check(t, x.store.Log.Read(ctx, 1, func(_ uint64, b []byte) error {
			log = append(log, bytes.Clone(b))
			return nil
		}))
		var keys [][]byte
		check(t, x.store.Control.View(ctx, func(tx state.Tx) error {
			return tx.Each("things", "", func(k string, _ []byte) error {
				keys = append(keys, []byte(k))
				return nil
			})
		}))
		if got := string(bytes.Join(log, []byte(" "))); got != x.want {
			t.Errorf("the log holds %q, want %q", got, x.want)
		}
		if len(keys) != 2 {
			t.Errorf("control holds %q", keys)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
