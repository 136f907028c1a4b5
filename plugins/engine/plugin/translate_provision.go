package plugin

import (
	"errors"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin/enginepb"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

func targetOut(t *provision.Target) *enginepb.ProvisionTarget {
	if t == nil {
		return nil
	}
	to := &enginepb.ProvisionTarget{Op: string(t.Op), Kind: string(t.Kind), Controller: t.Controller, Invocation: guidOut(t.Invocation), Object: guidOut(t.Object),
		Container: guidOut(t.Container), Root: guidOut(t.Root), LinkAttribute: t.Link.Attribute, LinkValue: t.Link.Value, WasLink: t.WasLink, Altered: t.Altered, ByGuid: t.ByGUID}
	for _, g := range t.Roots {
		to.Roots = append(to.Roots, guidOut(g))
	}
	return to
}

// targetIn refuses what is no target: it never reaches an engine.
func targetIn(t *enginepb.ProvisionTarget) (*provision.Target, error) {
	if t == nil {
		return nil, nil
	}
	to := &provision.Target{Op: provision.Op(t.Op), Kind: scoping.Kind(t.Kind), Controller: t.Controller, Link: provision.Link{Attribute: t.LinkAttribute, Value: t.LinkValue},
		WasLink: t.WasLink, Altered: t.Altered, ByGUID: t.ByGuid}
	if err := guidsIn(map[*scoping.GUID][]byte{&to.Invocation: t.Invocation, &to.Object: t.Object, &to.Container: t.Container, &to.Root: t.Root}); err != nil {
		return nil, err
	}
	for _, b := range t.Roots {
		g, err := guidIn(b)
		if err != nil {
			return nil, err
		}
		to.Roots = append(to.Roots, g)
	}
	return to, to.Valid()
}

func guidsIn(from map[*scoping.GUID][]byte) error {
	var errs []error
	for to, b := range from {
		g, err := guidIn(b)
		*to = g
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// packGUIDs is for references of a few objects, one after the other.
func packGUIDs(from []scoping.GUID) (to []byte) {
	for _, g := range from {
		to = append(to, g[:]...)
	}
	return to
}

func unpackGUIDs(from []byte) (to []scoping.GUID, err error) {
	if len(from)%16 != 0 {
		return nil, engine.ContractError("%d bytes are no list of objectGUIDs", len(from))
	}
	for ; len(from) > 0; from = from[16:] {
		to = append(to, scoping.GUID(from[:16]))
	}
	return to, nil
}

func provisionValuesOut(v *provision.Values) *enginepb.ProvisionValues {
	if v == nil {
		return nil
	}
	to := &enginepb.ProvisionValues{Name: v.Name, WasName: v.WasName, From: guidOut(v.From)}
	for _, s := range v.Set {
		to.Set = append(to.Set, &enginepb.ProvisionSet{Attribute: s.Attribute, Was: s.Was, To: s.To})
	}
	for _, r := range v.Refs {
		to.Refs = append(to.Refs, &enginepb.ProvisionRef{Attribute: r.Attribute, Remove: packGUIDs(r.Remove), Add: packGUIDs(r.Add)})
	}
	if v.Disabled != nil {
		to.Disabled = &enginepb.ProvisionSwitch{Was: v.Disabled.Was, To: v.Disabled.To}
	}
	return to
}

func provisionValuesIn(v *enginepb.ProvisionValues) (*provision.Values, error) {
	if v == nil {
		return nil, nil
	}
	to := &provision.Values{Name: v.Name, WasName: v.WasName}
	var errs []error
	var err error
	to.From, err = guidIn(v.From)
	errs = append(errs, err)
	for _, s := range v.Set {
		to.Set = append(to.Set, provision.Set{Attribute: s.GetAttribute(), Was: s.GetWas(), To: s.GetTo()})
	}
	for _, r := range v.Refs {
		remove, err1 := unpackGUIDs(r.GetRemove())
		add, err2 := unpackGUIDs(r.GetAdd())
		errs = append(errs, err1, err2)
		to.Refs = append(to.Refs, provision.Ref{Attribute: r.GetAttribute(), Remove: remove, Add: add})
	}
	if v.Disabled != nil {
		to.Disabled = &provision.Switch{Was: v.Disabled.Was, To: v.Disabled.To}
	}
	return to, errors.Join(errs...)
}

func lookOut(l *provision.Look) *enginepb.ProvisionLook {
	if l == nil {
		return nil
	}
	to := &enginepb.ProvisionLook{Controller: l.Controller, Invocation: guidOut(l.Invocation), Attributes: l.Attributes}
	for _, t := range l.Terms {
		to.Terms = append(to.Terms, &enginepb.ProvisionTerm{Attribute: t.Attribute, Value: t.Value})
	}
	return to
}

// lookIn refuses what is no look: it never reaches an engine.
func lookIn(l *enginepb.ProvisionLook) (*provision.Look, error) {
	if l == nil {
		return nil, nil
	}
	to := &provision.Look{Controller: l.Controller, Attributes: l.Attributes}
	var err error
	if to.Invocation, err = guidIn(l.Invocation); err != nil {
		return nil, err
	}
	for _, t := range l.Terms {
		to.Terms = append(to.Terms, provision.Term{Attribute: t.GetAttribute(), Value: t.GetValue()})
	}
	return to, to.Valid()
}

func provisionResultOut(r *provision.Result) *enginepb.ProvisionResult {
	if r == nil {
		return nil
	}
	to := &enginepb.ProvisionResult{Object: guidOut(r.Object), Dn: valid(r.DN), Invocation: guidOut(r.Invocation), Usn: r.USN, Stamp: valid(r.Stamp)}
	for _, f := range r.Found {
		x := &enginepb.ProvisionFound{Term: uint32(f.Term), Object: guidOut(f.Object), Dn: valid(f.DN), Parent: guidOut(f.Parent), Deleted: f.Deleted, Class: valid(f.Class),
			Protected: valid(f.Protected), Usn: f.USN}
		for name, texts := range f.Values {
			if x.Values == nil {
				x.Values = map[string]*enginepb.Value{}
			}
			v := &enginepb.Value{}
			for _, t := range texts {
				v.Text = append(v.Text, valid(t))
			}
			x.Values[name] = v
		}
		to.Found = append(to.Found, x)
	}
	return to
}

func provisionResultIn(r *enginepb.ProvisionResult) (*provision.Result, error) {
	if r == nil {
		return nil, nil
	}
	to := &provision.Result{DN: r.Dn, USN: r.Usn, Stamp: r.Stamp}
	err := guidsIn(map[*scoping.GUID][]byte{&to.Object: r.Object, &to.Invocation: r.Invocation})
	for _, f := range r.Found {
		x := provision.Found{Term: int(f.GetTerm()), DN: f.GetDn(), Deleted: f.GetDeleted(), Class: f.GetClass(), Protected: f.GetProtected(), USN: f.GetUsn()}
		err = errors.Join(err, guidsIn(map[*scoping.GUID][]byte{&x.Object: f.GetObject(), &x.Parent: f.GetParent()}))
		for name, v := range f.GetValues() {
			if x.Values == nil {
				x.Values = map[string][]string{}
			}
			x.Values[name] = v.GetText()
		}
		to.Found = append(to.Found, x)
	}
	return to, err
}
