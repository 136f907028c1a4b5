package ledger_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// record draws any record that the host could write, in any order: folding has to survive logs that make no sense.
func record(t *rapid.T) ledger.Record {
	o := object(byte(rapid.IntRange(10, 13).Draw(t, "object")))
	id := fmt.Sprintf("i%d-%d", o.GUID[15], rapid.IntRange(1, 3).Draw(t, "intent")) // an intent is of one object
	account := rapid.SampledFrom([]string{"", "c1", "c2", "c3"})
	engines := rapid.SampledFrom([]string{"connect", "cloudsync"})
	features := rapid.SampledFrom([]scoping.Feature{scoping.Users, scoping.References})
	r := ledger.Record{At: int64(rapid.IntRange(0, 3).Draw(t, "at")) * ledger.Window.Milliseconds() / 2, Engine: engines.Draw(t, "engine"), Object: &o, Kind: scoping.User,
		Feature: features.Draw(t, "feature"), Epoch: epoch(rapid.Uint64Range(1, 4).Draw(t, "epoch")), Name: rapid.SampledFrom([]string{"", "CN=x"}).Draw(t, "name")}
	c := ledger.Claim{CloudID: account.Draw(t, "claimed"), Anchor: account.Draw(t, "anchor"), Place: sales, Chain: []scoping.GUID{sales, root},
		State: rapid.SampledFrom([]ledger.RowState{"", ledger.Live, ledger.DeletedByTandem, ledger.ParkedRow}).Draw(t, "state"),
		Owner: rapid.SampledFrom([]string{"", scoping.None}).Draw(t, "owner")}
	if rapid.Bool().Draw(t, "later") {
		c.Never = &ledger.Never{Count: rapid.IntRange(1, 3).Draw(t, "never")}
	}
	switch rapid.IntRange(0, 9).Draw(t, "type") {
	case 0, 1:
		op := rapid.SampledFrom([]cloud.Op{cloud.Create, cloud.Update, cloud.Delete}).Draw(t, "op")
		r.Type, r.Op = ledger.IntentType, string(op)
		r.Intent = &ledger.Intent{Write: cloud.Write{ID: id, Op: op, Kind: scoping.User}, Claim: c, Final: rapid.Bool().Draw(t, "final"),
			Class: rapid.SampledFrom([]ledger.Class{ledger.Ordinary, ledger.Deletes}).Draw(t, "class")}
	case 2, 3:
		r.Type = ledger.SettleType
		r.Settle = &ledger.Settlement{Intent: id, Until: 5, Result: cloud.Result{CloudID: account.Draw(t, "id"),
			Status: rapid.SampledFrom([]cloud.Status{cloud.Done, cloud.Done, cloud.Rejected, cloud.InDoubt}).Draw(t, "status")}}
	case 4:
		r.Type, r.Doubt = ledger.DoubtType, &ledger.DoubtEnd{Intent: id, CloudID: account.Draw(t, "id"), Quiet: int64(rapid.IntRange(0, 1).Draw(t, "quiet")),
			How: rapid.SampledFrom([]string{"seen", "repeated", "expired"}).Draw(t, "how")}
	case 5:
		r.Type, r.Outcome = ledger.DecisionType, rapid.SampledFrom([]engine.Outcome{engine.Applied, engine.Unchanged, engine.Held, engine.Shadowed, engine.Released}).Draw(t, "outcome")
		r.Closed = rapid.Bool().Draw(t, "closed")
		if rapid.Bool().Draw(t, "claims") {
			r.Claim = &c
		}
		r.Excluded = rapid.SampledFrom([]string{"", "", "no-upn"}).Draw(t, "excluded")
		r.Taken = r.Excluded == "" && rapid.Bool().Draw(t, "taken")
	case 6:
		r.Type, r.Transit = ledger.TransitType, &ledger.Transit{From: engines.Draw(t, "from"), To: engines.Draw(t, "to")}
	case 7:
		r.Type = ledger.TransferType
		r.Transfer = &scoping.Transfer{Scope: scoping.Scope{Directory: "contoso", Under: sales, Features: []scoping.Feature{scoping.Users}},
			From: engines.Draw(t, "from"), To: engines.Draw(t, "to"), At: r.Epoch}
	case 8:
		r = hold(rapid.IntRange(0, 3).Draw(t, "entries"))
	default:
		r = answer(hold(rapid.IntRange(1, 3).Draw(t, "entries")), rapid.SampledFrom([]string{"approve", "reject", "forget"}).Draw(t, "verb"))
	}
	return r
}

