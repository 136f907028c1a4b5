package gate

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// present answers a base feature's "the object shall be there, like this": by link, join, restore or create, in the order of rule J1.
func present(c Case, p engine.Proposal) Verdict {
	if v, bad := anchored(c); bad {
		return v
	}
	if c.seenOff() {
		if v, done := leaver(c, p); done {
			return v
		}
	}
	want := desired(p)
	if c.Standing.Restores != "" {
		return putBack(c, p, want)
	}
	if v, bad := signIn(c, want); bad {
		return v
	}
	if c.Standing.Farewell && c.Standing.Leaving == "disable" && p.Kind == scoping.User {
		want[cloud.Enabled] = []string{"false"} // T4, with the values of the moment (T2)
	}
	holder, address := quarantine(c, p, want)
	claim := claimOf(c, p, want)
	if c.Row != nil && c.Row.CloudID != "" {
		return withoutAddress(c, firstAdoption(c, linked(c, p, want, claim)), holder, address)
	}
	return withoutAddress(c, joinOrCreate(c, p, want, claim), holder, address)
}

// seenOff reports whether the proposer answers for an object that moved to where no engine writes.
func (c Case) seenOff() bool { return c.Standing.Farewell && c.Standing.Owner == scoping.None }

// leaver answers for such an object: if it is not in the tenant it stays out of it, and if the policy removes it the delete waits to be judged (rule
// T4). Others get their last values (rule T2).
func leaver(c Case, p engine.Proposal) (Verdict, bool) {
	switch {
	case c.Row == nil, c.Row.CloudID == "", c.Cloud == nil && !c.TooNew, c.Cloud != nil && c.Cloud.Deleted:
		v := answer(engine.Unchanged, CodeLeft, "")
		if c.Row != nil {
			v.Claim = &ledger.Claim{Owner: scoping.None, Place: c.Sight.Parent, Chain: c.Sight.Chain, Chosen: c.Sight.Chosen, Version: c.Sight.Version}
		}
		return v, true
	case c.Cloud == nil && c.TooNew:
		return vanished(c), true
	case leaves(c):
		return await(c, Verdict{Outcome: engine.Parked, Code: CodeLeaving, Op: "delete", Class: classOfDelete(p.Kind), Graves: []ledger.Grave{deletion(c, "leaving")}, Before: valuesOf(c.Cloud)}), true
	}
	return Verdict{}, false
}

// anchored answers for objects whose anchor is not what it should be: they are held (rules I2, I3).
func anchored(c Case) (Verdict, bool) {
	switch {
	case c.Sight.AnchorBad != "":
		return answer(engine.Held, c.Sight.AnchorBad, "the source anchor cannot be used: fix mS-DS-ConsistencyGuid in the directory"), true
	case c.Row != nil && c.Row.Anchor != "" && c.Row.Anchor != c.Sight.Anchor:
		return answer(engine.Held, CodeAnchorChanged, fmt.Sprintf("joined under anchor %s, the directory now says %s", c.Row.Anchor, c.Sight.Anchor)), true
	}
	return Verdict{}, false
}

// signIn puts the UPN under a verified domain or refuses it (rule J6).
func signIn(c Case, want cloud.Values) (Verdict, bool) {
	upn := want.First(cloud.UPN)
	if upn == "" || len(c.Rules.Verified) == 0 {
		return Verdict{}, false
	}
	name, domain, _ := strings.Cut(upn, "@")
	as := c.Rules.signsIn(strings.ToLower(domain))
	switch {
	case as == "":
		return answer(engine.Failed, CodeUnverifiedSuffix, fmt.Sprintf("the tenant has no verified domain %q (of %s)", domain, upn)), true
	case as != strings.ToLower(domain):
		want[cloud.UPN] = []string{name + "@" + as}
	}
	return Verdict{}, false
}

