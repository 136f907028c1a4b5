package gate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// rejected continues an item after the tenant refused a write. Only the refused part is set apart: the attribute that the tenant names, or the
// member. If it names none, the write is halved until the part is found. A refusal of the object as a whole ends the item. g.mu is held.
func (s *Session) rejected(it *item, r cloud.Result) {
	w := it.v.Writes[it.next]
	code := r.Code
	if code == "" {
		code = fmt.Sprintf("http-%d", r.HTTP)
	}
	switch {
	case r.Missing, r.HTTP == 403 && len(w.Refs) == 0, r.Code == cloud.CodeImpossible:
		s.refusedWhole(it, code, r)
	case r.Code == cloud.CodeAlreadyMember && !it.redone:
		it.again, it.done = true, true // a restored group or member brings back memberships that were not read yet: read them first
	case w.Op == cloud.AddMembers, w.Op == cloud.RemoveMember, w.Op == cloud.SetManager:
		s.refusedEnds(it, w, code, r)
	case w.Op == cloud.Update, w.Op == cloud.Create:
		s.refusedValues(it, w, code, r)
	default:
		s.refusedWhole(it, code, r)
	}
}

func (s *Session) refusedWhole(it *item, code string, r cloud.Result) {
	part := wholeOf(it.v)
	w := it.v.Writes[it.next]
	part.Code, part.Holder = code, s.g.holderOf(r.Attribute, w.Set[r.Attribute], w.CloudID, r)
	part.Reason = s.g.reason(r, &part)
	if it.again = r.Conflict && !it.redone; it.again {
		it.parts = append(it.parts, part) // it is decided once more, as if it had not been tried
	} else {
		s.setAside(it, part)
	}
	it.fail(engine.Failed, Code(code), r)
	it.v.Reason = part.Reason
}

// refusedEnds sets apart the end that the tenant names, or the only one; otherwise it halves them.
func (s *Session) refusedEnds(it *item, w cloud.Write, code string, r cloud.Result) {
	bad := w.Refs
	if slices.Contains(w.Refs, r.End) {
		bad = []string{r.End}
	}
	if len(bad) > 1 {
		half := len(bad) / 2
		it.replace(withRefs(w, bad[:half]), withRefs(w, bad[half:]))
		return
	}
	part := ledger.Part{What: bad[0], Code: code, Reason: s.g.titleOf(bad[0]) + ": " + s.g.reason(r, nil)}
	if w.Op == cloud.RemoveMember {
		part.What = "-" + part.What
	}
	s.setAside(it, part)
	rest := slices.DeleteFunc(slices.Clone(w.Refs), func(id string) bool { return id == bad[0] })
	if len(rest) == 0 {
		it.next++
		return
	}
	it.replace(withRefs(w, rest))
}

func withRefs(w cloud.Write, refs []string) cloud.Write {
	w.Refs = slices.Clone(refs)
	return w
}

// refusedValues sets apart the attribute that the tenant names, or the only one; otherwise it halves them. A create continues without the attribute
// only if the tenant names it and its value is not taken by another object: what is left out then is the policy's decision.
func (s *Session) refusedValues(it *item, w cloud.Write, code string, r cloud.Result) {
	names := sortedKeys(w.Set)
	bad := ""
	if _, blamed := w.Set[r.Attribute]; blamed {
		bad = r.Attribute
	} else if len(names) == 1 {
		bad = names[0]
	}
	create := w.Op == cloud.Create
	switch {
	case ties(w) && (bad == "" || key(bad)): // a join without its key must not happen in part
		s.refusedWhole(it, code, r)
		return
	case create && (bad == "" || r.Conflict || slices.Contains(attribute.With(w.Kind, attribute.Required), bad)):
		s.refusedWhole(it, code, r)
		return
	case bad == "":
		half := len(names) / 2
		it.replace(withValues(w, names[:half]), withValues(w, names[half:]))
		return
	}
	part := partOf(bad, w.Set[bad])
	part.Code, part.Holder = code, s.g.holderOf(bad, w.Set[bad], w.CloudID, r)
	part.Reason = s.g.reason(r, &part)
	s.setAside(it, part)
	if len(names) == 1 {
		it.next++
		return
	}
	it.replace(withValues(w, slices.DeleteFunc(names, func(n string) bool { return n == bad })))
}

// key reports whether an attribute ties an object of the tenant to its source.
func key(name string) bool { return name == cloud.ImmutableID || name == cloud.UniqueName }

// ties reports whether an update joins an object by writing its key.
func ties(w cloud.Write) bool {
	return w.Op == cloud.Update && slices.ContainsFunc(sortedKeys(w.Set), key)
}

func withValues(w cloud.Write, names []string) cloud.Write {
	set := cloud.Values{}
	for _, n := range names {
		set[n] = w.Set[n]
	}
	w.Set = set
	return w
}

