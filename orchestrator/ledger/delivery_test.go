package ledger_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// drawer is a shelf in memory.
type drawer map[string]map[string][]byte

func (d drawer) Get(section, key string) ([]byte, error) { return d[section][key], nil }

func (d drawer) Each(section string, f func(key string, value []byte) error) error {
	for k, v := range d[section] {
		if err := f(k, v); err != nil {
			return err
		}
	}
	return nil
}

func delivery(id string, step ledger.Step, at int64, code string) ledger.Record {
	o := scoping.ObjectID{Directory: "contoso", GUID: scoping.GUID{15: 10}}
	return ledger.Record{V: ledger.Version, Type: ledger.DeliveryType, At: at, Engine: "connect", Object: &o, Kind: scoping.User, Name: "CN=Ann", Feature: scoping.PasswordWriteback, Op: "reset", Code: code,
		Delivery: &ledger.Delivery{ID: id, Step: step, CloudID: "c-ann", Until: at + 20_000}}
}

// An id that was permitted is known after a restart from a checkpoint too, whose log before it is not read again.
func TestPermitsOutliveACheckpoint(t *testing.T) {
	s := ledger.New()
	for i, r := range []ledger.Record{delivery("1", ledger.Permitted, 1000, ""), delivery("1", ledger.Ended, 2000, engine.DeliveryOK), delivery("2", ledger.Permitted, 3000, ""),
		delivery("3", ledger.Refused, 4000, "stopped")} {
		if err := s.Fold(uint64(i+1), r); err != nil {
			t.Fatal(err)
		}
	}
	c, err := s.Checkpoint("hash")
	if err != nil {
		t.Fatal(err)
	}
	d := drawer{}
	for _, e := range c.Entries {
		if d[e.Section] == nil {
			d[e.Section] = map[string][]byte{}
		}
		d[e.Section][e.Key] = e.Value
	}
	got, _, err := ledger.Load(d)
	if err != nil {
		t.Fatal(err)
	}
	one, known := got.Delivery("1")
	if !known || !one.Ended || one.Code != engine.DeliveryOK || one.InDoubt() {
		t.Errorf("%+v", one)
	}
	two, known := got.Delivery("2")
	if !known || two.Ended || !two.InDoubt() || two.CloudID != "c-ann" || two.Name != "CN=Ann" || !got.Busy(two.Object, 3000) || got.Busy(two.Object, 23_001) {
		t.Errorf("%+v", two)
	}
	if _, known := got.Delivery("3"); known {
		t.Error("what was refused may come again")
	}
	if doubts := got.DoubtfulDeliveries(); len(doubts) != 1 || doubts[0].ID != "2" {
		t.Errorf("%+v", doubts)
	}
}

func TestRecordsOfDeliveriesThatAreDamagedAreRefused(t *testing.T) {
	for name, change := range map[string]func(*ledger.Record){
		"no delivery": func(r *ledger.Record) { r.Delivery = nil }, "no id": func(r *ledger.Record) { r.Delivery.ID = "" }, "no object": func(r *ledger.Record) { r.Object = nil },
		"an unknown step": func(r *ledger.Record) { r.Delivery.Step = "half done" },
	} {
		r := delivery("1", ledger.Permitted, 1000, "")
		change(&r)
		if err := ledger.New().Fold(1, r); !errors.Is(err, ledger.ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, err := json.Marshal(delivery("1", ledger.Ended, 1000, "ok"))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := ledger.Decode(b); err != nil || ledger.New().Fold(1, r) != nil { // the end of a delivery that is forgotten by now
		t.Errorf("%v", err)
	}
}
