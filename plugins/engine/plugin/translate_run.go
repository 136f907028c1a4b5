package plugin

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin/enginepb"
	"github.com/tandem-sync/tandem/scoping"
)

func valuesOut(values map[string]engine.Value) map[string]*enginepb.Value {
	if len(values) == 0 {
		return nil
	}
	to := make(map[string]*enginepb.Value, len(values))
	for name, v := range values {
		to[name] = &enginepb.Value{Text: v.Text, Secret: v.Secret}
	}
	return to
}

func valuesIn(values map[string]*enginepb.Value) map[string]engine.Value {
	if len(values) == 0 {
		return nil
	}
	to := make(map[string]engine.Value, len(values))
	for name, v := range values {
		to[name] = engine.Value{Text: v.GetText(), Secret: v.GetSecret()}
	}
	return to
}

// checkText finds what cannot cross the wire: protobuf strings are UTF-8.
func checkText(p engine.Proposal) error {
	for name, v := range p.Desired {
		for _, t := range v.Text {
			if !utf8.ValidString(t) {
				return engine.ContractError("proposal %d for %s: the value of %q is not UTF-8", p.Seq, p.Object, name)
			}
		}
	}
	return nil
}

func proposalOut(p engine.Proposal) (*enginepb.Proposal, error) {
	if err := checkText(p); err != nil {
		return nil, err
	}
	to := &enginepb.Proposal{Seq: p.Seq, Object: objectOut(p.Object), Kind: string(p.Kind), Name: strings.ToValidUTF8(p.Name, "\uFFFD"),
		Parent: guidOut(p.Parent), Version: p.Version, Feature: string(p.Feature), Grant: p.Grant, Epoch: epochOut(p.Epoch),
		Want: enginepb.Want(p.Want), Reason: p.Reason, Desired: valuesOut(p.Desired), Password: passwordOut(p.Password)}
	if len(p.Refs) > 0 {
		to.Refs = make(map[string]*enginepb.Refs, len(p.Refs))
	}
	for name, r := range p.Refs {
		to.Refs[name] = &enginepb.Refs{Whole: r.Whole, Targets: objectsOut(r.Targets), Added: objectsOut(r.Added), Removed: objectsOut(r.Removed)}
	}
	return to, nil
}

func proposalIn(p *enginepb.Proposal) (engine.Proposal, error) {
	object, err1 := objectIn(p.Object)
	parent, err2 := guidIn(p.Parent)
	refs, err3 := refsIn(p.Refs)
	to := engine.Proposal{Seq: p.Seq, Object: object, Kind: scoping.Kind(p.Kind), Name: p.Name, Parent: parent, Version: p.Version,
		Feature: scoping.Feature(p.Feature), Grant: p.Grant, Epoch: epochIn(p.Epoch), Want: engine.Want(p.Want), Reason: p.Reason,
		Desired: valuesIn(p.Desired), Refs: refs}
	var err4, err5 error
	to.Password, err5 = passwordIn(p.Password)
	if p.Want < enginepb.Want_WANT_PRESENT || p.Want > enginepb.Want_WANT_UNKNOWN {
		err4 = engine.ContractError("want %d is unknown", p.Want)
	}
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return engine.Proposal{}, fmt.Errorf("proposal %d for %s: %w", p.Seq, object, err)
	}
	return to, nil
}

func refsIn(refs map[string]*enginepb.Refs) (map[string]engine.Refs, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	to := make(map[string]engine.Refs, len(refs))
	for name, r := range refs {
		targets, err1 := objectsIn(r.GetTargets())
		added, err2 := objectsIn(r.GetAdded())
		removed, err3 := objectsIn(r.GetRemoved())
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("references %q: %w", name, err)
		}
		to[name] = engine.Refs{Whole: r.GetWhole(), Targets: targets, Added: added, Removed: removed}
	}
	return to, nil
}

func requestOut(r engine.RunRequest) *enginepb.RunStart {
	to := &enginepb.RunStart{Run: r.Run, Profile: r.Profile, Objects: objectsOut(r.Objects), Ceiling: enginepb.Mode(r.Ceiling), Dc: r.DC, Stream: string(r.Stream), Since: r.Since,
		Extensions: r.Extensions}
	for name, p := range r.AsOf {
		if to.AsOf == nil {
			to.AsOf = map[string]*enginepb.AsOf{}
		}
		to.AsOf[name] = &enginepb.AsOf{Invocation: guidOut(p.Invocation), Usn: p.USN}
	}
	for _, s := range r.Scopes {
		to.Scopes = append(to.Scopes, scopeOut(s))
	}
	return to
}

