package gate

import (
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// digest fingerprints values, ignoring case as the tenant does when it compares names and addresses.
func digest(values []string) string {
	lower := make([]string, len(values))
	for i, v := range values {
		lower[i] = strings.ToLower(v)
	}
	return hashOf(cloud.Values{"": lower})
}

// partOf is the part of a write that sets one attribute to a value.
func partOf(name string, values []string) ledger.Part {
	return ledger.Part{What: name, Want: digest(values)}
}

// wholeOf is the part that stands for everything a verdict writes.
func wholeOf(v Verdict) ledger.Part {
	return ledger.Part{Want: hashOf(cloud.Values{"op": {v.Op}, "after": {hashOf(v.After)}})}
}

// pairOf returns the digests of what a verdict writes and of what it overwrites; ok is false for other writes than changes of existing values, as
// only those can be taken back in the tenant.
func pairOf(v Verdict) (ledger.Pair, bool) {
	if v.Claim == nil || v.Claim.Hash == "" || !slices.Contains([]string{"update", opMembers, opManager}, v.Op) {
		return ledger.Pair{}, false
	}
	return ledger.Pair{Want: v.Claim.Hash, Have: hashOf(cloud.Values{"before": {hashOf(v.Before)}, "after": {hashOf(v.After)}})}, true
}

// leftOut reports whether a part is not tried now: it was refused in this session, or earlier and its pause is not over.
func (c Case) leftOut(p ledger.Part) (ledger.Part, bool) {
	if i := slices.IndexFunc(c.Refused, p.Same); i >= 0 {
		return c.Refused[i], true
	}
	if c.Asked {
		return ledger.Part{}, false
	}
	return c.Trouble.Waits(p, c.Now)
}

// untroubled reports whether nothing of the key was refused lately, so that parts need not be compared.
func (c Case) untroubled() bool { return c.Trouble == nil && len(c.Refused) == 0 }

// split divides the values that a write would set into those to send, those that can never be sent (parts), and those that were refused and wait.
func (c Case) split(k scoping.Kind, set cloud.Values) (send cloud.Values, parts, waits []ledger.Part) {
	send = cloud.Values{}
	for _, name := range sortedKeys(set) {
		err := cloud.CheckValue(k, name, set[name])
		if err == nil && c.untroubled() {
			send[name] = set[name]
			continue
		}
		p := partOf(name, set[name])
		if err != nil {
			p.Code, p.Reason = string(CodeInvalidValue), err.Error()
			if _, known := c.Trouble.Refused(p); known {
				waits = append(waits, p)
			} else {
				parts = append(parts, p)
			}
			continue
		}
		if refused, out := c.leftOut(p); out {
			waits = append(waits, refused)
			continue
		}
		send[name] = set[name]
	}
	return send, parts, waits
}

// tryable divides ends to be added into those to send and those that were refused and wait.
func (c Case) tryable(ids []string) (send []string, waits []ledger.Part) {
	for _, id := range ids {
		if refused, out := c.leftOut(ledger.Part{What: id}); out {
			waits = append(waits, refused)
		} else {
			send = append(send, id)
		}
	}
	return send, waits
}

// removable divides ends to be removed into those to send and those that were refused and wait.
func (c Case) removable(ids []string) (send []string, waits []ledger.Part) {
	for _, id := range ids {
		if refused, out := c.leftOut(ledger.Part{What: "-" + id}); out {
			waits = append(waits, refused)
		} else {
			send = append(send, id)
		}
	}
	return send, waits
}

// setApart notes in a verdict the parts that are left out of it, so that the key is not settled. If nothing else is to be written, the verdict
// becomes their failure.
func setApart(v Verdict, parts, waits []ledger.Part) Verdict {
	v.Parts, v.Waits = append(v.Parts, parts...), append(v.Waits, waits...)
	if len(v.Parts)+len(v.Waits) == 0 {
		return v
	}
	v.Closed = false
	if len(v.Writes)+len(v.Removed) == 0 {
		v = failedApart(v)
	}
	return v
}

// failedApart turns a verdict whose other writes are done into the failure of its parts.
func failedApart(v Verdict) Verdict {
	all := slices.Concat(v.Parts, v.Waits)
	v.Outcome, v.Code, v.Reason, v.Closed = engine.Failed, Code(all[0].Code), Describe(all), false
	v.Nothing = len(v.Parts) == 0 && v.Op == ""
	return v
}

// maxDescribed is the number of parts that a reason describes.
const maxDescribed = 4

// Describe returns a text about refused parts, for display.
func Describe(parts []ledger.Part) string {
	var texts []string
	for _, p := range parts {
		t := p.Reason
		if p.What != "" && !strings.Contains(t, p.What) {
			t = p.What + ": " + t
		}
		if !slices.Contains(texts, t) {
			texts = append(texts, t)
		}
	}
	if n := len(texts) - maxDescribed; n > 0 {
		texts = append(texts[:maxDescribed], "and "+plural(n, "other"))
	}
	return strings.Join(texts, "; ")
}

// waited answers a write that was refused as a whole and whose pause is not over, or that the tenant took back each time it was made (rule S10).
func waited(c Case, v Verdict) Verdict {
	if len(v.Writes) == 0 || c.untroubled() {
		return v
	}
	if refused, out := c.leftOut(wholeOf(v)); out {
		out := answer(engine.Failed, Code(refused.Code), refused.Reason)
		out.Waits, out.Nothing, out.Judged = []ledger.Part{refused}, true, v.Judged
		return out
	}
	pair, ok := pairOf(v)
	if !ok || c.Asked || !c.Without.leavesAlone() || !c.Trouble.Lost(pair, c.Now) {
		return v
	}
	kept := answer(engine.Unchanged, CodeNotKept, "written "+plural(ledger.MaxWrites, "time")+" within 24 h and taken back each time, by the tenant or by somebody in it: "+
		describeChange(v)+"; left alone until it changes, or `tandem errors retry`")
	kept.Claim, kept.Pair = v.Claim, &pair
	kept.Nothing = c.Trouble != nil && slices.Contains(c.Trouble.NotKept, pair.Have) && c.Standing.Record == c.Standing.Engine && c.Standing.Owner == c.Standing.Engine
	return kept
}

// describeChange returns the names of the attributes that a verdict changes.
func describeChange(v Verdict) string {
	names := map[string]bool{}
	for k := range v.Before {
		names[k] = true
	}
	for k := range v.After {
		names[k] = true
	}
	return strings.Join(sortedKeys(names), ", ")
}
