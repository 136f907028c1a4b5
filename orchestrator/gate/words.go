package gate

import (
	"iter"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// words are a session's last answers by key. A full run answers about every key, mostly alike, so common content of judgements is stored once.
type words struct {
	of     map[scoping.Feature]*scoping.ByObject[uint32] // numbers in all
	all    []*Judgement                                  // shared ones have neither key nor name
	common map[common]uint32
	count  int // keys
	due    int // how much of what a full run has to answer was answered: see weight
}

// common is the content of judgements that need no action, without key and name.
type common struct {
	kind    scoping.Kind
	want    engine.Want
	outcome engine.Outcome
	code    Code
	reason  string
	op      string
	links   Links
}

func (w *words) put(j Judgement) {
	if w.of == nil {
		w.of, w.common = map[scoping.Feature]*scoping.ByObject[uint32]{}, map[common]uint32{}
	}
	of := w.of[j.Key.Feature]
	if of == nil {
		of = &scoping.ByObject[uint32]{}
		w.of[j.Key.Feature] = of
	}
	says, known := of.Get(j.Key.Object)
	if !known {
		w.count++
		w.due += w.weight(j)
	}
	if settled := j.Outcome == engine.Applied || j.Outcome == engine.Unchanged; settled && j.Code == "" && j.Before == nil && j.After == nil && j.Parted == nil && j.Foreign == nil && j.Manages == nil {
		c := common{j.Kind, j.Want, j.Outcome, j.Code, j.Reason, j.Op, j.Links}
		if _, met := w.common[c]; !met {
			shared := j
			shared.Key, shared.Name = ledger.Key{}, ""
			w.common[c] = w.add(&shared)
		}
		of.Put(j.Key.Object, w.common[c])
		return
	}
	if known && w.all[says].Key != (ledger.Key{}) { // replaces the former answer
		w.all[says] = &j
		return
	}
	of.Put(j.Key.Object, w.add(&j))
}

// weight returns what the first answer about a key adds to the progress of a run. An object needs two: one about itself and one about its references. For an object that is
// not to be in the tenant the first stands for both. Other features are not counted.
func (w *words) weight(j Judgement) int {
	said := func(f scoping.Feature) (Judgement, bool) { return w.get(ledger.Key{Object: j.Key.Object, Feature: f}) }
	switch j.Key.Feature {
	case scoping.Base(j.Kind):
		if _, both := said(scoping.References); !both && j.Want != engine.Present {
			return 2
		}
		return 1
	case scoping.References:
		if base, known := said(scoping.Base(j.Kind)); known && base.Want != engine.Present {
			return 0
		}
		return 1
	}
	return 0
}

func (w *words) add(j *Judgement) uint32 {
	w.all = append(w.all, j)
	return uint32(len(w.all) - 1)
}

func (w *words) get(k ledger.Key) (Judgement, bool) {
	of := w.of[k.Feature]
	if of == nil {
		return Judgement{}, false
	}
	says, known := of.Get(k.Object)
	if !known {
		return Judgement{}, false
	}
	j := *w.all[says]
	j.Key = k
	return j, true
}

// each yields the judgements in order of object, then feature. Those that need no action have no name.
func (w *words) each() iter.Seq[Judgement] {
	return func(yield func(Judgement) bool) {
		keys := make([]ledger.Key, 0, w.count)
		for f, of := range w.of {
			for o := range of.All() {
				keys = append(keys, ledger.Key{Object: o, Feature: f})
			}
		}
		slices.SortFunc(keys, ledger.Key.Compare)
		for _, k := range keys {
			if j, _ := w.get(k); !yield(j) {
				return
			}
		}
	}
}
