package gate_test

import (
	"encoding/binary"
	"runtime"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// flood proposes n times, 256 a batch, what make makes of the number; it returns how often each answer came.
func flood(t *testing.T, s *gate.Session, n int, make func(i int) engine.Proposal) map[string]int {
	t.Helper()
	answers := map[string]int{}
	var batch []engine.Proposal
	for i := range n {
		batch = append(batch, make(i))
		if len(batch) < engine.MaxBatch && i < n-1 {
			continue
		}
		ds, err := s.Propose(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		if len(ds) != len(batch) {
			t.Fatalf("%d answers to %d proposals", len(ds), len(batch))
		}
		for k, d := range ds {
			if d.Seq != batch[k].Seq {
				t.Fatalf("the answer to %d says %d", batch[k].Seq, d.Seq)
			}
			answers[string(d.Outcome)+" "+d.Code]++
		}
		batch = nil
	}
	return answers
}

// heap returns what is in use, in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// What an engine makes the host remember and journal is bounded by the directory, not by what the engine says.
func TestAnEngineCannotFillMemoryOrJournal(t *testing.T) {
	const few = 70 // records at most: one for each of the times that an object is listened to
	long := strings.Repeat("x", 1<<20)
	ghost := func(p engine.Proposal, i int) engine.Proposal {
		binary.BigEndian.PutUint64(p.Object.GUID[:8], uint64(i)+1)
		return p
	}
	for name, make := range map[string]func(i int) engine.Proposal{
		"objects that nobody knows": func(i int) engine.Proposal { return ghost(propose(), i) },
		"of unknown features": func(i int) engine.Proposal {
			p := ghost(propose(), i)
			p.Feature = scoping.Feature(long[:i%999])
			return p
		},
		"deleted, that nobody knows": func(i int) engine.Proposal {
			p := ghost(propose(), i)
			p.Want, p.Desired = engine.Gone, nil
			return p
		},
		"one object read under an old grant": func(int) engine.Proposal {
			p := propose()
			p.Epoch = epoch(1)
			return p
		},
		"one object with another feature each time": func(i int) engine.Proposal {
			p := propose()
			p.Feature = scoping.Feature(long[:i%2000])
			return p
		},
		"one object that is gone, again and again": func(int) engine.Proposal {
			p := propose()
			p.Want, p.Desired = engine.Gone, nil
			return p
		},
		"in directories with long names": func(i int) engine.Proposal {
			p := ghost(propose(), i)
			p.Object.Directory = long
			return p
		},
		"with long values": func(i int) engine.Proposal {
			return renamed(long)
		},
		"with long names": func(i int) engine.Proposal {
			p := ghost(propose(), i)
			p.Name, p.Reason = long, long
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.account(ann, "ann")
			s := w.begin()
			before, records := heap(), w.seq
			answers := flood(t, s, 20_000, make)
			if _, err := s.End(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			if n := w.seq - records; n > few {
				t.Errorf("%d records of 20,000 proposals, %v", n, answers)
			}
			if more := int64(heap()) - int64(before); more > 16<<20 {
				t.Errorf("the session keeps %d MiB, %v", more>>20, answers)
			}
			runtime.KeepAlive(s)
		})
	}
}

// What is refused for its size names the limit, and the rest of the batch is answered as ever.
func TestALargeProposalIsRefusedAlone(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	w.account(bob, "bob")
	large, usual := renamed(strings.Repeat("v", 5000)), renamed("Ann B")
	large.Seq, usual.Seq, usual.Object = 1, 2, bob
	ds := w.propose(large, usual)
	want(t, ds[0], engine.Refused, "too-large")
	if !strings.Contains(ds[0].Reason, "displayName has 5000 bytes; at most 4096") {
		t.Errorf("reason %q", ds[0].Reason)
	}
	if ds[1].Outcome == engine.Refused || ds[1].Seq != 2 {
		t.Errorf("the other is answered %+v", ds[1])
	}
}

// The journal says how much of a run it does not list.
func TestUnlistedAnswersAreCounted(t *testing.T) {
	w := newWorld(t)
	var counted string
	w.append = func(r ledger.Record) error {
		if r.Op == "excess" {
			counted = r.Reason
		}
		return nil
	}
	s := w.begin()
	flood(t, s, 3000, func(i int) engine.Proposal {
		p := propose()
		binary.BigEndian.PutUint64(p.Object.GUID[:8], uint64(i)+1)
		return p
	})
	if _, err := s.End(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(counted, "1000 objects that the directory does not show") {
		t.Errorf("the journal says %q", counted)
	}
}

// A name that is cut stays readable.
func TestNamesAreCutAtACharacter(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	var name string
	w.append = func(r ledger.Record) error {
		if r.Type == ledger.IntentType {
			name = r.Name
		}
		return nil
	}
	p := renamed("Ann B")
	p.Name = "CN=" + strings.Repeat("ü", 5000)
	w.propose(p)
	if len(name) > 1100 || !strings.HasSuffix(name, "ü…") {
		t.Errorf("the journal names it %q", name)
	}
}
