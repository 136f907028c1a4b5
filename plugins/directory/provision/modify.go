package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/internal/write"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

const accountDisabled = 0x2 // of userAccountControl (MS-ADTS 2.2.16)

func equalNames(a, b string) bool { return strings.EqualFold(a, b) }

// modify changes values, the bit that disables, or references.
func (h *hand) modify(ctx context.Context, w provision.Write, at scene) Outcome {
	if len(w.Refs) > 0 {
		return h.refer(ctx, w, at, w.Refs[0])
	}
	changes := h.stillOurs()
	for _, s := range w.Set {
		changes = append(changes, difference(s)...)
	}
	if w.Disabled != nil {
		bit, err := flip(at.object, *w.Disabled)
		if err != nil {
			return outcomeOf(err)
		}
		changes = append(changes, bit...)
	}
	if err := h.Modify(ctx, write.Modification{Object: w.Object, Changes: changes}); err != nil {
		return h.explain(ctx, w, err)
	}
	return h.verify(ctx, w, nil)
}

// join gives an object its link, in place of the one that it shows. One that got another meanwhile keeps that: the attribute has one value, and what is deleted is deleted by value.
func (h *hand) join(ctx context.Context, w provision.Write) Outcome {
	var changes []write.Change
	if w.WasLink != "" {
		changes = append(changes, write.Change{Op: write.Delete, Attr: w.Link.Attribute, Values: texts(w.WasLink)})
	}
	changes = append(changes, write.Change{Op: write.Add, Attr: w.Link.Attribute, Values: texts(w.Link.Value)})
	if err := h.Modify(ctx, write.Modification{Object: w.Object, Changes: changes}); err != nil {
		return h.explain(ctx, w, err)
	}
	o := h.verify(ctx, w, nil)
	if o.Code != provision.Done || !w.Made() || w.Kind != scoping.User {
		return o
	}
	e, err := h.read(ctx, w.Object, stampAttribute)
	if err != nil {
		return Outcome{Code: provision.InDoubt, Result: o.Result, Reason: "it was joined, and its password's stamp could not be read", Cause: err}
	}
	if s, ok := passwordStamp([]byte(e.Text(stampAttribute))); ok && s.First() {
		o.Result.Stamp = s.Text()
	}
	return o
}

// stillOurs are the changes by which a modification comes to nothing where the link is another one than it was. Of what shows none there is no such change: that it has no value is no condition
// over LDAP, and its objectGUID is.
func (h *hand) stillOurs() (out []write.Change) {
	t := h.target
	if t.ByGUID {
		return nil
	}
	for _, v := range shown(t) {
		out = append(out, write.Change{Op: write.Delete, Attr: t.Link.Attribute, Values: texts(v)}, write.Change{Op: write.Add, Attr: t.Link.Attribute, Values: texts(v)})
	}
	return out
}

// difference deletes what is only in Was and adds what is only in To.
func difference(s provision.Set) []write.Change {
	only := func(of, without []string) [][]byte {
		return texts(slices.DeleteFunc(slices.Clone(of), func(v string) bool { return slices.Contains(without, v) })...)
	}
	var out []write.Change
	if gone := only(s.Was, s.To); len(gone) > 0 {
		out = append(out, write.Change{Op: write.Delete, Attr: s.Attribute, Values: gone})
	}
	if fresh := only(s.To, s.Was); len(fresh) > 0 {
		out = append(out, write.Change{Op: write.Add, Attr: s.Attribute, Values: fresh})
	}
	return out
}

// flip changes one bit of userAccountControl. The others stay as they are: a value that changed since it was read is not deleted, and nothing is changed. (Samba answers success where what was to
// be is there already, whatever is to be deleted.)
func flip(e directory.Entry, s provision.Switch) ([]write.Change, error) {
	control, told := e.Int("userAccountControl")
	if !told {
		return nil, stop(provision.NoRights, "userAccountControl of %q is not shown", e.DN)
	}
	if (control&accountDisabled != 0) != s.Was {
		return nil, stop(provision.Precondition, "userAccountControl of %q is %d: somebody else disabled or enabled it", e.DN, control)
	}
	number := func(n int64) [][]byte { return texts(strconv.FormatInt(n, 10)) }
	return []write.Change{{Op: write.Delete, Attr: "userAccountControl", Values: number(control)}, {Op: write.Add, Attr: "userAccountControl", Values: number(control ^ accountDisabled)}}, nil
}

// refer adds and removes references. The objects that are to be added have to be there: that is looked at before, so that a reference that vanished is told from an object that did.
func (h *hand) refer(ctx context.Context, w provision.Write, at scene, r provision.Ref) Outcome {
	there, err := h.ByGUID(ctx, r.Add, []string{"objectClass"}, false)
	if err != nil {
		return outcomeOf(err)
	}
	for _, g := range r.Add {
		if _, ok := there[g]; !ok {
			return Outcome{Code: provision.Precondition, Reason: fmt.Sprintf("%s, which is to be %s of %q, is not at %s", g, r.Attribute, at.object.DN, h.Controller().URL)}
		}
	}
	changes := append(h.stillOurs(), references(r)...)
	err = h.Modify(ctx, write.Modification{Object: w.Object, Changes: changes})
	if err == nil {
		return h.verify(ctx, w, nil)
	}
	var e *directory.WriteError
	if equalNames(r.Attribute, "member") && errors.As(err, &e) && !e.InDoubt && slices.Contains(memberAlready, e.Code) {
		return h.members(ctx, w, at, r)
	}
	return h.explain(ctx, w, err)
}

// memberAlready are the results for members that are there already, or gone: 68 and 53 with MS-ERREF's 00000562 and 00000561, and what the link's own change answers, which the
// repetition tells apart.
var memberAlready = []uint16{resultExists, resultUnwilling, resultNoValue, resultValueExists, resultNoObject}

func references(r provision.Ref) []write.Change {
	names := func(of []scoping.GUID) [][]byte {
		out := make([]string, len(of))
		for i, g := range of {
			out[i] = "<GUID=" + g.String() + ">"
		}
		return texts(out...)
	}
	var out []write.Change
	if len(r.Remove) > 0 {
		out = append(out, write.Change{Op: write.Delete, Attr: r.Attribute, Values: names(r.Remove)})
	}
	if len(r.Add) > 0 {
		out = append(out, write.Change{Op: write.Add, Attr: r.Attribute, Values: names(r.Add)})
	}
	return out
}

// members does what is left to do of members of whom some are there already, or gone.
func (h *hand) members(ctx context.Context, w provision.Write, at scene, r provision.Ref) Outcome {
	e, err := h.read(ctx, w.Object, "member")
	if err != nil {
		return outcomeOf(err)
	}
	has := map[scoping.GUID]bool{}
	for _, l := range e.Links["member"].Targets {
		has[l.GUID] = true
	}
	left := provision.Ref{Attribute: r.Attribute, Remove: slices.DeleteFunc(slices.Clone(r.Remove), func(g scoping.GUID) bool { return !has[g] }),
		Add: slices.DeleteFunc(slices.Clone(r.Add), func(g scoping.GUID) bool { return has[g] })}
	changes := append(h.stillOurs(), references(left)...)
	if err := h.Modify(ctx, write.Modification{Object: w.Object, Changes: changes}); err != nil {
		return h.explain(ctx, w, err)
	}
	return h.verify(ctx, w, nil)
}
