package cloud_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// shelf is a saved cache that counts what is read of it.
type shelf struct {
	records map[string][]byte
	read    int
}

func (f *shelf) Get(key string) ([]byte, error) {
	f.read++
	return f.records[key], nil
}

func (f *shelf) Each(prefix string, each func(string, []byte) error) error {
	for _, k := range slices.Sorted(maps.Keys(f.records)) {
		if strings.HasPrefix(k, prefix) {
			if err := each(k, f.records[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

func saved(t *testing.T, c *cloud.Cache) *shelf {
	t.Helper()
	f := &shelf{records: map[string][]byte{}}
	done, err := c.Save(func(k string, v []byte) error {
		if v != nil {
			f.records[k] = v
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	done()
	return f
}

func glance(t *testing.T, f *shelf) *cloud.Cache {
	t.Helper()
	c := cloud.NewCache(delay)
	if err := c.Glance(f); err != nil {
		t.Fatal(err)
	}
	return c
}

// A cache that reads an object when it is asked for shows what one that was loaded shows, own writes too.
func TestGlanceShowsWhatIsSaved(t *testing.T) {
	c := filled(t)
	c.Settled(rename("a", "Änne"), done("a"), at(5))
	f := saved(t, c)
	for _, id := range []string{"a", "b", "nobody"} {
		want, known := c.Get(id)
		g := glance(t, f)
		got, ok := g.Get(id)
		if d := cmp.Diff(want, got); d != "" || known != ok {
			t.Errorf("%s: %s", id, d)
		}
		if f.read = 0; known {
			g.Get(id)
		}
		if f.read > 0 {
			t.Errorf("%s was read twice", id)
		}
	}
	for o := range c.All {
		upn := o.Values.First(cloud.UPN)
		if upn == "" || o.Deleted || o.Kind != scoping.User {
			continue
		}
		want, _ := c.ByUPN(upn)
		got, ok := glance(t, f).ByUPN(strings.ToUpper(upn))
		if d := cmp.Diff(want, got); d != "" || !ok {
			t.Errorf("%s: %s", upn, d)
		}
	}
	if d := cmp.Diff(c.ByDisplayName("änne", nobody), glance(t, f).ByDisplayName("ÄNNE", nobody)); d != "" || len(c.ByDisplayName("änne", nobody)) != 1 {
		t.Error(d)
	}
	sameCache(t, glance(t, f), c)
}

// What cannot be read counts as absent, and is told.
func TestGlanceTellsWhatIsDamaged(t *testing.T) {
	f := saved(t, filled(t))
	f.records["o/a"] = f.records["o/a"][:5]
	c := glance(t, f)
	if _, ok := c.Get("b"); !ok || c.Err() != nil {
		t.Errorf("b: %v, %v", ok, c.Err())
	}
	if _, ok := c.Get("a"); ok || !errors.Is(c.Err(), cloud.ErrFormat) {
		t.Errorf("a: %v, %v", ok, c.Err())
	}
	delete(f.records, "h")
	if err := cloud.NewCache(delay).Glance(f); !errors.Is(err, cloud.ErrFormat) {
		t.Errorf("without a header: %v", err)
	}
}