func foldInto(t *rapid.T, s *ledger.State, from int, rs []ledger.Record) {
	for i, r := range rs {
		decoded, err := ledger.Decode(ledger.Encode(r))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Fold(uint64(from+i+1), decoded); err != nil {
			t.Fatal(err)
		}
	}
}

// shelf keeps a ledger in memory.
type shelf map[string]map[string]string

func (f shelf) Get(section, key string) ([]byte, error) {
	v, ok := f[section][key]
	if !ok {
		return nil, nil
	}
	return []byte(v), nil
}

func (f shelf) Each(section string, each func(string, []byte) error) error {
	for k, v := range f[section] {
		if err := each(k, []byte(v)); err != nil {
			return err
		}
	}
	return nil
}

func (f shelf) store(c *ledger.Checkpoint) {
	for _, section := range ledger.Sections() {
		if f[section] == nil || c.Anew {
			f[section] = map[string]string{}
		}
	}
	for _, e := range c.Entries {
		switch {
		case e.Append:
			f[e.Section][e.Key] += string(e.Value)
		case e.Value == nil:
			delete(f[e.Section], e.Key)
		default:
			f[e.Section][e.Key] = string(e.Value)
		}
	}
}

type fataler interface{ Fatal(...any) }

// keep stores what changed of a ledger.
func keep(t fataler, s *ledger.State, f shelf) {
	c, err := s.Checkpoint("hash")
	if err != nil {
		t.Fatal(err)
	}
	f.store(c)
	s.Stored(c, true)
}

// view is what readers see, with everything that is derived.
func view(s *ledger.State) map[string]any {
	out := map[string]any{"dirty": s.UnsettledKeys(), "objects": s.Objects(), "holds": s.SortedHolds()}
	for n := byte(10); n <= 13; n++ {
		o := object(n)
		p, pending := s.Pending(o)
		id, linked := s.Linked(o)
		owner, known := s.OwnerOfRecord(o, scoping.Users)
		answered, _ := s.Answered(ledger.Question{Engine: "connect", Object: o, Feature: scoping.Users, Grave: ledger.Grave{Op: "delete"}}, 0)
		out[o.String()] = []any{p, pending, id, linked, owner, known, answered, s.DeleteHeld(o), s.CreateRejected(o)}
	}
	for _, id := range []string{"c1", "c2", "c3"} {
		r, ok := s.ByCloud(id)
		out[id] = []any{r, ok}
	}
	return out
}

