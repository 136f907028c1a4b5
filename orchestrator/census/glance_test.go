package census_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// A census that reads an object when it is asked for first says what one that was loaded says, and is no census to decide by.
func TestGlanceSaysWhatIsStored(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", "userPrincipalName", "Ann@contoso.test")
	bob := w.user("bøb", "userPrincipalName", "bøb@contoso.test", "mS-DS-ConsistencyGuid", "0123456789abcdef")
	eve := w.user("eve", "mS-DS-ConsistencyGuid", "0123456789abcdef")
	dead := w.user("dead")
	w.refresh()
	w.remove(dead)
	w.refresh()
	g, err := census.Glance(t.Context(), []string{"contoso"}, nil, w.store)
	w.ok(err)
	anchor := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))
	ids := []scoping.ObjectID{w.idOf(ann), w.idOf(bob), w.idOf(eve), {Directory: "contoso", GUID: guid(9)}}
	own := base64.StdEncoding.EncodeToString(ids[0].GUID[:])
	for _, ref := range []string{"ann@CONTOSO.test", "ANN", "BØB@contoso.test", "bøb", "eve", anchor, own, "dead", "nobody", `a"n`, "contoso"} {
		found := func(c *census.Census) (out []scoping.ObjectID) {
			c.Tree("contoso", func(t *census.Tree) { out = t.Find(ref) })
			return out
		}
		if d := cmp.Diff(found(w.c), found(g)); d != "" {
			t.Errorf("%s: %s", ref, d)
		}
	}
	for _, id := range ids {
		if d := cmp.Diff(w.c.Sight(id), g.Sight(id)); d != "" {
			t.Errorf("%s: %s", id, d)
		}
	}
	if g.Sight(ids[1]).AnchorBad != "duplicate-anchor" {
		t.Error("two with one anchor are not seen")
	}
	counted := func(c *census.Census) (living, all int) {
		c.Tree("contoso", func(t *census.Tree) { living, all = t.Living(), len(t.All()) })
		return living, all
	}
	n, all := counted(w.c)
	if m, m2 := counted(g); m != n || m2 != all || n != all || g.Err() != nil {
		t.Errorf("%d living of %d, want %d of %d; %v", m, m2, n, all, g.Err())
	}
	_, _, err = g.Refresh(t.Context())
	for name, err := range map[string]error{"refreshed": err, "read again": g.Reread(t.Context(), ids), "choices": g.Choose(t.Context(), []scoping.Choice{w.choice(100, scoping.Choice{Filter: "(title=chief)"})})} {
		if !errors.Is(err, census.ErrGlance) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What was never read, or cannot be read, is no empty directory.
func TestGlanceTellsWhatItCannotShow(t *testing.T) {
	w := newWorld(t)
	if _, err := census.Glance(t.Context(), []string{"contoso"}, nil, w.store); !errors.Is(err, census.ErrGlance) {
		t.Errorf("never read: %v", err)
	}
	ann := w.user("ann")
	w.refresh()
	id := w.idOf(ann)
	w.ok(w.store.Update(t.Context(), func(tx state.Tx) error { return tx.Put("objects/contoso", id.GUID.String(), []byte("{")) }))
	g, err := census.Glance(t.Context(), []string{"contoso"}, nil, w.store)
	w.ok(err)
	if g.Sight(id).Known || g.Err() == nil || !strings.Contains(g.Err().Error(), "contoso") {
		t.Errorf("damaged: %+v, %v", g.Sight(id), g.Err())
	}
}
