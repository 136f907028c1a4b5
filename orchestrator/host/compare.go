package host

import (
	"context"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/scoping"
)

// compare looks at what no event told of, or told of at a moment when it could not be concluded (standing S2: debts are what comparison finds): links whose
// objects have another owner, another place, or are back; what was never settled by the engine that owns it. An object about which something is owed already,
// or on its way, is left to that.
//
// Links are compared after each opening, and when the directory, control or the end of a doubt may have changed what follows; everything else only after an
// opening and when control changed. The prep lock is held.
func (h *Host) compare(ctx context.Context) error {
	auth := h.gate.Authority()
	if !h.news && h.compared == auth.Epoch {
		return nil
	}
	var keys []ledger.Key
	var rs []ledger.Record
	h.gate.Read(func(s *ledger.State) {
		for _, id := range s.Objects() {
			k, r := h.compareLink(s, auth, s.Rows.Get(id))
			keys, rs = append(keys, k...), append(rs, r...)
		}
		if h.compared != auth.Epoch {
			keys = append(keys, h.unlinked(s, auth)...)
		}
	})
	if err := h.gate.Record(ctx, rs...); err != nil {
		return err
	}
	if err := h.soil(ctx, keys, ledger.Unasked, "its owner did not settle it yet"); err != nil {
		return err
	}
	h.compared, h.news = auth.Epoch, false
	return nil
}

// compareLink returns what follows for one link.
func (h *Host) compareLink(s *ledger.State, auth gate.Authority, row *ledger.Row) ([]ledger.Key, []ledger.Record) {
	id, sight := row.Object, h.o.Census.Sight(row.Object)
	if _, pending := s.Pending(id); pending || !sight.Known || sight.Gone {
		return nil, nil
	}
	if r, changed := h.transit(s, auth, row); changed {
		return nil, []ledger.Record{r}
	}
	var keys []ledger.Key
	base := ledger.Key{Object: id, Feature: scoping.Base(row.Kind)}
	if _, owed := s.Dirt[id][base.Feature]; !owed && h.returned(s, auth, row) {
		keys = append(keys, base)
	}
	refs := ledger.Key{Object: id, Feature: scoping.References}
	_, owed := s.Dirt[id][refs.Feature]
	_, settled := row.Features[scoping.References]
	if row.State == ledger.Live && !owed && !settled && ran(s, auth.Owner(sight.Place(id.Directory), row.Kind, scoping.References).Engine) {
		keys = append(keys, refs)
	}
	return keys, h.Placing(s, auth, row)
}

// unlinked returns the keys of objects that their owner never settled and the tenant does not have, of engines that have run. Of one that has most of its objects to settle yet
// nothing is asked singly: it has its first full run to make, or to make to its end (standing S2a).
func (h *Host) unlinked(s *ledger.State, auth gate.Authority) (keys []ledger.Key) {
	var ids []scoping.ObjectID
	due := map[string][]ledger.Key{}
	for _, name := range h.o.Census.Names() {
		h.o.Census.Tree(name, func(t *census.Tree) {
			for id := range t.Under(t.Root) {
				if s.Rows.Get(id) == nil {
					ids = append(ids, id)
				}
			}
		})
	}
	for _, id := range ids {
		sight := h.o.Census.Sight(id)
		f := scoping.Base(sight.Kind)
		_, owed := s.Dirt[id][f]
		_, pending := s.Pending(id)
		_, excluded := s.Excluded[id]
		if owed || pending || excluded || !h.o.Census.Expected(id) || s.CreateRejected(id) {
			continue
		}
		if owner := auth.Owner(sight.Place(id.Directory), sight.Kind, f).Engine; ran(s, owner) {
			due[owner] = append(due[owner], ledger.Key{Object: id, Feature: f})
		}
	}
	for _, owner := range slices.Sorted(maps.Keys(due)) {
		if n := len(due[owner]); n <= manyUnasked || n*5 <= s.Rows.Len() {
			keys = append(keys, due[owner]...)
		}
	}
	return keys
}

// manyUnasked is how many objects are asked for singly however few the others are (standing S2a).
const manyUnasked = 1000

// ran reports whether a name is that of an engine that has run.
func ran(s *ledger.State, name string) bool { return name != scoping.None && s.Runs[name] != nil }

// returned reports whether an object lives where an engine owns it, and Tandem deleted it in the tenant: whatever brought it back, its owner has to be asked.
func (h *Host) returned(s *ledger.State, auth gate.Authority, row *ledger.Row) bool {
	if row.State != ledger.DeletedByTandem {
		return false // as almost every row: nothing else has to be looked up
	}
	sight := h.o.Census.Sight(row.Object)
	_, excluded := s.Excluded[row.Object]
	return sight.Known && !sight.Gone && !excluded && !s.CreateRejected(row.Object) &&
		h.Owner(auth, row.Object, row.Kind) != scoping.None
}