// A checkpoint with the tail after it is the whole log, also one that was stored over an earlier one, or that could not be stored at first; folding a second
// time what was folded changes nothing; the same log gives the same ledger; and a ledger that reads a row when it is asked for shows the same.
func TestCheckpointAndTailEqualTheWholeLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rs := rapid.SliceOfN(rapid.Custom(record), 0, 25).Draw(t, "records")
		cut := rapid.IntRange(0, len(rs)).Draw(t, "cut")
		back := rapid.IntRange(0, cut).Draw(t, "back")
		whole, all := ledger.New(), shelf{}
		foldInto(t, whole, 0, rs)
		keep(t, whole, all)

		early, kept := ledger.New(), shelf{"rows": {"contoso/left behind": "by another ledger"}}
		foldInto(t, early, 0, rs[:back])
		if rapid.Bool().Draw(t, "stored before") {
			keep(t, early, kept)
		} else if c, err := early.Checkpoint("hash"); err != nil {
			t.Fatal(err)
		} else {
			early.Stored(c, false)
		}
		foldInto(t, early, back, rs[back:cut])
		keep(t, early, kept)
		s, hash, err := ledger.Load(kept)
		if err != nil || hash != "hash" || s.Seq != uint64(cut) {
			t.Fatal(err, hash)
		}
		if d := cmp.Diff(view(early), view(s)); d != "" {
			t.Fatalf("a checkpoint is another ledger: %s", d)
		}
		seen, _, err := ledger.Glance(kept)
		if err != nil {
			t.Fatal(err)
		}
		s.Rows.InTransit()              // from here on it is told by what changes
		foldInto(t, s, back, rs[back:]) // from an earlier point than needed
		if d := cmp.Diff(whole.Rows.InTransit(), s.Rows.InTransit()); d != "" {
			t.Fatalf("what is in transit, from the start and by what changed: %s", d)
		}
		foldInto(t, seen, back, rs[back:])
		if d := cmp.Diff(whole.Rows.Live(), seen.Rows.Live()); d != "" {
			t.Fatalf("rows that are read when they are asked for: %s", d)
		}
		if d := cmp.Diff(view(whole), view(seen)); d != "" || seen.Err() != nil {
			t.Fatalf("rows that are read when they are asked for: %s, %v", d, seen.Err())
		}
		keep(t, s, kept)
		if d := cmp.Diff(all, kept); d != "" {
			t.Fatal(d)
		}
		if d := cmp.Diff(view(whole), view(s)); d != "" {
			t.Fatal(d)
		}
		for n := byte(10); n <= 13; n++ {
			checkRecords(t, s, kept, object(n), rs)
		}
	})
}

// checkRecords compares the list of records about an object with the log.
func checkRecords(t *rapid.T, s *ledger.State, f shelf, o scoping.ObjectID, rs []ledger.Record) {
	var want []uint64
	for i, r := range rs {
		if r.Object != nil && *r.Object == o {
			want = append(want, uint64(i+1))
		}
	}
	got, since, err := s.Records(f, o)
	if d := cmp.Diff(want, got); d != "" || since != 1 || err != nil {
		t.Fatalf("records about %s since %d: %s, %v", o, since, d, err)
	}
}

// A checkpoint of an earlier program, with all rows in its head, is read and written anew.
func TestCheckpointOfVersionOneIsRead(t *testing.T) {
	s := fold(t, append(created(), intent("i2", bob, cloud.Create, claim()))...)
	row, err := json.Marshal(s.Rows.Get(ann))
	if err != nil {
		t.Fatal(err)
	}
	first := shelf{"ledger": {"checkpoint": `{"version":1,"hash":"hash","state":{"seq":3,"rows":{"` + ann.String() + `":` + string(row) + `}}}`}}
	old, hash, err := ledger.Load(first)
	if err != nil || hash != "hash" || old.Rows.Get(ann) == nil || old.Seq != 3 {
		t.Fatalf("%v, %+v", err, old)
	}
	if r, ok := old.ByCloud("c-ann"); !ok || r.Object != ann {
		t.Error("its link was lost")
	}
	keep(t, old, first)
	again, _, err := ledger.Load(first)
	if err != nil || again.Rows.Len() != 1 {
		t.Fatal(err)
	}
	if d := cmp.Diff(old.Rows.Get(ann), again.Rows.Get(ann), cmp.AllowUnexported(ledger.Links{})); d != "" {
		t.Error(d)
	}
	if _, since, err := again.Records(first, ann); err != nil || since != 4 {
		t.Errorf("records are listed since %d, %v", since, err)
	}
}