func requestIn(r *enginepb.RunStart) (engine.RunRequest, error) {
	objects, err1 := objectsIn(r.Objects)
	ceiling, err2 := modeIn(r.Ceiling)
	to := engine.RunRequest{Run: r.Run, Profile: r.Profile, Objects: objects, Ceiling: ceiling, DC: r.Dc, Stream: engine.Stream(r.Stream), Since: r.Since, Extensions: r.Extensions}
	err := errors.Join(err1, err2)
	for name, p := range r.AsOf {
		invocation, e := guidIn(p.GetInvocation())
		err = errors.Join(err, e)
		if to.AsOf == nil {
			to.AsOf = map[string]engine.AsOf{}
		}
		to.AsOf[name] = engine.AsOf{Invocation: invocation, USN: p.GetUsn()}
	}
	for _, s := range r.Scopes {
		scope, e := scopeIn(s)
		err = errors.Join(err, e)
		to.Scopes = append(to.Scopes, scope)
	}
	return to, err
}

func decisionsOut(decisions []engine.Decision) *enginepb.Decisions {
	to := &enginepb.Decisions{}
	for _, d := range decisions {
		to.Decisions = append(to.Decisions, &enginepb.Decision{Seq: d.Seq, Outcome: string(d.Outcome), Code: d.Code, Reason: d.Reason, Owner: d.Owner})
	}
	return to
}

func decisionsIn(decisions *enginepb.Decisions) []engine.Decision {
	to := make([]engine.Decision, 0, len(decisions.GetDecisions()))
	for _, d := range decisions.GetDecisions() {
		to = append(to, engine.Decision{Seq: d.Seq, Outcome: engine.Outcome(d.Outcome), Code: d.Code, Reason: d.Reason, Owner: d.Owner})
	}
	return to
}

func progressOut(p engine.Progress) *enginepb.Progress {
	return &enginepb.Progress{Phase: p.Phase, Done: uint32(p.Done), Total: uint32(p.Total)}
}

func reportOut(r engine.RunReport) *enginepb.RunReport {
	to := &enginepb.RunReport{Directory: r.Directory, Dc: guidOut(r.DC), Usn: r.USN, Read: uint32(r.Read), Complete: r.Complete, More: r.More, Since: r.Since}
	for _, e := range r.Errors {
		to.Errors = append(to.Errors, &enginepb.ObjectError{Object: objectOut(e.Object), Code: e.Code,
			Message: strings.ToValidUTF8(e.Message, "\uFFFD")})
	}
	return to
}

func reportIn(r *enginepb.RunReport) (engine.RunReport, error) {
	dc, err := guidIn(r.Dc)
	to := engine.RunReport{Directory: r.Directory, DC: dc, USN: r.Usn, Read: int(r.Read), Complete: r.Complete, More: r.More, Since: r.Since}
	for _, e := range r.Errors {
		o, err2 := objectIn(e.Object)
		err = errors.Join(err, err2)
		to.Errors = append(to.Errors, engine.ObjectError{Object: o, Code: e.Code, Message: e.Message})
	}
	return to, err
}

func beginOut(b engine.RunBegin) *enginepb.RunBegin {
	to := &enginepb.RunBegin{Directory: b.Directory, Dc: guidOut(b.DC), Usn: b.USN}
	if !b.Rules.IsZero() {
		to.Rules = b.Rules[:]
	}
	return to
}

func beginIn(b *enginepb.RunBegin) (engine.RunBegin, error) {
	dc, err := guidIn(b.GetDc())
	to := engine.RunBegin{Directory: b.GetDirectory(), DC: dc, USN: b.GetUsn()}
	if n := len(b.GetRules()); n != 0 && n != len(to.Rules) {
		err = errors.Join(err, engine.ContractError("a fingerprint of rules has %d bytes; it must have %d", n, len(to.Rules)))
	} else {
		copy(to.Rules[:], b.GetRules())
	}
	return to, err
}

func eventOfRun(e *enginepb.RunEvent) (engine.RunEvent, error) {
	switch is := e.Is.(type) {
	case *enginepb.RunEvent_Proposals:
		batch, err := batchIn(is.Proposals.GetProposals())
		return engine.RunEvent{Proposals: batch}, err
	case *enginepb.RunEvent_Progress:
		return engine.RunEvent{Progress: &engine.Progress{Phase: is.Progress.Phase, Done: int(is.Progress.Done), Total: int(is.Progress.Total)}}, nil
	case *enginepb.RunEvent_Begin:
		b, err := beginIn(is.Begin)
		return engine.RunEvent{Begin: &b}, err
	case *enginepb.RunEvent_Report:
		r, err := reportIn(is.Report)
		return engine.RunEvent{Report: &r}, err
	}
	return engine.RunEvent{}, engine.ContractError("an event of a run is of no known kind")
}

func batchIn(from []*enginepb.Proposal) ([]engine.Proposal, error) {
	if len(from) > engine.MaxBatch {
		return nil, engine.ContractError("a batch of %d proposals; at most %d are allowed", len(from), engine.MaxBatch)
	}
	to := make([]engine.Proposal, 0, len(from))
	for _, f := range from {
		p, err := proposalIn(f)
		if err != nil {
			return nil, err
		}
		to = append(to, p)
	}
	return to, nil
}
