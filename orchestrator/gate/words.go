package gate

import (
	"iter"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// words are what a session said last of each key. A run of everything says something of every key, and mostly the same: what judgements have in common is kept once.
type words struct {
	of     map[ledger.Key]word
	common map[common]*Judgement
}

// word is one judgement: a shared one without key and name, or one of its own.
type word struct {
	name string
	says *Judgement
}

// common is what judgements without values and lists differ in.
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
		w.of, w.common = map[ledger.Key]word{}, map[common]*Judgement{}
	}
	said := word{name: j.Name, says: &j}
	if j.Before == nil && j.After == nil && j.Foreign == nil && j.Manages == nil {
		c := common{j.Kind, j.Want, j.Outcome, j.Code, j.Reason, j.Op}
		if w.common[c] == nil {
			shared := j
			shared.Key, shared.Name = ledger.Key{}, ""
			w.common[c] = &shared
		}
		said.says = w.common[c]
	}
	w.of[j.Key] = said
}

func (w *words) get(k ledger.Key) (Judgement, bool) {
	said, ok := w.of[k]
	if !ok {
		return Judgement{}, false
	}
	j := *said.says
	j.Key, j.Name = k, said.name
	return j, true
}

// all yields the judgements in order of object, then feature.
func (w *words) all() iter.Seq[Judgement] {
	return func(yield func(Judgement) bool) {
		for _, k := range slices.SortedFunc(maps.Keys(w.of), ledger.Key.Compare) {
			if j, _ := w.get(k); !yield(j) {
				return
			}
		}
	}
}