// A checkpoint whose rows were lost or damaged is not taken for a ledger.
func TestDamagedRowsAreNoLedger(t *testing.T) {
	for name, damage := range map[string]func(shelf){
		"lost":    func(f shelf) { delete(f["rows"], ann.String()) },
		"cut off": func(f shelf) { f["rows"][ann.String()] = f["rows"][ann.String()][:20] },
		"another": func(f shelf) { f["rows"][ann.String()] = `{"object":"` + bob.String() + `","features":{}}` },
		"no name": func(f shelf) { f["rows"]["x"] = f["rows"][ann.String()] },
	} {
		f := shelf{}
		keep(t, fold(t, created()...), f)
		damage(f)
		if _, _, err := ledger.Load(f); !errors.Is(err, ledger.ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
		s, _, err := ledger.Glance(f)
		if err != nil {
			t.Fatal(name, err)
		}
		if name == "cut off" && (s.Rows.Get(ann) != nil || !errors.Is(s.Err(), ledger.ErrRecord)) {
			t.Errorf("%s: a row that was asked for: %v", name, s.Err())
		}
	}
}

// One account is one row's, and every row knows its account (rules I2, I3).
func TestAccountsAndRowsAreOneToOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := ledger.New()
		foldInto(t, s, 0, rapid.SliceOfN(rapid.Custom(record), 0, 40).Draw(t, "records"))
		seen := map[string]scoping.ObjectID{}
		for o, r := range s.Rows.All() {
			if r.CloudID == "" {
				continue
			}
			if other, twice := seen[r.CloudID]; twice {
				t.Fatalf("%s belongs to %s and %s", r.CloudID, o, other)
			}
			seen[r.CloudID] = o
			if back, ok := s.ByCloud(r.CloudID); !ok || back.Object != o {
				t.Fatalf("%s is not found by its account %s", o, r.CloudID)
			}
		}
	})
}

// A record read back is the record written.
func TestRecordsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := record(t)
		got, err := ledger.Decode(ledger.Encode(r))
		r.V = ledger.Version
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(ledger.Encode(r), ledger.Encode(got)); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzDecodeAndFold(f *testing.F) {
	for _, r := range append(created(), hold(2), decision(engine.Held, false, false), transfer(6, "a", "b", scoping.Users)) {
		f.Add(ledger.Encode(r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ledger.Decode(b)
		if err != nil {
			return
		}
		s := ledger.New()
		if s.Fold(1, r) == nil && s.Seq != 1 {
			t.Fatal("folded, and not counted")
		}
		_ = s.Fold(2, settle(idOf(r), cloud.Done, "c"))
	})
}

func idOf(r ledger.Record) string {
	if r.Intent == nil {
		return ""
	}
	return r.Intent.Write.ID
}

func FuzzLoadCheckpoint(f *testing.F) {
	s := ledger.New()
	for i, r := range append(created(), hold(2), intent("i2", bob, cloud.Update, claim())) {
		if err := s.Fold(uint64(i+1), r); err != nil {
			f.Fatal(err)
		}
	}
	kept := shelf{}
	keep(f, s, kept)
	f.Add([]byte(kept["ledger"]["checkpoint"]))
	f.Add([]byte(`{"version":1,"state":{"rows":{"contoso/00000000-0000-0000-0000-00000000000a":null}}}`))
	f.Add([]byte(`{"version":1,"state":{"rows":{"contoso/00000000-0000-0000-0000-00000000000a":{"cloudId":"c"}}}}`))
	f.Add([]byte(`{"version":1,"state":{"rows":{"contoso/00000000-0000-0000-0000-00000000000a":{"features":{"users":null}}}}}`))
	f.Add([]byte(`{"version":1,"state":{"intents":{"i":null}}}`))
	f.Add([]byte(`{"version":1,"state":{"intents":{"i":{"record":{}}}}}`))
	f.Add([]byte(`{"version":1,"state":{"holds":{"h":null}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _, err := ledger.Load(shelf{"ledger": {"checkpoint": string(b)}})
		if err != nil {
			return
		}
		view(s)
		for i, r := range append(created(), hold(1), answer(hold(1), "approve")) {
			_ = s.Fold(s.Seq+uint64(i)+1, r)
		}
	})
}
