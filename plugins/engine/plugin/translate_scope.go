package plugin

import (
	"fmt"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin/enginepb"
	"github.com/tandem-sync/tandem/scoping"
)

// guidIn takes no bytes as the zero GUID.
func guidIn(b []byte) (scoping.GUID, error) {
	if len(b) == 0 {
		return scoping.GUID{}, nil
	}
	g, err := scoping.GUIDFromBytes(b)
	if err != nil {
		return g, fmt.Errorf("%w: %w", engine.ErrContract, err)
	}
	return g, nil
}

func guidOut(g scoping.GUID) []byte {
	if g.IsZero() {
		return nil
	}
	return g[:]
}

func objectOut(o scoping.ObjectID) *enginepb.Object {
	if o == (scoping.ObjectID{}) {
		return nil
	}
	return &enginepb.Object{Directory: o.Directory, Guid: guidOut(o.GUID)}
}

func objectIn(o *enginepb.Object) (scoping.ObjectID, error) {
	g, err := guidIn(o.GetGuid())
	return scoping.ObjectID{Directory: o.GetDirectory(), GUID: g}, err
}

// objectsOut packs neighbours of one directory together and keeps the order.
func objectsOut(ids []scoping.ObjectID) []*enginepb.Objects {
	var packed []*enginepb.Objects
	for i := 0; i < len(ids); {
		j := i
		for j < len(ids) && ids[j].Directory == ids[i].Directory {
			j++
		}
		p := &enginepb.Objects{Directory: ids[i].Directory, Guids: make([]byte, 0, 16*(j-i))}
		for _, id := range ids[i:j] {
			p.Guids = append(p.Guids, id.GUID[:]...)
		}
		packed, i = append(packed, p), j
	}
	return packed
}

func objectsIn(packed []*enginepb.Objects) ([]scoping.ObjectID, error) {
	n := 0
	for _, p := range packed {
		if len(p.Guids)%16 != 0 {
			return nil, engine.ContractError("%d bytes are no list of objectGUIDs", len(p.Guids))
		}
		n += len(p.Guids) / 16
	}
	if n == 0 {
		return nil, nil
	}
	ids := make([]scoping.ObjectID, 0, n)
	for _, p := range packed {
		for b := p.Guids; len(b) > 0; b = b[16:] {
			ids = append(ids, scoping.ObjectID{Directory: p.Directory, GUID: scoping.GUID(b[:16])})
		}
	}
	return ids, nil
}

func epochOut(e scoping.Epoch) *enginepb.Epoch {
	return &enginepb.Epoch{Incarnation: e.Incarnation, N: e.N}
}

func epochIn(e *enginepb.Epoch) scoping.Epoch {
	return scoping.Epoch{Incarnation: e.GetIncarnation(), N: e.GetN()}
}

func namesOut[T ~string](from []T) []string {
	if len(from) == 0 {
		return nil
	}
	to := make([]string, len(from))
	for i, f := range from {
		to[i] = string(f)
	}
	return to
}

func featuresIn(from []string) []scoping.Feature {
	if len(from) == 0 {
		return nil
	}
	to := make([]scoping.Feature, len(from))
	for i, f := range from {
		to[i] = scoping.Feature(f)
	}
	return to
}

func scopeOut(s scoping.Scope) *enginepb.Scope {
	to := &enginepb.Scope{Directory: s.Directory, Under: guidOut(s.Under), Selector: s.Selector, Features: namesOut(s.Features)}
	for _, g := range s.Except {
		to.Except = append(to.Except, guidOut(g))
	}
	return to
}

func scopeIn(s *enginepb.Scope) (scoping.Scope, error) {
	under, err := guidIn(s.GetUnder())
	to := scoping.Scope{Directory: s.GetDirectory(), Under: under, Selector: s.GetSelector(), Features: featuresIn(s.GetFeatures())}
	for _, b := range s.GetExcept() {
		g, e := guidIn(b)
		if err == nil {
			err = e
		}
		to.Except = append(to.Except, g)
	}
	return to, err
}

func modeIn(m enginepb.Mode) (engine.Mode, error) {
	if m < enginepb.Mode_MODE_NONE || m > enginepb.Mode_MODE_OWN {
		return engine.ModeNone, engine.ContractError("mode %d is unknown", m)
	}
	return engine.Mode(m), nil
}

func grantsOut(grants []engine.Grant) *enginepb.GrantsRequest {
	to := &enginepb.GrantsRequest{}
	for _, g := range grants {
		to.Grants = append(to.Grants, &enginepb.Grant{Id: g.ID, Scope: scopeOut(g.Scope), Mode: enginepb.Mode(g.Mode), Epoch: epochOut(g.Epoch)})
	}
	return to
}

func grantsIn(r *enginepb.GrantsRequest) ([]engine.Grant, error) {
	to := make([]engine.Grant, 0, len(r.GetGrants()))
	for _, g := range r.GetGrants() {
		scope, err := scopeIn(g.Scope)
		if err != nil {
			return nil, fmt.Errorf("scope of grant %d: %w", g.Id, err)
		}
		mode, err := modeIn(g.Mode)
		if err != nil {
			return nil, fmt.Errorf("grant %d: %w", g.Id, err)
		}
		to = append(to, engine.Grant{ID: g.Id, Scope: scope, Mode: mode, Epoch: epochIn(g.Epoch)})
	}
	return to, nil
}

func ackOut(a engine.Ack) *enginepb.Ack {
	return &enginepb.Ack{Grant: a.Grant, Epoch: epochOut(a.Epoch), InForce: a.InForce, Idle: a.Idle, Error: a.Err}
}

func ackIn(a *enginepb.Ack) engine.Ack {
	return engine.Ack{Grant: a.Grant, Epoch: epochIn(a.Epoch), InForce: a.InForce, Idle: a.Idle, Err: a.Error}
}
