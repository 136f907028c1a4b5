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

// rejected goes on after the tenant refused a write. What it refused is set apart alone: an attribute that it blames, a member who cannot be one;
// where it does not say which, the write is halved until it does. A refusal of the object as a whole ends the item. The lock is held.
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
		it.again, it.done = true, true // a restored group or member brings memberships along that nobody has seen yet: read them first
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

// refusedEnds sets apart the end that the tenant names, or the only one there is; else it halves them.
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

// refusedValues sets apart the attribute that the tenant blames, or the only one there is; else it halves them. A create goes on without the
// attribute only if the tenant says which it is, and nobody else holds its value: what of that is left out is for policy to say.
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
	case ties(w) && (bad == "" || key(bad)): // an object that does not get its key is not taken over by halves
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

// ties reports whether an update takes an object over by giving it its key.
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

// replace puts other writes in the place of the one that was refused.
func (it *item) replace(ws ...cloud.Write) {
	it.v.Writes = slices.Concat(it.v.Writes[:it.next], ws, it.v.Writes[it.next+1:])
}

// setAside notes a refusal, so that the key is not settled by what else is written, and the session does not try the same again.
func (s *Session) setAside(it *item, p ledger.Part) {
	k := ledger.Key{Object: it.p.Object, Feature: it.p.Feature}
	it.parts = append(it.parts, p)
	s.refused[k] = append(s.refused[k], p)
}

// told are the parts that the item's decision tells the ledger: what was found or tried now and, beside that, what still waits from before.
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

// conclusion is an item's outcome once all its writes are done: that of what was set apart, if anything was. The lock is held.
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

// reasonOf says what the tenant answered.
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

// reason is what the tenant answered, with the object that holds the value in question. The lock is held.
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

// titleOf names a tenant object for people: by its directory object, if Tandem links one, else as the tenant shows it. The lock is held.
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

// holderOf finds who holds an attribute's value that must be unique. The lock is held.
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

// freed reports whether what stood in the way of a refused part is gone: the object that held its value, or the value. The lock is held.
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

// heldDigests are the values of an object that no other may have, as digests.
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
