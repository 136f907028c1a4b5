package gate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

const derived = "v1;PPH1_MD4,00112233445566778899,1000,e0e1e2e3;"

func stamp(version uint32) credential.Stamp {
	return credential.Stamp{Version: version, Changed: time.Unix(1_700_000_000+int64(version), 0).UTC(), Invocation: guid(9), USN: uint64(version) * 10}
}

// hash is connect's proposal of ann's password; with read, it brings the credential.
func hash(version uint32, read bool) engine.Proposal {
	p := engine.Proposal{Seq: 1, Object: ann, Kind: scoping.User, Feature: scoping.PasswordHash, Want: engine.Present, Password: &engine.Password{Stamp: stamp(version)}}
	if read {
		p.Password.Credential = secret.Take([]byte(derived))
	}
	return p
}

func (w *world) proposePassword(p engine.Proposal) engine.Decision {
	w.t.Helper()
	s := w.g.Begin(gate.SessionOptions{Engine: mine, Stream: engine.Passwords, Run: 1})
	ds, err := s.Propose(context.Background(), []engine.Proposal{p})
	if err != nil {
		w.t.Fatal(err)
	}
	return ds[0]
}

func withPasswords(t *testing.T) *world {
	w := newWorld(t)
	a := gate.Authority{Partition: partitionOf(t, []scoping.Feature{scoping.Users, scoping.PasswordHash}, theirs), Epoch: epoch(5), Installation: "home"}
	w.g.SetAuthority(a, usual)
	w.account(ann, "ann")
	w.ran()
	return w
}

// X4, and flows §1: the credential is asked for when it is needed, is lent to the tenant client, and is in nothing that is written down.
func TestAPasswordIsHandedOverOnceForEachChange(t *testing.T) {
	w := withPasswords(t)
	var said [][]byte
	w.append = func(r ledger.Record) error { said = append(said, ledger.Encode(r)); return nil }
	want(t, w.proposePassword(hash(1, false)), engine.Wanted, gate.CodePasswordWanted)
	if len(w.sent) != 0 {
		t.Fatalf("sent %v", w.sent)
	}
	var lent string
	w.during = func(x cloud.Write) {
		if err := x.Password.Credential.Use(func(b []byte) error { lent = string(b); return nil }); err != nil {
			t.Error(err)
		}
	}
	p := hash(1, true)
	want(t, w.proposePassword(p), engine.Applied, "")
	if x := w.sent[0]; lent != derived || x.Op != cloud.SetPassword || x.CloudID != "c-ann" || x.Password.By != mine || x.Password.Log != "home" || x.Password.Stamp != stamp(1).Text() || x.Password.Number>>36 != 1 {
		t.Errorf("sent %+v %+v with %q", x, x.Password, lent)
	}
	if err := p.Password.Credential.Use(func([]byte) error { return nil }); !errors.Is(err, secret.ErrWiped) {
		t.Errorf("the credential is left: %v", err)
	}
	want(t, w.proposePassword(hash(1, false)), engine.Unchanged, "")
	want(t, w.proposePassword(hash(2, false)), engine.Wanted, gate.CodePasswordWanted)
	want(t, w.proposePassword(hash(2, true)), engine.Applied, "")
	if first, second := w.sent[0].Password.Number, w.sent[1].Password.Number; second <= first {
		t.Errorf("numbers %d, then %d", first, second)
	}
	want(t, w.proposePassword(hash(1, true)), engine.Deferred, gate.CodeOlderPassword)
	state, err := json.Marshal(w.led)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range append(said, state) {
		if bytes.Contains(b, []byte("PPH1")) || bytes.Contains(b, []byte(derived)) {
			t.Errorf("written down: %s", b)
		}
	}
}

