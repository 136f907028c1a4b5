package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// disk is an index file that can fail.
type disk struct {
	values map[string]map[string][]byte
	fails  bool
}

var errDisk = errors.New("the disk is full")

type tx struct{ values map[string]map[string][]byte }

func (d *disk) View(_ context.Context, f func(state.Tx) error) error { return f(tx{d.values}) }

func (d *disk) Update(_ context.Context, f func(state.Tx) error) error {
	next := map[string]map[string][]byte{}
	for b, m := range d.values {
		next[b] = map[string][]byte{}
		for k, v := range m {
			next[b][k] = v
		}
	}
	if err := f(tx{next}); err != nil || d.fails {
		return errors.Join(err, errDisk)
	}
	d.values = next
	return nil
}

func (t tx) Get(bucket, key string) []byte { return t.values[bucket][key] }

func (t tx) Put(bucket, key string, v []byte) error {
	if t.values[bucket] == nil {
		t.values[bucket] = map[string][]byte{}
	}
	t.values[bucket][key] = slices.Clone(v)
	return nil
}

func (t tx) Delete(bucket, key string) error { delete(t.values[bucket], key); return nil }

func (t tx) Each(bucket, _ string, f func(string, []byte) error) error {
	var keys []string
	for k := range t.values[bucket] {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if err := f(k, t.values[bucket][k]); err != nil {
			return err
		}
	}
	return nil
}

func key(n int) ledger.Key {
	return ledger.Key{Object: scoping.ObjectID{Directory: "contoso", GUID: scoping.GUID{15: byte(n)}}, Feature: scoping.Users}
}

func claims(t *rapid.T) standing.Claim {
	c := standing.Claim{Want: engine.Want(rapid.IntRange(0, 4).Draw(t, "want")), Agrees: rapid.Bool().Draw(t, "agrees"), Person: rapid.Bool().Draw(t, "person"), Target: rapid.Uint64().Draw(t, "target"), Rules: rapid.Uint64().Draw(t, "rules"), Unkept: rapid.Uint64().Draw(t, "unkept"),
		Reading: rapid.Uint64().Draw(t, "reading"), At: rapid.Int64().Draw(t, "at"), SignIn: standing.SignIn{Domain: rapid.SampledFrom([]string{"", "a.test"}).Draw(t, "domain")}, Attrs: rapid.SliceOfN(rapid.SampledFrom([]string{"displayName", "mail"}), 0, 2).Draw(t, "attrs")}
	for range rapid.IntRange(0, 2).Draw(t, "waits") {
		c.Waits = append(c.Waits, key(rapid.IntRange(0, 9).Draw(t, "end")).Object)
	}
	return c
}

func content(c *Claims) map[string]standing.Claim {
	out := map[string]standing.Claim{}
	for e, m := range c.engines {
		for k, x := range m.all() {
			out[fmt.Sprint(e, k)] = standing.Claim{Want: x.Want, Agrees: x.Agrees, Person: x.Person, Target: x.Target, Reading: x.Reading, Rules: x.Rules, At: x.At, SignIn: x.SignIn, Unkept: x.Unkept,
				Attrs: append([]string{}, x.Attrs...), Waits: append([]scoping.ObjectID{}, x.Waits...)}
		}
	}
	return out
}

// Rule S4: what was committed is there in the next process, also after commits that failed, and after the journal was rewritten.
func TestCommittedClaimsOutliveTheProcess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := &disk{values: map[string]map[string][]byte{}}
		c, err := Load(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			name, k := rapid.SampledFrom([]string{"connect", "cloudsync"}).Draw(t, "engine"), key(rapid.IntRange(0, 5).Draw(t, "object"))
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				c.Drop(name, k)
			case 1:
				c.DropAll(name)
			case 2:
				c.Cover(fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "cover")))
			default:
				c.Put(name, k, claims(t))
			}
			d.fails = rapid.IntRange(0, 3).Draw(t, "fails") == 0
			b := c.Take()
			if err := c.Commit(t.Context(), b); err != nil {
				c.Untake(b)
				continue
			}
			if rapid.IntRange(0, 3).Draw(t, "tidy") == 0 {
				c.lines, d.fails = rewriteAt*2, false
				if err := c.Replace(t.Context(), c.Tidy()); err != nil {
					t.Fatal(err)
				}
			}
			again, err := Load(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(content(c), content(again)); diff != "" || c.Covered() != again.Covered() {
				t.Fatalf("%s; covered %q and %q", diff, c.Covered(), again.Covered())
			}
		}
	})
}

// Rule S4: a store that cannot be understood has no claims at all, never some of them.
func TestADamagedStoreHasNoClaims(t *testing.T) {
	d := &disk{values: map[string]map[string][]byte{}}
	c, _ := Load(t.Context(), d)
	c.Cover("1")
	for n := range 3 {
		c.Put("connect", key(n), standing.Claim{Want: engine.Present, Attrs: []string{"mail"}})
		if err := c.Commit(t.Context(), c.Take()); err != nil {
			t.Fatal(err)
		}
	}
	second := d.values[bucketJournal][fmt.Sprintf("%020d", 1)]
	second[len(second)-1] ^= 0x40
	again, err := Load(t.Context(), d)
	if err != nil || again.Len("connect") != 0 || again.Covered() != "" {
		t.Fatalf("%d claims, covered %q, %v", again.Len("connect"), again.Covered(), err)
	}
	again.Put("connect", key(7), standing.Claim{Want: engine.Present})
	if err := again.Commit(t.Context(), again.Take()); err != nil {
		t.Fatal(err)
	}
	if err := again.Replace(t.Context(), again.Tidy()); err != nil {
		t.Fatal(err)
	}
	last, err := Load(t.Context(), d)
	if err != nil || last.Len("connect") != 1 {
		t.Errorf("what was stored after the damage is lost: %d, %v", last.Len("connect"), err)
	}
}

// What a file holds is parsed, or refused.
func FuzzBatch(f *testing.F) {
	f.Add(encode([]change{{"connect", key(1), &standing.Claim{Want: engine.Present, Agrees: true, Target: 9, Attrs: []string{"mail"}, Waits: []scoping.ObjectID{key(2).Object}}}, {"cloudsync", key(3), nil}}))
	f.Add([]byte{format, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		cs, err := decode(b)
		if err != nil {
			return
		}
		again, err := decode(encode(cs))
		if err != nil || len(again) != len(cs) {
			t.Fatalf("%d changes are %d when they are read again: %v", len(cs), len(again), err)
		}
	})
}
