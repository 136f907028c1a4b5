package gate

import (
	"iter"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// words are what a session said last of each key. A run of everything says something of every key, and mostly the same: what judgements have in common is kept once.
type words struct {
	of     map[scoping.Feature]map[scoping.ObjectID]*Judgement // a shared one without key and name, or one of its own
	common map[common]*Judgement
	count  int
}

// common is what judgements with which nobody has to do anything differ in.
type common struct {
	kind    scoping.Kind
	want    engine.Want
	outcome engine.Outcome
	code    Code
	reason  string
	op      string
}

func (w *words) put(j Judgement) {
	if w.of == nil {
		w.of, w.common = map[scoping.Feature]map[scoping.ObjectID]*Judgement{}, map[common]*Judgement{}
	}
	of := w.of[j.Key.Feature]
	if of == nil {
		of = map[scoping.ObjectID]*Judgement{}
		w.of[j.Key.Feature] = of
	}
	says := &j
	if settled := j.Outcome == engine.Applied || j.Outcome == engine.Unchanged; settled && j.Code == "" && j.Before == nil && j.After == nil && j.Foreign == nil && j.Manages == nil {
		c := common{j.Kind, j.Want, j.Outcome, j.Code, j.Reason, j.Op}
		if w.common[c] == nil {
			shared := j
			shared.Key, shared.Name = ledger.Key{}, ""
			w.common[c] = &shared
		}
		says = w.common[c]
	}
	before := len(of)
	of[j.Key.Object] = says
	w.count += len(of) - before
}

func (w *words) get(k ledger.Key) (Judgement, bool) {
	says := w.of[k.Feature][k.Object]
	if says == nil {
		return Judgement{}, false
	}
	j := *says
	j.Key = k
	return j, true
}

// all yields the judgements in order of object, then feature. Those with which nobody has to do anything have no name.
func (w *words) all() iter.Seq[Judgement] {
	return func(yield func(Judgement) bool) {
		keys := make([]ledger.Key, 0, w.count)
		for f, of := range w.of {
			for o := range of {
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