// signsIn returns the domain, in lower case, that replaces a domain in sign-in names: itself where the tenant has verified it, else its initial
// domain, or "" if such names are refused (rule J6).
func (r Rules) signsIn(domain string) string {
	switch {
	case len(r.Verified) == 0, r.Verified[domain]:
		return domain
	case r.UPNRefuse:
		return ""
	}
	return r.InitialDomain
}

// signInOf returns the domain of a proposed sign-in name and its replacement.
func (r Rules) signInOf(p engine.Proposal) standing.SignIn {
	v := p.Desired[cloud.UPN]
	if len(v.Text) == 0 {
		return standing.SignIn{}
	}
	_, domain, _ := strings.Cut(strings.ToLower(v.Text[0]), "@")
	return standing.SignIn{Domain: domain, As: r.signsIn(domain)}
}

func claimOf(c Case, p engine.Proposal, want cloud.Values) ledger.Claim {
	claim := ledger.Claim{Anchor: c.Sight.Anchor, Place: c.Sight.Parent, Chain: c.Sight.Chain, Chosen: c.Sight.Chosen, Version: c.Sight.Version,
		Hash: hashOf(want), Attrs: sortedKeys(want), State: ledger.Live, Tracks: p.Feature == scoping.Base(p.Kind)}
	if c.Standing.Farewell && c.Standing.Owner == scoping.None {
		claim.Owner, claim.State = scoping.None, ledger.ParkedRow
	}
	return claim
}