// Standing: what is agreed about a password belongs to the cloud object.
func TestWhoComesBackOwesItsPassword(t *testing.T) {
	w := withPasswords(t)
	owed := func(code standing.Code, when string) {
		t.Helper()
		if d := w.debt(ann, scoping.PasswordHash); d.Code != code {
			t.Errorf("%s: %+v, not %q", when, d, code)
		}
	}
	owed(standing.Unasked, "before anybody spoke of it")
	want(t, w.proposePassword(hash(1, true)), engine.Applied, "")
	owed(standing.Settled, "handed over")
	for name, op := range map[string]cloud.Op{"restored": cloud.Restore, "joined anew": cloud.Create} {
		id := "c-ann"
		if op == cloud.Create {
			id = "c-other"
		}
		intent := ledger.Intent{Write: cloud.Write{ID: "x" + name, Op: op, Kind: scoping.User, CloudID: id}, Claim: ledger.Claim{CloudID: id, State: ledger.Live}, Final: true}
		err := w.g.Record(context.Background(), ledger.Record{Type: ledger.IntentType, Engine: mine, Object: &ann, Kind: scoping.User, Feature: scoping.Users, Epoch: epoch(5), Intent: &intent},
			ledger.Record{Type: ledger.SettleType, Object: &ann, Settle: &ledger.Settlement{Intent: intent.Write.ID, Result: cloud.Result{Status: cloud.Done, CloudID: id}}})
		if err != nil {
			t.Fatal(err)
		}
		w.cache.Apply(cloud.Page{Upserts: []cloud.Upsert{{ID: id, Kind: scoping.User, Values: values()}}}, time.Time{})
		owed(standing.Foreign, name)
		want(t, w.proposePassword(hash(1, true)), engine.Applied, "")
		owed(standing.Settled, name+" and handed over")
	}
}

func TestATemporaryPasswordIsLeftOutUntilPolicyTakesIt(t *testing.T) {
	w := withPasswords(t)
	temporary := func(version uint32, read bool) engine.Proposal {
		p := hash(version, read)
		p.Password.MustChange = true
		return p
	}
	want(t, w.proposePassword(temporary(1, false)), engine.Unchanged, gate.CodeTemporaryPassword)
	if d := w.debt(ann, scoping.PasswordHash); d.Code != standing.Settled {
		t.Errorf("left out: %+v", d)
	}
	want(t, w.proposePassword(hash(1, true)), engine.Applied, "") // pwdLastSet −1: no change, and no more temporary
	want(t, w.proposePassword(temporary(2, false)), engine.Unchanged, gate.CodeTenantHasOlder)
	rules := usual
	rules.Temporary = true
	w.g.SetAuthority(w.g.Authority(), rules)
	if d := w.debt(ann, scoping.PasswordHash); d.Code != standing.Unasked {
		t.Errorf("policy takes it: %+v", d)
	}
	want(t, w.proposePassword(temporary(2, false)), engine.Wanted, gate.CodePasswordWanted)
	want(t, w.proposePassword(temporary(2, true)), engine.Applied, "")
	if !w.sent[1].Password.MustChange {
		t.Errorf("sent %+v", w.sent[1].Password)
	}
	want(t, w.proposePassword(hash(2, true)), engine.Applied, "") // the tenant does not ask for the change any more
}

