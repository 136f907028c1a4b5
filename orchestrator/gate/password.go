package gate

import (
	"context"
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// A password is agreed by the replication stamp of its change, and the agreement belongs to the cloud object: the ledger keeps it as the fingerprint
// of feature password-hash. Nothing else about a password is written down.

// temporaryMark ends the agreement about a password that has to be changed at the next sign-in.
const temporaryMark = "!"

// agreement returns what the ledger keeps once a password is handed over.
func agreement(p engine.Password) string {
	if p.MustChange {
		return p.Stamp.Text() + temporaryMark
	}
	return p.Stamp.Text()
}

// agreedStamp returns the stamp of the password that the tenant has according to the ledger; false: none.
func agreedStamp(row *ledger.Row) (credential.Stamp, bool) {
	if row == nil || row.Features[scoping.PasswordHash] == nil {
		return credential.Stamp{}, false
	}
	s, err := credential.ParseStamp(strings.TrimSuffix(row.Features[scoping.PasswordHash].Hash, temporaryMark))
	return s, err == nil
}

// HandedOver returns the stamp of the password that a linked user has in the tenant, and whether it has to be changed there; false: none was handed
// over.
func HandedOver(row *ledger.Row) (s credential.Stamp, mustChange, ok bool) {
	if s, ok = agreedStamp(row); ok {
		mustChange = strings.HasSuffix(row.Features[scoping.PasswordHash].Hash, temporaryMark)
	}
	return s, mustChange, ok
}

// agreedPassword returns the digest of the agreement about the password of a cloud object; 0: there is none.
func agreedPassword(row *ledger.Row) uint64 {
	if row == nil || row.CloudID == "" || row.Features[scoping.PasswordHash] == nil {
		return 0
	}
	return standing.Agreed(row.CloudID, row.Features[scoping.PasswordHash].Hash)
}

// malformedPassword refuses what no engine may propose for a password.
func malformedPassword(c Case, p engine.Proposal) (Verdict, bool) {
	switch {
	case p.Kind != scoping.User || c.Sight.Known && c.Sight.Kind != p.Kind:
		return rejectNonOwner(engine.Refused, CodeWrongKind, "only users have passwords"), true
	case len(p.Desired)+len(p.Refs) > 0:
		return rejectNonOwner(engine.Refused, CodeForeignAttribute, "a password has neither attributes nor references"), true
	case p.Want == engine.Present && p.Password != nil && !p.Password.Stamp.IsZero():
		return Verdict{}, false
	case p.Want == engine.Excluded && p.Password == nil:
		return Verdict{}, false
	}
	return rejectNonOwner(engine.Refused, CodeUnknownWant, "of a password an engine says by which change it is there, or why it is left out"), true
}

// password answers for a user's password hash (flows §1): it is handed over once for each change, never an older one after a newer one, and again if
// the user is linked with another cloud object or restored.
func password(c Case, p engine.Proposal) Verdict {
	row := c.Row
	if row == nil || row.CloudID == "" || row.State != ledger.Live || c.Cloud == nil || c.Cloud.Deleted {
		v := answer(engine.Deferred, CodeWaitsForBase, "the user is not in the tenant yet")
		v.Nothing = true
		return v
	}
	if p.Want == engine.Excluded {
		return leftOut(c, p, CodePasswordLeftOut, p.Reason)
	}
	if v, bad := outdated(row, p); bad && c.Without.ordersPasswords() {
		return v
	}
	if row.Stamp != "" && row.Stamp == p.Password.Stamp.Text() {
		return leftOut(c, p, CodeNobodyKnows, "it was made with its account, and nobody knows it")
	}
	if p.Password.MustChange && !c.Rules.Temporary {
		return leftOut(c, p, CodeTemporaryPassword, "it has to be changed at the next sign-in")
	}
	claim := passwordClaim(c, agreement(*p.Password))
	last := row.Features[scoping.PasswordHash]
	if last != nil && last.Hash == claim.Hash {
		v := answer(engine.Unchanged, "", "")
		v.Claim, v.Nothing = &claim, sameRecord(row, p.Feature, c.Standing, claim)
		return v
	}
	v := answer(engine.Applied, "", "")
	v.Op, v.Claim = "password", &claim
	v.Writes = []cloud.Write{{Op: cloud.SetPassword, Kind: scoping.User, CloudID: row.CloudID, Password: &cloud.Password{Stamp: p.Password.Stamp.Text(),
		Changed: p.Password.Stamp.Changed.Unix(), MustChange: p.Password.MustChange, By: c.Standing.Engine, Log: c.Standing.Log}}}
	return v
}

// leftOut answers a password that is not handed over. The tenant keeps an earlier one.
func leftOut(c Case, p engine.Proposal, code Code, why string) Verdict {
	v := answer(engine.Unchanged, code, why)
	last := c.Row.Features[scoping.PasswordHash]
	v.Nothing = true
	if last != nil && (p.Password == nil || last.Hash != agreement(*p.Password)) {
		v.Code, v.Reason = CodeTenantHasOlder, "the tenant keeps the password before it: "+why
	}
	return v
}

func passwordClaim(c Case, agreed string) ledger.Claim {
	return ledger.Claim{CloudID: c.Row.CloudID, Place: c.Sight.Parent, Chain: c.Sight.Chain, Chosen: c.Sight.Chosen, Version: c.Sight.Version, Hash: agreed}
}

// outdated refuses a password that is older than the tenant's: the engine's controller is behind.
func outdated(row *ledger.Row, p engine.Proposal) (Verdict, bool) {
	if p.Password == nil {
		return Verdict{}, false
	}
	have, agreed := agreedStamp(row)
	if !agreed || p.Password.Stamp.Compare(have) >= 0 {
		return Verdict{}, false
	}
	return answer(engine.Deferred, CodeOlderPassword, fmt.Sprintf("the tenant has the password of %s, which is newer", have)), true
}

// read asks the engine for the credential of a password that is to be written.
func read(p engine.Proposal, v Verdict) Verdict {
	if len(v.Writes) == 0 || v.Writes[0].Op != cloud.SetPassword || p.Password.Credential != nil {
		return v
	}
	return Verdict{Outcome: engine.Wanted, Code: CodePasswordWanted, Quietly: true, Nothing: true}
}

// withCredential returns a write with its credential and number. The intent in the ledger is a copy without either.
func (it *item) withCredential(w cloud.Write, seq uint64) cloud.Write {
	if w.Password == nil {
		return w
	}
	p := *w.Password
	p.Number, p.Credential = numberOf(it.epoch, seq), it.p.Password.Credential
	w.Password = &p
	return w
}

// numberOf returns the number of a password from its intent's place in the log. Numbers of an installation rise even where the log begins earlier
// again, since a restored state has a higher incarnation. They stay below 2^53, the largest integers that JSON carries exactly.
func numberOf(epoch scoping.Epoch, seq uint64) uint64 { return epoch.Incarnation<<36 | seq }

// wipe clears the credentials of a batch: what was not written is read again when it is asked for.
func wipe(batch []engine.Proposal) {
	for _, p := range batch {
		p.Password.Wipe()
	}
}

// endPasswordDoubt ends the doubt about a password at once: the tenant tells which credential it has, and a request still in flight has a lower
// number than all later ones, so the tenant refuses it if it arrives after them.
func (g *Gate) endPasswordDoubt(ctx context.Context, o ledger.Open) (bool, error) {
	w := o.Record.Intent.Write
	has, there, err := g.o.Tenant.Credential(ctx, w.CloudID)
	if err != nil {
		return false, fmt.Errorf("asking the tenant which password it has of %s: %w", o.Record.Name, err)
	}
	sent := *w.Password
	sent.Number = numberOf(o.Record.Epoch, o.Seq)
	if there && has.Has(&sent) || !g.o.Without.asksPasswords() {
		return true, g.closeDoubt(ctx, o, ledger.DoubtEnd{How: "seen", CloudID: w.CloudID})
	}
	return true, g.closeDoubt(ctx, o, ledger.DoubtEnd{How: "expired"})
}

// featuresOf returns the features that may be owed for objects of a kind: its base feature, its references, and further features that the policy
// switches on. g.mu is held.
func (g *Gate) featuresOf(kind scoping.Kind, base scoping.Feature) []scoping.Feature {
	out := []scoping.Feature{base, scoping.References}
	if kind != scoping.User || g.auth.Partition == nil {
		return out
	}
	for _, f := range []scoping.Feature{scoping.Extensions, scoping.PasswordHash} {
		if g.auth.Partition.On(f) {
			out = append(out, f)
		}
	}
	return out
}

// Concerns reports whether a proposal is about an object that the session's engine is granted, own or shadow. Streams of changes cover whole
// directories.
func (s *Session) Concerns(p engine.Proposal) bool {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	sight := s.g.o.Census.Brief(p.Object)
	return sight.Known && !sight.Deleted && s.g.covers(s.g.auth, s.engine, ledger.Key{Object: p.Object, Feature: p.Feature}, sight.Kind, sight)
}