// hashOf fingerprints values, so that they can be compared with the last ones without a copy. Its text is fmt's %q=%q, written out because it is made
// for every proposal: the ledger holds fingerprints of it.
func hashOf(v cloud.Values) string {
	var room [512]byte
	b := room[:0]
	for _, k := range sortedKeys(v) {
		b = append(strconv.AppendQuote(b, k), "=["...)
		for i, x := range v[k] {
			if i > 0 {
				b = append(b, ' ')
			}
			b = strconv.AppendQuote(b, x)
		}
		b = append(b, "]\n"...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// linked answers for an object that has a cloud object.
func linked(c Case, p engine.Proposal, want cloud.Values, claim ledger.Claim) Verdict {
	row := c.Row
	claim.CloudID = row.CloudID
	switch {
	case c.Cloud == nil && row.State == ledger.DeletedByTandem && !c.TooNew: // a recent delete may not show in the deleted items yet
		return create(c, p, want, claim) // it is past the tenant's retention
	case c.Cloud == nil:
		return vanished(c)
	case c.Cloud.Deleted && row.State == ledger.DeletedByTandem && (!c.Without.restoresFirst() || !cloud.Restore.Takes(p.Kind)):
		return create(c, p, want, claim)
	case c.Cloud.Deleted && row.State == ledger.DeletedByTandem:
		return restore(c, p, *c.Cloud, want, claim)
	case c.Cloud.Deleted && c.Returns == row.CloudID:
		return back(c, p, *c.Cloud, want, claim)
	case c.Cloud.Deleted:
		return answer(engine.Held, CodeDeletedByOthers, "somebody else deleted object "+row.CloudID+" in the tenant: `tandem restore` brings it back from the deleted items; or delete it in the directory")
	case c.Cloud.Synced:
		return answer(engine.Failed, CodeSynced, "Microsoft's engines own object "+row.CloudID+": Graph refuses to write it")
	}
	return update(c, p, *c.Cloud, want, claim)
}

// vanished answers for an object that the tenant does not show.
func vanished(c Case) Verdict {
	if c.TooNew {
		return answer(engine.Deferred, CodeNotShown, "the tenant does not show object "+c.Row.CloudID+" yet, which was written a moment ago")
	}
	return answer(engine.Held, CodeVanished, "the tenant does not show object "+c.Row.CloudID+" any more; somebody else deleted it for good")
}

func update(c Case, p engine.Proposal, have cloud.Object, want cloud.Values, claim ledger.Claim) Verdict {
	set, before := difference(have.Values, want)
	set, parts, waits := c.split(p.Kind, set)
	if len(set)+len(parts)+len(waits) == 0 {
		v := answer(engine.Unchanged, "", "")
		v.Claim = &claim
		v.Nothing = c.Excluded == "" && sameRecord(c.Row, p.Feature, c.Standing, claim)
		return v
	}
	v := answer(engine.Applied, "", "")
	v.Claim = &claim
	if len(set) == 0 {
		return setApart(v, parts, waits)
	}
	v.Op, v.Before, v.After = "update", only(before, set), set
	v.Writes = []cloud.Write{{Op: cloud.Update, Kind: p.Kind, CloudID: have.ID, Set: set}}
	parked := isParked(have.ID, have.Values)
	g := changing("update", have.ID, before, set, func(k string) bool { return destructive(k, before[k], set[k]) && !(parked && k == cloud.UPN) })
	switch {
	case len(g.Changes) == 0 && parked && len(set[cloud.UPN]) > 0 && !c.Standing.Farewell:
		v.Class = ledger.NameSwaps // at the end of the run, when its name may have become free
	case len(g.Changes) == 0:
	case c.Rules.UPNHold && !parked && len(before[cloud.UPN]) > 0 && len(set[cloud.UPN]) > 0:
		v.Class, v.Graves = ledger.SignIns, []ledger.Grave{g}
	case !c.Standing.Farewell:
		v.Class, v.Graves = ledger.Destructive, []ledger.Grave{g}
	}
	return setApart(v, parts, waits)
}

// only returns the values of those attributes that set has.
func only(values, set cloud.Values) cloud.Values {
	out := cloud.Values{}
	for k := range set {
		out[k] = values[k]
	}
	return out
}

// destructive reports whether a change of an attribute disables, changes a sign-in or mail address, or clears something (rule D2).
func destructive(name string, old, new []string) bool {
	switch {
	case len(old) == 0:
		return false
	case len(new) == 0, name == cloud.UPN, name == cloud.Mail:
		return true
	}
	return name == cloud.Enabled && new[0] == "false"
}

// sameRecord reports whether recording a settled "unchanged" would change nothing in the ledger: neither what was agreed nor, where transfers since
// have given the feature to another engine, its writer of record [a password that was not written anew stayed recorded under another engine after a way back, and its owner
// was asked in every run: seed 11320].
func sameRecord(row *ledger.Row, f scoping.Feature, s Standing, claim ledger.Claim) bool {
	if row == nil || row.Transit != nil || row.State != ledger.Live {
		return false
	}
	l := row.Features[f]
	return l != nil && l.Engine == s.Engine && s.Record == s.Engine && l.Hash == claim.Hash && l.Never.Equal(claim.Never) && l.Place == claim.Place && slices.Equal(l.Chain, claim.Chain) && slices.Equal(l.Chosen, claim.Chosen) &&
		l.Epoch.Compare(s.Epoch) >= 0
}

func restore(c Case, p engine.Proposal, bin cloud.Object, want cloud.Values, claim ledger.Claim) Verdict {
	set, before := difference(bin.Values, want)
	if upn := want[cloud.UPN]; len(upn) > 0 {
		set[cloud.UPN] = upn // the tenant may have changed it while the object was in the deleted items
	}
	set, parts, waits := c.split(p.Kind, set)
	v := answer(engine.Applied, "", "")
	claim.CloudID, claim.Origin = bin.ID, ledger.Restored
	v.Op, v.Before, v.After, v.Claim = "restore", only(before, set), set, &claim
	v.Writes = []cloud.Write{{Op: cloud.Restore, Kind: p.Kind, CloudID: bin.ID}}
	if len(set) > 0 {
		v.Writes = append(v.Writes, cloud.Write{Op: cloud.Update, Kind: p.Kind, CloudID: bin.ID, Set: set})
	}
	return setApart(v, parts, waits)
}

// joinOrCreate answers for an object without a link, in the search order of rule J1.
func joinOrCreate(c Case, p engine.Proposal, want cloud.Values, claim ledger.Claim) Verdict {
	if v, contradicts := contradicted(c); contradicts {
		return v
	}
	if len(c.Live) > 0 {
		return firstAdoption(c, join(c, p, c.Live, ledger.HardMatch, want, claim))
	}
	if len(c.Bin) > 0 && cloud.Restore.Takes(p.Kind) {
		return restoreFound(c, p, want, claim)
	}
	if c.Matched != nil {
		return firstAdoption(c, join(c, p, []cloud.Object{*c.Matched}, ledger.ByFile, want, claim))
	}
	if c.Rules.SoftMatch && len(c.Soft) > 0 {
		return firstAdoption(c, join(c, p, c.Soft, ledger.SoftMatch, want, claim))
	}
	v := firstAdoption(c, create(c, p, want, claim))
	if no, taken := nameTaken(c, want); taken && (v.Ask == "" || approvedAll(c, v)) {
		return no
	}
	return v
}

// contradicted fails an object for which the file of matches names a tenant object that is missing, or another one than has its anchor: only a person
// can say which of the two is meant.
func contradicted(c Case) (Verdict, bool) {
	switch {
	case c.Match == "":
	case c.Matched == nil || c.Matched.Deleted:
		return answer(engine.Failed, CodeMatchMissing, "the file of matches names tenant object "+c.Match+", which is not in the tenant: correct the file, then plan and apply the policy"), true
	case len(c.Live) > 0 && c.Live[0].ID != c.Match:
		return answer(engine.Failed, CodeMatchContradicts, fmt.Sprintf("the file of matches names tenant object %s, and tenant object %s carries the source anchor: correct the file, then plan and apply the policy", c.Match, c.Live[0].ID)), true
	}
	return Verdict{}, false
}

// nameTaken answers a create whose sign-in name another cloud object has: the tenant would refuse it.
func nameTaken(c Case, want cloud.Values) (Verdict, bool) {
	for _, o := range c.Soft {
		if strings.EqualFold(o.Values.First(cloud.UPN), want.First(cloud.UPN)) {
			who := o.ID
			if r, ok := c.LinkedTo(o.ID); ok {
				who += " (" + r.Name + ")"
			}
			return answer(engine.Failed, CodeUPNTaken, fmt.Sprintf("%s is the sign-in name of tenant object %s", want.First(cloud.UPN), who)), true
		}
	}
	return Verdict{}, false
}

func restoreFound(c Case, p engine.Proposal, want cloud.Values, claim ledger.Claim) Verdict {
	if len(c.Bin) > 1 {
		return answer(engine.Failed, CodeAmbiguous, fmt.Sprintf("%d deleted tenant objects carry this anchor", len(c.Bin)))
	}
	row, ours := c.LinkedTo(c.Bin[0].ID)
	switch {
	case c.Returns == c.Bin[0].ID && (!ours || row.Object == p.Object || !c.Alive(row.Object)):
		return back(c, p, c.Bin[0], want, claim)
	case !ours || row.State != ledger.DeletedByTandem:
		return answer(engine.Held, CodeDeletedByOthers, "a tenant object with this anchor, "+c.Bin[0].ID+", was deleted by somebody else")
	case row.Object != p.Object && c.Alive(row.Object):
		return answer(engine.Failed, CodeLinkedElsewhere, "the deleted tenant object "+c.Bin[0].ID+" belongs to "+row.Name)
	}
	return restore(c, p, c.Bin[0], want, claim)
}

// join links the object with a candidate that was there before, if rule J2 allows it. It clears nothing.
func join(c Case, p engine.Proposal, found []cloud.Object, how ledger.Origin, want cloud.Values, claim ledger.Claim) Verdict {
	if len(found) > 1 {
		return answer(engine.Failed, CodeAmbiguous, fmt.Sprintf("%d tenant objects match: %s, %s, …", len(found), found[0].ID, found[1].ID))
	}
	o := found[0]
	if why := refusal(c, p, o, how); why != "" {
		return answer(engine.Failed, CodeJoinRefused, fmt.Sprintf("tenant object %s (%s) %s", o.ID, o.Values.First(cloud.DisplayName), why))
	}
	power, asked := c.Power[o.ID]
	if !asked {
		return Verdict{NeedPower: []string{o.ID}}
	}
	if power != "" {
		return answer(engine.Failed, CodeJoinRefused, fmt.Sprintf("tenant object %s (%s) holds power: %s", o.ID, o.Values.First(cloud.DisplayName), power))
	}
	for k, v := range want {
		if len(v) == 0 {
			delete(want, k)
		}
	}
	claim.CloudID, claim.Origin = o.ID, how
	if how != ledger.HardMatch && p.Kind == scoping.User {
		want[cloud.ImmutableID] = []string{c.Sight.Anchor}
	}
	if raw, err := base64.StdEncoding.DecodeString(c.Sight.Anchor); how == ledger.ByFile && p.Kind == scoping.Group && err == nil && o.Values.First(cloud.UniqueName) == "" {
		claim.Key = cloud.UniqueNameOf(raw) // the key can be set where there is none (rule J3)
		want[cloud.UniqueName] = []string{claim.Key}
	}
	v := update(Case{Standing: c.Standing, Rules: c.Rules, Now: c.Now, Trouble: c.Trouble, Refused: c.Refused, Asked: c.Asked}, p, o, want, claim)
	v.Nothing = false
	if v.Op == "" {
		v.Op = "join"
	}
	if v.Outcome != engine.Failed { // if it failed, none of the differences can be written; the link stands nevertheless
		v.Reason = string(how)
	}
	return v
}

// refusal returns why a candidate may not be joined, or "".
func refusal(c Case, p engine.Proposal, o cloud.Object, how ledger.Origin) string {
	if row, ok := c.LinkedTo(o.ID); ok && row.Object != p.Object {
		switch {
		case c.Alive(row.Object):
			return "is linked to another living object, " + row.Name
		case c.HeldDelete != nil && c.HeldDelete(row.Object):
			return "waits for the held delete of " + row.Name
		}
	}
	switch {
	case o.Kind != p.Kind:
		return "is a " + string(o.Kind)
	case o.Synced:
		return "is synchronized by Microsoft's engines"
	case o.Guest:
		return "is a guest"
	case o.Mailed:
		return "is mail-enabled, and Graph cannot write it"
	case o.Role:
		return "is a role-assignable group"
	case how == ledger.SoftMatch && o.Anchor() != "":
		return "carries another source anchor"
	}
	return ""
}

func create(c Case, p engine.Proposal, want cloud.Values, claim ledger.Claim) Verdict {
	for _, k := range attribute.With(p.Kind, attribute.Required) {
		if want.First(k) == "" {
			return answer(engine.Failed, CodeIncomplete, "the tenant creates no "+string(p.Kind)+" without "+k)
		}
	}
	raw, err := base64.StdEncoding.DecodeString(c.Sight.Anchor)
	if err != nil || len(raw) != 16 {
		return answer(engine.Held, CodeAnchorInvalid, "the source anchor is not 16 bytes")
	}
	set := cloud.Values{}
	for k, v := range want {
		if len(v) > 0 {
			set[k] = v
		}
	}
	set, parts, waits := c.split(p.Kind, set)
	for _, bad := range slices.Concat(parts, waits) {
		if slices.Contains(attribute.With(p.Kind, attribute.Required), bad.What) {
			return failedApart(Verdict{Parts: parts, Waits: waits})
		}
	}
	claim.CloudID, claim.Origin = "", ledger.Created
	w := cloud.Write{Op: cloud.Create, Kind: p.Kind, Anchor: c.Sight.Anchor, Set: set}
	if p.Kind == scoping.Group {
		w.Key = cloud.UniqueNameOf(raw)
		claim.Key = w.Key
	}
	v := answer(engine.Applied, "", "")
	v.Op, v.After, v.Claim, v.Writes = "create", set, &claim, []cloud.Write{w}
	return setApart(v, parts, waits)
}