// A doubt about a password ends by what the tenant says; what is late is refused there.
func TestTheTenantEndsTheDoubtAboutAPassword(t *testing.T) {
	for name, arrived := range map[string]bool{"it arrived": true, "it did not": false} {
		t.Run(name, func(t *testing.T) {
			w := withPasswords(t)
			w.answers = []cloud.Result{{Status: cloud.InDoubt}}
			want(t, w.proposePassword(hash(1, true)), engine.InDoubt, gate.CodeInDoubt)
			w.unanswered = errors.New("the tenant is away")
			if _, err := w.g.EndDoubts(context.Background()); err == nil || !strings.Contains(err.Error(), "which password") {
				t.Errorf("%v", err)
			}
			w.unanswered = nil
			n := int64(w.sent[0].Password.Number)
			w.credentials = map[string]cloud.CredentialState{"c-ann": {By: mine, Log: "home", Number: n - 1}}
			if arrived {
				w.credentials["c-ann"] = cloud.CredentialState{By: mine, Log: "home", Number: n}
			}
			if open, err := w.g.EndDoubts(context.Background()); open != 0 || err != nil {
				t.Fatal(open, err)
			}
			if arrived {
				want(t, w.proposePassword(hash(1, false)), engine.Unchanged, "")
				return
			}
			if d := w.debt(ann, scoping.PasswordHash); d.To != standing.Owner {
				t.Errorf("it did not arrive: %+v", d)
			}
			want(t, w.proposePassword(hash(1, true)), engine.Applied, "") // at once: whatever is still on its way has a lower number
		})
	}
}

func TestOnlyTheOwnerHandsOverAndOnlyPasswords(t *testing.T) {
	for name, x := range map[string]struct {
		spoil   func(*world, *engine.Proposal)
		outcome engine.Outcome
		code    gate.Code
	}{
		"another's": {func(w *world, _ *engine.Proposal) {
			w.sights[ann] = gate.Sight{Known: true, Kind: scoping.User, Parent: other, Chain: []scoping.GUID{other, root}}
		}, engine.Refused, gate.CodeNotOwner},
		"a group's":    {func(_ *world, p *engine.Proposal) { p.Kind = scoping.Group }, engine.Refused, gate.CodeWrongKind},
		"an attribute": {func(_ *world, p *engine.Proposal) { p.Desired = map[string]engine.Value{"mail": text("a@b.c")} }, engine.Refused, gate.CodeForeignAttribute},
		"no stamp":     {func(_ *world, p *engine.Proposal) { p.Password.Stamp = credential.Stamp{} }, engine.Refused, gate.CodeUnknownWant},
		"a delete":     {func(_ *world, p *engine.Proposal) { p.Want, p.Password = engine.Gone, nil }, engine.Refused, gate.CodeUnknownWant},
		"of another thing": {func(_ *world, p *engine.Proposal) {
			p.Feature = scoping.Users
			p.Parent, p.Grant, p.Epoch = sales, 1, epoch(5)
		}, engine.Refused, gate.CodeSecret},
		"frozen": {func(w *world, _ *engine.Proposal) {
			w.g.Freeze([]scoping.Scope{{Directory: "contoso", Under: root, Features: []scoping.Feature{scoping.Users, scoping.PasswordHash}}}, time.Minute)
		}, engine.Deferred, gate.CodeFrozen},
		"none": {func(_ *world, p *engine.Proposal) { p.Want, p.Password, p.Reason = engine.Excluded, nil, "no-password" }, engine.Unchanged, gate.CodePasswordLeftOut},
	} {
		t.Run(name, func(t *testing.T) {
			w := withPasswords(t)
			p := hash(1, true)
			x.spoil(w, &p)
			want(t, w.proposePassword(p), x.outcome, x.code)
			if len(w.sent) > 0 {
				t.Errorf("sent %v", w.sent)
			}
		})
	}
}

// A password that its owner finds as it was is recorded if transfers since have made another engine its writer of record, and is not otherwise.
func TestAnUnchangedPasswordTakesTheRecordOver(t *testing.T) {
	for record, nothing := range map[string]bool{mine: true, theirs: false, scoping.None: false} {
		c, p := linked(), hash(1, false)
		c.Row.Features[scoping.PasswordHash] = &ledger.Last{Engine: mine, Epoch: epoch(5), Place: sales, Chain: []scoping.GUID{sales, root}, Hash: stamp(1).Text()}
		c.Standing.Record = record
		v := gate.Decide(c, p)
		check(t, v, engine.Unchanged, "")
		if v.Nothing != nothing {
			t.Errorf("recorded as %s's: nothing to record %v", record, v.Nothing)
		}
	}
}
