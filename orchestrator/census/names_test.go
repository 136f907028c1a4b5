package census_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// forgetNames makes the store one of a program that kept no index of names.
func (w *world) forgetNames() {
	w.Helper()
	w.ok(w.store.Update(w.Context(), func(tx state.Tx) error {
		old := tx.Get("marks", "contoso")
		b := bytes.Replace(old, []byte(`,"names":1`), nil, 1)
		if len(b) == len(old) {
			return fmt.Errorf("no index of names: %s", b)
		}
		if err := tx.Put("marks", "contoso", b); err != nil {
			return err
		}
		return tx.Each("names/contoso", "", func(k string, _ []byte) error { return tx.Delete("names/contoso", k) })
	}))
}

// Who looks at the store finds objects by the same names as who loaded all of it, whatever became of them: by the index of names, without one, and when it was made again.
func TestNamesAreFoundInTheStore(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"ann", "Bøb", "ſam", "SAM", "eve,jr", "kelvin\u212a", "zoe"}
	asked := map[string]bool{"nobody": true, w.ou: true}
	for _, n := range names {
		asked[n], asked[strings.ToUpper(n)], asked[n+"@contoso.test"] = true, true, true
	}
	inner := w.add("OU=Inner,"+w.ou, "organizationalUnit")
	living := []string{}
	compare := func(step string) {
		t.Helper()
		g, err := census.Glance(t.Context(), []string{"contoso"}, nil, w.store)
		w.ok(err)
		for ref := range asked {
			found := func(c *census.Census) (out []any) {
				c.Tree("contoso", func(tree *census.Tree) {
					out = append(out, tree.Find(ref))
					if d, err := scoping.ParseDN(ref); err == nil {
						g, ok := tree.Named(d)
						out = append(out, g, ok)
					}
				})
				return out
			}
			if d := cmp.Diff(found(w.c), found(g)); d != "" || g.Err() != nil {
				t.Fatalf("%s: %q: %s %v", step, ref, d, g.Err())
			}
		}
	}
	for i := range 60 {
		step := fmt.Sprint(i)
		switch n := r.IntN(6); {
		case n < 2 || len(living) == 0:
			name := names[r.IntN(len(names))]
			cn := fmt.Sprintf("CN=%s %d,%s", strings.ReplaceAll(name, ",", `\,`), i, []string{w.ou, inner}[r.IntN(2)])
			living = append(living, w.add(cn, "user", "sAMAccountName", fmt.Sprintf("%s%d", strings.ReplaceAll(name, ",", ""), i), "userPrincipalName", fmt.Sprintf("%s%d@contoso.test", name, i)))
			asked[cn], asked[fmt.Sprintf("%s%d@contoso.test", strings.ToUpper(name), i)], asked[fmt.Sprintf("%s%d", name, i)] = true, true, true
		case n < 3:
			x := r.IntN(len(living))
			w.remove(living[x])
			living = append(living[:x], living[x+1:]...)
		case n < 4:
			x := r.IntN(len(living))
			living[x] = w.rename(living[x], fmt.Sprintf("CN=other %d", i), []string{w.ou, inner}[r.IntN(2)])
			asked[living[x]] = true
		case n < 5:
			upn := fmt.Sprintf("%s.%d@contoso.test", names[r.IntN(len(names))], i)
			w.set(living[r.IntN(len(living))], "userPrincipalName", upn)
			asked[upn] = true
		default:
			to := "OU=Inner " + step
			for x, dn := range living {
				living[x] = strings.TrimSuffix(dn, inner)
				if living[x] != dn {
					living[x] += to + "," + w.ou
					asked[living[x]] = true
				}
			}
			inner = w.rename(inner, to, "")
			asked[inner] = true
		}
		w.refresh()
		compare(step)
		if i == 20 || i == 40 {
			w.forgetNames()
			compare(step + ", without an index")
			w.open()
			w.refresh()
			compare(step + ", made again")
		}
	}
}
