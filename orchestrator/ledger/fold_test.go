package ledger_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

var (
	root  = guid(1)
	sales = guid(2)
	ann   = object(10)
	bob   = object(11)
)

func guid(n byte) (g scoping.GUID) { g[15] = n; return g }

func object(n byte) scoping.ObjectID { return scoping.ObjectID{Directory: "contoso", GUID: guid(n)} }

func epoch(n uint64) scoping.Epoch { return scoping.Epoch{Incarnation: 1, N: n} }

// fold makes a ledger of records, numbered from 1.
func fold(t *testing.T, rs ...ledger.Record) *ledger.State {
	t.Helper()
	s := ledger.New()
	for i, r := range rs {
		if err := s.Fold(uint64(i+1), r); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func intent(id string, o scoping.ObjectID, op cloud.Op, c ledger.Claim) ledger.Record {
	return ledger.Record{Type: ledger.IntentType, At: 1000, Engine: "connect", Object: &o, Kind: scoping.User, Name: "CN=x", Feature: scoping.Users, Op: string(op),
		Epoch: epoch(5), Intent: &ledger.Intent{Write: cloud.Write{ID: id, Op: op, Kind: scoping.User}, Claim: c, Final: true}}
}

func settle(id string, s cloud.Status, cloudID string) ledger.Record {
	return ledger.Record{Type: ledger.SettleType, At: 1001, Settle: &ledger.Settlement{Intent: id, Until: 9000, Result: cloud.Result{Status: s, CloudID: cloudID}}}
}

func claim() ledger.Claim {
	return ledger.Claim{Anchor: "YQ==", Place: sales, Chain: []scoping.GUID{sales, root}, Hash: "h", State: ledger.Live, Origin: ledger.Created}
}

// created are the records of ann's account c-ann, made by connect at epoch 5.
func created() []ledger.Record {
	return []ledger.Record{intent("i1", ann, cloud.Create, claim()), settle("i1", cloud.Done, "c-ann")}
}

func decision(o engine.Outcome, closed, quiet bool) ledger.Record {
	return ledger.Record{Type: ledger.DecisionType, At: 1002, Engine: "connect", Object: &ann, Kind: scoping.User, Feature: scoping.Users, Outcome: o, Closed: closed, Quietly: quiet}
}

func transfer(n uint64, from, to string, f ...scoping.Feature) ledger.Record {
	return ledger.Record{Type: ledger.TransferType, Transfer: &scoping.Transfer{Scope: scoping.Scope{Directory: "contoso", Under: sales, Features: f}, From: from, To: to, At: epoch(n)}}
}

// Rule L1: the owner of record is the row's record, folded with later transfers whose scope covers its place.
func TestOwnerOfRecordFollowsTransfers(t *testing.T) {
	elsewhere := transfer(6, "connect", "cloudsync", scoping.Users)
	elsewhere.Transfer.Scope.Under = guid(99)
	for name, x := range map[string]struct {
		transfers []ledger.Record
		owner     string
	}{
		"none":                  {nil, "connect"},
		"cutover":               {[]ledger.Record{transfer(6, "connect", "cloudsync", scoping.Users)}, "cloudsync"},
		"cutover and rollback":  {[]ledger.Record{transfer(6, "connect", "cloudsync", scoping.Users), transfer(7, "cloudsync", "connect", scoping.Users)}, "connect"},
		"of another feature":    {[]ledger.Record{transfer(6, "connect", "cloudsync", scoping.Groups)}, "connect"},
		"of another place":      {[]ledger.Record{elsewhere}, "connect"},
		"before the record":     {[]ledger.Record{transfer(4, "connect", "cloudsync", scoping.Users)}, "connect"},
		"at the record's epoch": {[]ledger.Record{transfer(5, "connect", "cloudsync", scoping.Users)}, "connect"},
		"from another engine":   {[]ledger.Record{transfer(6, "third", "cloudsync", scoping.Users)}, "connect"},
	} {
		s := fold(t, append(created(), x.transfers...)...)
		before := *s.Rows.Get(ann).Features[scoping.Users]
		if o, known := s.OwnerOfRecord(ann, scoping.Users); o != x.owner || !known {
			t.Errorf("%s: %s, %v", name, o, known)
		}
		if d := cmp.Diff(before, *s.Rows.Get(ann).Features[scoping.Users]); d != "" {
			t.Errorf("%s: a transfer wrote a row: %s", name, d)
		}
	}
}

// Rule L2: without a record the owner is unknown, not nobody.
func TestOwnerWithoutRecordIsUnknown(t *testing.T) {
	s := fold(t, created()...)
	for _, k := range []ledger.Key{{Object: bob, Feature: scoping.Users}, {Object: ann, Feature: scoping.References}} {
		if o, known := s.OwnerOfRecord(k.Object, k.Feature); known {
			t.Errorf("%v: %s", k, o)
		}
	}
}

// Rule I2: the link keeps the anchor as it was when joined, whatever is settled later without one.
func TestLinkKeepsItsAnchorAndOrigin(t *testing.T) {
	c := claim()
	c.Anchor, c.Origin = "", ledger.Restored
	s := fold(t, append(created(), intent("i2", ann, cloud.Update, c), settle("i2", cloud.Done, ""))...)
	if r := s.Rows.Get(ann); r.Anchor != "YQ==" || r.Origin != ledger.Created || r.CloudID != "c-ann" {
		t.Errorf("%+v", r)
	}
}

// Rules X1, X3 and P6: only a settled write changes a row; one without an answer stays open until its doubt ends.
func TestOnlySettledWritesChangeRows(t *testing.T) {
	open := intent("i1", ann, cloud.Create, claim())
	end := func(how string) ledger.Record {
		return ledger.Record{Type: ledger.DoubtType, Object: &ann, Feature: scoping.Users, Doubt: &ledger.DoubtEnd{Intent: "i1", How: how, CloudID: "c-ann"}}
	}
	for name, x := range map[string]struct {
		tail           []ledger.Record
		row, open, bad bool
	}{
		"intent":         {nil, false, true, false},
		"done":           {[]ledger.Record{settle("i1", cloud.Done, "c-ann")}, true, false, false},
		"rejected":       {[]ledger.Record{settle("i1", cloud.Rejected, "")}, false, false, false},
		"throttled":      {[]ledger.Record{settle("i1", cloud.Throttled, "")}, false, false, false},
		"not sent":       {[]ledger.Record{settle("i1", cloud.NotSent, "")}, false, false, false},
		"in doubt":       {[]ledger.Record{settle("i1", cloud.InDoubt, "")}, false, true, true},
		"seen":           {[]ledger.Record{settle("i1", cloud.InDoubt, ""), end("seen")}, true, false, false},
		"repeated":       {[]ledger.Record{settle("i1", cloud.InDoubt, ""), end("repeated")}, true, false, false},
		"expired":        {[]ledger.Record{settle("i1", cloud.InDoubt, ""), end("expired")}, false, false, false},
		"settled twice":  {[]ledger.Record{settle("i1", cloud.Done, "c-ann"), settle("i1", cloud.Rejected, "")}, true, false, false},
		"seen after all": {[]ledger.Record{settle("i1", cloud.Done, "c-ann"), end("expired")}, true, false, false},
	} {
		s := fold(t, append([]ledger.Record{open}, x.tail...)...)
		o, pending := s.Pending(ann)
		if (s.Rows.Get(ann) != nil) != x.row || pending != x.open || (pending && o.Doubt != x.bad) {
			t.Errorf("%s: row %v, pending %v", name, s.Rows.Get(ann) != nil, pending)
		}
	}
}

// An update whose effect is unknown makes its engine the one that sees the object off, if no engine had written it last: the account may have been enabled
// by it (simulation, seed 1127).
func TestAnUpdateWithAnUnknownEffectHasAWriter(t *testing.T) {
	back, leaver := claim(), claim()
	back.State, leaver.Owner, leaver.State = ledger.Live, scoping.None, ledger.ParkedRow
	expired := ledger.Record{Type: ledger.DoubtType, Object: &ann, Feature: scoping.Users, Doubt: &ledger.DoubtEnd{Intent: "i3", How: "expired"}}
	sent, doubt := intent("i3", ann, cloud.Update, back), settle("i3", cloud.InDoubt, "")
	parks := []ledger.Record{intent("i2", ann, cloud.Update, leaver), settle("i2", cloud.Done, "")}
	sent.Epoch = epoch(7)
	givesUp := transfer(6, "connect", scoping.None, scoping.Users)
	for name, x := range map[string]struct {
		before, after []ledger.Record
		owner         string
		state         ledger.RowState
	}{
		"its doubt ended by time":            {parks, []ledger.Record{sent, doubt, expired}, "connect", ledger.Live},
		"it was throttled":                   {parks, []ledger.Record{sent, settle("i3", cloud.Throttled, "")}, "connect", ledger.Live},
		"it is in doubt":                     {parks, []ledger.Record{sent, doubt}, scoping.None, ledger.ParkedRow},
		"it was rejected":                    {parks, []ledger.Record{sent, settle("i3", cloud.Rejected, "")}, scoping.None, ledger.ParkedRow},
		"it was not sent":                    {parks, []ledger.Record{sent, settle("i3", cloud.NotSent, "")}, scoping.None, ledger.ParkedRow},
		"a policy gave its place to nobody":  {[]ledger.Record{givesUp}, []ledger.Record{sent, doubt, expired}, "connect", ledger.Live},
		"another engine had written it last": {[]ledger.Record{transfer(6, "connect", "cloudsync", scoping.Users)}, []ledger.Record{sent, doubt, expired}, "cloudsync", ledger.Live},
		"it is the leaver's last update":     {[]ledger.Record{givesUp}, []ledger.Record{intent("i3", ann, cloud.Update, leaver), doubt, expired}, scoping.None, ledger.Live},
	} {
		s := fold(t, slices.Concat(created(), x.before, x.after)...)
		if o, known := s.OwnerOfRecord(ann, scoping.Users); o != x.owner || !known || s.Rows.Get(ann).State != x.state {
			t.Errorf("%s: %s, %q", name, o, s.Rows.Get(ann).State)
		}
	}
}

// A write of links whose doubt ends late says nothing of the object itself: its engine took leave of it meanwhile (rule T4).
func TestLinksWhoseDoubtEndsLateLeaveTheRowAsItIs(t *testing.T) {
	links := intent("i2", bob, cloud.AddMembers, claim())
	links.Feature, links.Name = scoping.References, "CN=bob,OU=Old"
	group := intent("i1", bob, cloud.Create, claim())
	group.Kind, group.Feature = scoping.Group, scoping.Groups
	links.Kind = scoping.Group
	bye := ledger.Record{Type: ledger.DecisionType, Object: &bob, Kind: scoping.Group, Feature: scoping.Groups, Name: "CN=bob,OU=New", Outcome: engine.Unchanged, Closed: true,
		Claim: &ledger.Claim{Owner: scoping.None, State: ledger.ParkedRow}}
	s := fold(t, group, settle("i1", cloud.Done, "c-bob"), links, settle("i2", cloud.InDoubt, ""), bye,
		ledger.Record{Type: ledger.DoubtType, Object: &bob, Feature: scoping.References, Doubt: &ledger.DoubtEnd{Intent: "i2", How: "seen"}})
	if row := s.Rows.Get(bob); row.State != ledger.ParkedRow || row.Name != "CN=bob,OU=New" || row.Features[scoping.References] == nil {
		t.Errorf("%s, named %s: want parked, by its newest name, its links settled", row.State, row.Name)
	}
}

// Rule V2 asks when an object was written last.
func TestRowsKnowWhenTheyWereWritten(t *testing.T) {
	if s := fold(t, created()...); s.Rows.Get(ann).Wrote != 1001 {
		t.Errorf("written at %d, settled at 1001", s.Rows.Get(ann).Wrote)
	}
}

// Rule P6: as long as one write to an object has no end, the object is pending, whatever became of its other writes.
func TestObjectIsPendingWhileAnyWriteIsOpen(t *testing.T) {
	two := append(created(), intent("i2", ann, cloud.Update, claim()), settle("i2", cloud.InDoubt, ""), intent("i3", ann, cloud.Update, claim()), settle("i3", cloud.Done, ""))
	s := fold(t, two...)
	if o, ok := s.Pending(ann); !ok || !o.Doubt {
		t.Errorf("pending %v", ok)
	}
}

// Rule P2: what was not settled stays dirty; what others are told does not make it dirty.
func TestDirtySet(t *testing.T) {
	for name, x := range map[string]struct {
		r     ledger.Record
		dirty bool
	}{
		"applied":         {decision(engine.Applied, true, false), false},
		"unchanged":       {decision(engine.Unchanged, true, false), false},
		"held":            {decision(engine.Held, false, false), true},
		"deferred":        {decision(engine.Deferred, false, false), true},
		"stale":           {decision(engine.Stale, false, false), true},
		"partial":         {decision(engine.Partial, false, false), true},
		"parked":          {decision(engine.Parked, false, false), true},
		"in doubt":        {decision(engine.InDoubt, false, false), true},
		"failed":          {decision(engine.Failed, false, false), true},
		"shadowed":        {decision(engine.Shadowed, false, false), true},
		"somebody else's": {decision(engine.Deferred, false, true), false},
		"released":        {decision(engine.Released, false, false), false},
		"refused":         {decision(engine.Refused, false, false), false},
	} {
		s := fold(t, append(created(), x.r)...)
		if got := len(s.UnsettledKeys()) > 0; got != x.dirty {
			t.Errorf("%s: dirty %v", name, got)
		}
		// What did not settle before stays so unless the owner's matter is closed.
		s = fold(t, append(created(), decision(engine.Deferred, false, false), x.r)...)
		if got := len(s.UnsettledKeys()) > 0; got == x.r.Closed {
			t.Errorf("%s, dirty before: dirty %v", name, got)
		}
	}
}

// Rule T1: in transit everything of the object is asked of the new owner; his join ends it, coming back ends it as well.
func TestTransit(t *testing.T) {
	transit := func(from, to string) ledger.Record {
		return ledger.Record{Type: ledger.TransitType, Object: &ann, Transit: &ledger.Transit{From: from, To: to}}
	}
	s := fold(t, append(created(), transit("connect", "cloudsync"))...)
	if s.Rows.Get(ann).Transit == nil {
		t.Fatal("not in transit")
	}
	if o, _ := s.OwnerOfRecord(ann, scoping.Users); o != "connect" {
		t.Errorf("before B's join settles, %s is the owner of record", o)
	}
	join := intent("i2", ann, cloud.Update, claim())
	join.Engine = "cloudsync"
	rs := append(created(), transit("connect", "cloudsync"), join, settle("i2", cloud.Done, ""))
	s = fold(t, rs...)
	if o, _ := s.OwnerOfRecord(ann, scoping.Users); o != "cloudsync" || s.Rows.Get(ann).Transit != nil {
		t.Errorf("after the join: %s, %+v", o, s.Rows.Get(ann).Transit)
	}
	s = fold(t, append(created(), transit("connect", "cloudsync"), transit("connect", "connect"))...)
	if s.Rows.Get(ann).Transit != nil {
		t.Error("still in transit after it came back")
	}
}

// Rule J1: one who returns under a new objectGUID takes the link along, and one account is never two rows'.
func TestAccountBelongsToOneRow(t *testing.T) {
	s := fold(t, append(created(), intent("i2", bob, cloud.Restore, claim()), settle("i2", cloud.Done, "c-ann"))...)
	if r, ok := s.ByCloud("c-ann"); !ok || r.Object != bob || s.Rows.Get(ann) != nil {
		t.Errorf("%+v, %+v", r, s.Rows.Get(ann))
	}
}

func hold(n int) ledger.Record {
	h := ledger.Hold{Engine: "connect", Assignment: "a", Class: ledger.Deletes, Kind: scoping.User, State: ledger.HoldOpen}
	for i := range n {
		h.Entries = append(h.Entries, ledger.HeldEntry{Object: object(byte(10 + i)), Kind: scoping.User, Feature: scoping.Users, Grave: ledger.Grave{Op: "delete"}})
	}
	h.Name()
	return ledger.Record{Type: ledger.HoldType, Hold: &h}
}

func answer(h ledger.Record, verb string) ledger.Record {
	return ledger.Record{Type: ledger.AnswerType, By: "carol", Answer: &ledger.Answer{Hold: h.Hold.ID, Verb: verb}}
}

// Rule D2: a held set is named by its entries, in whatever order; a newer open one replaces the older.
func TestHeldSetsAreNamedByTheirEntries(t *testing.T) {
	a, b := hold(3), hold(3)
	b.Hold.Entries[0], b.Hold.Entries[2] = b.Hold.Entries[2], b.Hold.Entries[0]
	b.Hold.Name()
	if a.Hold.ID != b.Hold.ID || a.Hold.ID == hold(2).Hold.ID {
		t.Errorf("%s %s %s", a.Hold.ID, b.Hold.ID, hold(2).Hold.ID)
	}
	s := fold(t, hold(3), hold(2))
	if len(s.Holds) != 1 || s.Holds[hold(2).Hold.ID] == nil {
		t.Errorf("%d sets", len(s.Holds))
	}
	if s = fold(t, hold(3), hold(0)); len(s.Holds) != 0 {
		t.Errorf("nothing is held any more, yet %d sets are", len(s.Holds))
	}
	if s = fold(t, hold(3), answer(hold(3), "reject"), hold(2)); len(s.Holds) != 2 {
		t.Errorf("a rejection was replaced: %d sets", len(s.Holds))
	}
}

// Rule J2: whose delete waits in a held set is nobody's candidate.
func TestDeleteIsHeldUntilAnsweredOrDone(t *testing.T) {
	gone := intent("i2", ann, cloud.Delete, ledger.Claim{State: ledger.DeletedByTandem})
	gone.Intent.Class, gone.Intent.Grave = ledger.Deletes, ledger.Grave{Op: "delete"}.Digest()
	approved := append(created(), hold(2), answer(hold(2), "approve"))
	for name, x := range map[string]struct {
		rs   []ledger.Record
		held bool
	}{
		"not held":          {created(), false},
		"open":              {append(created(), hold(2)), true},
		"approved":          {approved, true},
		"rejected":          {append(created(), hold(2), answer(hold(2), "reject")), false},
		"approved and done": {append(approved, gone, settle("i2", cloud.Done, "")), false},
	} {
		if got := fold(t, x.rs...).DeleteHeld(ann); got != x.held {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Rule D2: settled writes of a class that thresholds count are remembered for 24 h.
func TestHistoryIsOfOneDay(t *testing.T) {
	gone := intent("i2", ann, cloud.Delete, ledger.Claim{State: ledger.DeletedByTandem})
	gone.Intent.Class = ledger.Deletes
	first, second := settle("i2", cloud.Done, ""), settle("i3", cloud.Done, "")
	next := intent("i3", bob, cloud.Delete, ledger.Claim{State: ledger.DeletedByTandem})
	next.Intent.Class = ledger.Deletes
	second.At = first.At + ledger.Window.Milliseconds()
	rs := append(created(), gone, first, next, second)
	if n := len(fold(t, rs...).History); n != 2 {
		t.Errorf("at the end of the day: %d", n)
	}
	rs[len(rs)-1].At++
	if n := len(fold(t, rs...).History); n != 1 {
		t.Errorf("a day later: %d", n)
	}
	rs[len(rs)-1] = settle("i3", cloud.Rejected, "")
	if n := len(fold(t, rs...).History); n != 1 {
		t.Errorf("a rejected write is counted: %d", n)
	}
}

// What is not understood is refused, not guessed.
func TestUnknownRecordsAreRefused(t *testing.T) {
	if err := ledger.New().Fold(1, ledger.Record{Type: "gossip"}); !errors.Is(err, ledger.ErrRecord) {
		t.Errorf("an unknown type: %v", err)
	}
	for _, ty := range []ledger.Type{ledger.IntentType, ledger.SettleType, ledger.DecisionType, ledger.TransferType, ledger.TransitType, ledger.HoldType, ledger.AnswerType, ledger.DoubtType} {
		s := ledger.New()
		if err := s.Fold(1, ledger.Record{Type: ty}); !errors.Is(err, ledger.ErrRecord) || s.Seq != 0 {
			t.Errorf("an empty %s: %v", ty, err)
		}
	}
	for name, b := range map[string]string{"no JSON": "{", "a newer version": `{"v":2,"t":"intent"}`, "no version": `{"t":"intent"}`} {
		if _, err := ledger.Decode([]byte(b)); !errors.Is(err, ledger.ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string]string{"no JSON": "{", "a newer version": `{"version":3,"state":{}}`, "no state": `{"version":1}`} {
		if _, _, err := ledger.Load(shelf{"ledger": {"checkpoint": b}}); !errors.Is(err, ledger.ErrRecord) {
			t.Errorf("checkpoint, %s: %v", name, err)
		}
	}
}

// Each engine's last report is kept as the host wrote it.
func TestLastReportIsKept(t *testing.T) {
	s := fold(t, ledger.Record{Type: ledger.ControlType, Op: "run", Engine: "connect", Detail: json.RawMessage(`{"n":1}`)},
		ledger.Record{Type: ledger.ControlType, Op: "stop", Engine: "connect", Detail: json.RawMessage(`{"n":2}`)})
	if string(s.Runs["connect"]) != `{"n":1}` {
		t.Errorf("%s", s.Runs["connect"])
	}
}