// replace puts other writes in place of the refused one.
func (it *item) replace(ws ...cloud.Write) {
	it.v.Writes = slices.Concat(it.v.Writes[:it.next], ws, it.v.Writes[it.next+1:])
}

// setAside notes a refusal, so that other writes do not settle the key and the session does not try the same again.
func (s *Session) setAside(it *item, p ledger.Part) {
	k := ledger.Key{Object: it.p.Object, Feature: it.p.Feature}
	it.parts = append(it.parts, p)
	s.refused[k] = append(s.refused[k], p)
}

// told returns the parts that the item's decision records: what was found or tried now, and with these what still waits from before.
func (it *item) told() []ledger.Part {
	fresh := slices.Concat(it.v.Parts, it.parts)
	if len(fresh) == 0 {
		return nil
	}
	for _, p := range it.v.Waits {
		if !slices.ContainsFunc(fresh, p.Same) {
			fresh = append(fresh, p)
		}
	}
	return fresh
}

// conclusion sets an item's outcome once all its writes are done: that of its parts, if any were set apart. g.mu is held.
func (s *Session) conclusion(it *item) {
	if len(it.parts)+len(it.v.Parts)+len(it.v.Waits) == 0 || it.done {
		return
	}
	switch it.v.Outcome {
	case engine.Applied, engine.Unchanged, engine.Partial:
		wrote := it.next > 0
		told := it.v
		told.Parts = slices.Concat(it.v.Parts, it.parts)
		told = failedApart(told)
		it.v.Outcome, it.v.Code, it.v.Reason = told.Outcome, told.Code, told.Reason
		it.v.Nothing = it.v.Nothing && !wrote && len(told.Parts) == 0
	}
	it.v.Closed = false
}

// reasonOf returns the tenant's answer as text.
func reasonOf(r cloud.Result) string {
	reason := r.Message
	if r.HTTP != 0 {
		reason = fmt.Sprintf("HTTP %d: %s", r.HTTP, reason)
	}
	if r.RequestID != "" {
		reason += " (request-id " + r.RequestID + ")"
	}
	return reason
}

// reason returns the tenant's answer with the object that has the value in question. g.mu is held.
func (g *Gate) reason(r cloud.Result, p *ledger.Part) string {
	holder := ""
	switch {
	case p != nil:
		holder = p.Holder
	case r.Conflict:
		holder = r.CloudID
	}
	if holder == "" {
		return reasonOf(r)
	}
	return reasonOf(r) + "; held by " + g.titleOf(holder)
}

// titleOf returns a tenant object's name for display: its directory object's, if Tandem links one, else as the tenant shows it. g.mu is held.
func (g *Gate) titleOf(id string) string {
	if row, ours := g.o.Ledger.ByCloud(id); ours && row.Name != "" {
		return row.Name + " (tenant object " + id + ")"
	}
	if o, known := g.o.Cache.Get(id); known {
		for _, name := range []string{cloud.UPN, cloud.DisplayName, cloud.Mail} {
			if n := o.Values.First(name); n != "" {
				return n + " (tenant object " + id + ")"
			}
		}
	}
	return "tenant object " + id
}

// holderOf returns the object that has an attribute's unique value, or "". g.mu is held.
func (g *Gate) holderOf(name string, values []string, itself string, r cloud.Result) string {
	if !r.Conflict {
		return ""
	}
	if r.CloudID != "" && r.CloudID != itself {
		return r.CloudID
	}
	for _, v := range values {
		if name == cloud.UPN {
			if o, ok := g.o.Cache.ByUPN(v); ok && o.ID != itself {
				return o.ID
			}
		}
		if id := g.o.Cache.ByAddress(v, itself); id != "" {
			return id
		}
	}
	return ""
}

// freed reports whether the obstacle of a refused part is removed: the object that had its value is deleted, or has another value. g.mu is held.
func (g *Gate) freed(t *ledger.Trouble) bool {
	if t == nil {
		return false
	}
	return slices.ContainsFunc(t.Parts, func(p ledger.Part) bool {
		if p.Holder == "" {
			return false
		}
		o, known := g.o.Cache.Get(p.Holder)
		return !known || o.Deleted || p.What != "" && !slices.Contains(slices.Collect(maps.Keys(heldDigests(o))), p.Want)
	})
}

// heldDigests returns the digests of an object's values that no other object may have.
func heldDigests(o cloud.Object) map[string]bool {
	out := map[string]bool{}
	for _, name := range attribute.Keys() {
		for _, v := range o.Values[name] {
			if kind, address, typed := strings.Cut(v, ":"); typed && strings.EqualFold(kind, "smtp") {
				v = address
			}
			out[digest([]string{v})] = true
		}
	}
	return out
}
