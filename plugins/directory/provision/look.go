package provision

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/access"
	"github.com/tandem-sync/tandem/plugins/directory/protection"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// termBatch is how many values of one attribute one search asks for.
const termBatch = 50

// Look asks the session's controller who in its domain, living or deleted, has one of the values. The session is that of the account that reads, which sees deleted objects. own are sign-in
// names of accounts that work for Tandem: they are told as protected.
func Look(ctx context.Context, s *directory.Session, own []string, l provision.Look) Outcome {
	if err := l.Valid(); err != nil {
		return Outcome{Code: provision.Failed, Cause: err}
	}
	if c := s.Controller(); c.URL != l.Controller {
		return Outcome{Code: provision.OtherController, Reason: c.URL + " was asked and not " + l.Controller}
	}
	if err := same(s, l.Invocation); err != nil {
		return outcomeOf(err)
	}
	g := glance{Session: s, look: l, judged: map[scoping.GUID]string{}}
	err := g.prepare(ctx, own)
	if err == nil {
		err = g.all(ctx)
	}
	if err != nil {
		return outcomeOf(err)
	}
	return Outcome{Code: provision.Done, Result: provision.Result{Invocation: s.Controller().InvocationID, Found: g.found}}
}

// glance is one look on its way.
type glance struct {
	*directory.Session
	look   provision.Look
	own    []access.SID
	root   directory.Entry
	judged map[scoping.GUID]string // why each is protected
	found  []provision.Found
}

func (g *glance) prepare(ctx context.Context, own []string) (err error) {
	if g.own, err = protection.Own(ctx, g.Session, own); err == nil {
		g.root, err = head(ctx, g.Session)
	}
	return err
}

// all asks for the values of one attribute after the other, and tells what was found in the order of the terms.
func (g *glance) all(ctx context.Context) error {
	of := map[string][]int{}
	var order []string
	for i, t := range g.look.Terms {
		name := strings.ToLower(t.Attribute)
		if of[name] == nil {
			order = append(order, name)
		}
		of[name] = append(of[name], i)
	}
	for _, name := range order {
		for batch := range slices.Chunk(of[name], termBatch) {
			if err := g.several(ctx, batch); err != nil {
				return err
			}
		}
	}
	slices.SortStableFunc(g.found, func(a, b provision.Found) int { return a.Term - b.Term })
	return nil
}

// several asks for some terms of one attribute by one search. What the controller finds and cannot be given to a term by plain folding, since the controller folds more than that, is asked
// for term by term.
func (g *glance) several(ctx context.Context, terms []int) error {
	entries, err := g.search(ctx, terms)
	if err != nil {
		return err
	}
	by := map[int][]directory.Entry{}
	for _, e := range entries {
		at := slices.IndexFunc(terms, func(i int) bool { return has(e, g.look.Terms[i]) })
		if at < 0 && len(terms) > 1 {
			for _, i := range terms {
				if err := g.several(ctx, []int{i}); err != nil {
					return err
				}
			}
			return nil
		}
		for _, i := range terms {
			if len(terms) == 1 || has(e, g.look.Terms[i]) {
				by[i] = append(by[i], e)
			}
		}
	}
	for _, i := range terms {
		for _, e := range by[i][:min(len(by[i]), provision.MaxFound)] {
			if err := g.tell(ctx, i, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *glance) search(ctx context.Context, terms []int) (out []directory.Entry, err error) {
	var filter strings.Builder
	filter.WriteString("(|")
	for _, i := range terms {
		t := g.look.Terms[i]
		if id, err := scoping.ParseGUID(t.Value); err == nil && equalNames(t.Attribute, "objectGUID") {
			filter.WriteString(directory.GUIDFilter(id))
		} else {
			filter.WriteString(directory.EqualFilter(t.Attribute, t.Value))
		}
	}
	filter.WriteString(")")
	attrs := slices.Concat([]string{g.look.Terms[terms[0]].Attribute, "name"}, g.look.Attributes)
	err = g.Search(ctx, directory.SearchQuery{Filter: filter.String(), Attrs: attrs, ShowDeleted: true}, func(e directory.Entry) error { out = append(out, e); return nil })
	return out, err
}

// has reports whether an object has a value by plain folding.
func has(e directory.Entry, t provision.Term) bool {
	if equalNames(t.Attribute, "objectGUID") {
		return strings.EqualFold(e.GUID.String(), t.Value)
	}
	return slices.ContainsFunc(e.Texts(t.Attribute), func(v string) bool { return strings.EqualFold(v, t.Value) })
}

// tell notes what was found.
func (g *glance) tell(ctx context.Context, term int, e directory.Entry) error {
	f := provision.Found{Term: term, Object: e.GUID, DN: e.DN, Deleted: e.Deleted, USN: e.Version, Values: map[string][]string{}}
	if classes := e.Texts("objectClass"); len(classes) > 0 {
		f.Class = classes[len(classes)-1]
	}
	if !e.Deleted {
		f.Parent = e.Parent
	}
	for _, name := range g.look.Attributes {
		if v := valuesOf(e, name); len(v) > 0 {
			f.Values[name] = v
		}
	}
	why, err := g.protects(ctx, e)
	f.Protected = why
	g.found = append(g.found, f)
	return err
}

// protects returns why an object is never written. Where that cannot be told it is taken for one.
func (g *glance) protects(ctx context.Context, e directory.Entry) (string, error) {
	if why, known := g.judged[e.GUID]; known || e.Deleted {
		return why, nil
	}
	whole, err := one(ctx, g.Session, directory.SearchQuery{BaseGUID: e.GUID, Scope: directory.Base, Attrs: protection.Attributes})
	var why string
	if err == nil {
		why, err = judge(ctx, g.Session, whole, g.root, g.own)
	}
	if o := outcomeOf(err); err != nil && (o.Code == provision.NoRights || o.Code == provision.Vanished) {
		why, err = err.Error(), nil
	}
	g.judged[e.GUID] = why
	return why, err
}

// valuesOf are an attribute's values as text: references as objectGUIDs, and what is no text in hexadecimal.
func valuesOf(e directory.Entry, name string) []string {
	if l, ok := e.Links[strings.ToLower(name)]; ok {
		out := make([]string, len(l.Targets))
		for i, t := range l.Targets {
			out[i] = t.GUID.String()
		}
		return out
	}
	if equalNames(name, stampAttribute) {
		if stamp := stampOf(e); stamp != "" {
			return []string{stamp}
		}
		return nil
	}
	out := e.Texts(name)
	for i, v := range out {
		if !utf8.ValidString(v) {
			out[i] = hex.EncodeToString([]byte(v))
		}
	}
	return out
}
