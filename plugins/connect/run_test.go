package connect_test

import (
	"slices"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

func sorted(lines []string) []string { return slices.Sorted(slices.Values(lines)) }

func (w *world) want(got result, lines ...string) {
	w.Helper()
	if d := cmp.Diff(sorted(lines), sorted(got.lines())); d != "" {
		w.Errorf("proposals (-want +got):\n%s", d)
	}
	for _, r := range got.reports {
		if !r.Complete || len(r.Errors) > 0 || r.DC.IsZero() || r.USN == 0 {
			w.Errorf("report: %+v", r)
		}
	}
	if len(got.reports) != 1 {
		w.Errorf("%d reports", len(got.reports))
	}
}

func TestFullProposesEveryObjectOfTheScopes(t *testing.T) {
	onEveryLab(t, func(w *world) {
		inner := w.addOU("Inner, #1", w.ou)
		excepted := w.addOU("Excepted", w.ou)
		ann := w.addUser(`Ann "+" Doe`, w.ou, "displayName", "Ann Doe", "department", "R&D")
		bob := w.addUser("Bob", inner, "manager", ann)
		w.addUser("Elsewhere", excepted)
		crew := w.addGroup("Crew žluť", w.ou, ann, bob)
		got := w.run(engine.ProfileFull, []scoping.Scope{w.scope(w.ou, excepted)})
		w.want(got, "users present CN=Ann \\\"\\+\\\" Doe", "users present CN=Bob", "groups present CN=Crew žluť",
			"references present CN=Ann \\\"\\+\\\" Doe", "references present CN=Bob", "references present CN=Crew žluť")
		firstRefs := slices.IndexFunc(got.proposals, func(p engine.Proposal) bool { return p.Feature == scoping.References })
		if firstRefs != 3 {
			w.Errorf("references begin at %d, before the last base proposal", firstRefs)
		}
		a, b, c := w.guid(ann), w.guid(bob), w.guid(crew)
		id := func(g scoping.GUID) scoping.ObjectID { return scoping.ObjectID{Directory: "contoso", GUID: g} }
		if p := got.of(w, b, scoping.References); !slices.Equal(p.Refs["manager"].Targets, []scoping.ObjectID{id(a)}) || !p.Refs["manager"].Whole {
			w.Errorf("manager of Bob: %+v", p.Refs)
		}
		members := got.of(w, c, scoping.References).Refs["members"].Targets
		slices.SortFunc(members, scoping.ObjectID.Compare)
		want := []scoping.ObjectID{id(a), id(b)}
		slices.SortFunc(want, scoping.ObjectID.Compare)
		if !slices.Equal(members, want) {
			w.Errorf("members: %v, want %v", members, want)
		}
		p := got.of(w, a, scoping.Users)
		if p.Parent != w.guid(w.ou) || p.Version != got.reports[0].USN || p.Kind != scoping.User {
			w.Errorf("proposal: %+v", p)
		}
		if d := cmp.Diff([]string{"R&D"}, p.Desired["department"].Text); d != "" {
			w.Error(d)
		}
		if v, managed := p.Desired["city"]; !managed || len(v.Text) != 0 {
			w.Errorf("an absent value must be proposed as empty: %v %v", v, managed)
		}
	})
}

func TestDeltaProposesWhatChangedAndNothingElse(t *testing.T) {
	onEveryLab(t, func(w *world) {
		ann, bob := w.addUser("Ann", w.ou), w.addUser("Bob", w.ou)
		crew := w.addGroup("Crew", w.ou, ann)
		scopes := []scoping.Scope{w.scope(w.ou)}
		w.run(engine.ProfileFull, scopes)
		w.want(w.run(engine.ProfileDelta, scopes))
		w.set(ann, "title", "Boss")
		w.modify(crew, func(r *ldap.ModifyRequest) { r.Add("member", []string{bob}); r.Delete("member", []string{ann}) })
		got := w.run(engine.ProfileDelta, scopes)
		w.want(got, "users present CN=Ann", "references present CN=Ann", "groups present CN=Crew", "references present CN=Crew")
		if d := cmp.Diff([]string{"Boss"}, got.of(w, w.guid(ann), scoping.Users).Desired["jobTitle"].Text); d != "" {
			w.Error(d)
		}
		members := got.of(w, w.guid(crew), scoping.References).Refs["members"].Targets
		if len(members) != 1 || members[0].GUID != w.guid(bob) {
			w.Errorf("members: %v", members)
		}
		w.want(w.run(engine.ProfileDelta, scopes))
	})
}

func TestDeletedObjectIsProposedAsGoneAndLeavesItsGroups(t *testing.T) {
	onEveryLab(t, func(w *world) {
		ann, bob := w.addUser("Ann", w.ou), w.addUser("Bob", w.ou)
		crew := w.addGroup("Crew", w.ou, ann, bob)
		scopes := []scoping.Scope{w.scope(w.ou)}
		w.run(engine.ProfileFull, scopes)
		gone := w.guid(ann)
		w.remove(ann)
		got := w.run(engine.ProfileDelta, scopes)
		w.want(got, "users gone CN=Ann", "references present CN=Crew")
		if p := got.of(w, gone, scoping.Users); p.Parent != w.guid(w.ou) {
			w.Errorf("a tombstone's place is where it was: %s", p.Parent)
		}
		if m := got.of(w, w.guid(crew), scoping.References).Refs["members"].Targets; len(m) != 1 || m[0].GUID != w.guid(bob) {
			w.Errorf("members: %v", m)
		}
		w.want(w.run(engine.ProfileObjects, scopes, gone), "users gone CN=Ann")
	})
}

func TestRestoredObjectIsPresentAgain(t *testing.T) {
	onEveryLab(t, func(w *world) {
		ann := w.addUser("Ann", w.ou, "displayName", "Ann Doe")
		scopes := []scoping.Scope{w.scope(w.ou)}
		w.run(engine.ProfileFull, scopes)
		g := w.guid(ann)
		w.remove(ann)
		w.run(engine.ProfileDelta, scopes)
		r := ldap.NewModifyRequest(w.tombstone(g), []ldap.Control{ldap.NewControlMicrosoftShowDeleted()})
		r.Delete("isDeleted", nil)
		r.Replace("distinguishedName", []string{ann})
		w.ok(w.ldap.Modify(r))
		got := w.run(engine.ProfileDelta, scopes)
		w.want(got, "users present CN=Ann", "references present CN=Ann")
	})
}

func TestObjectThatLeftTheScopesIsOutOfScope(t *testing.T) {
	onEveryLab(t, func(w *world) {
		mine, other := w.addOU("Mine", w.ou), w.addOU("Other", w.ou)
		ann := w.addUser("Ann", mine)
		bob := w.addUser("Bob", other)
		scopes := []scoping.Scope{w.scope(mine)}
		w.grant(engine.Grant{ID: 7, Scope: scopes[0], Mode: engine.ModeOwn, Epoch: scoping.Epoch{Incarnation: 1, N: 4}})
		w.run(engine.ProfileFull, scopes)
		w.move(ann, "CN=Ann", other)
		w.move(bob, "CN=Bob", mine)
		got := w.run(engine.ProfileDelta, scopes)
		w.want(got, "users out CN=Ann", "users present CN=Bob", "references present CN=Bob")
		for _, p := range got.proposals {
			if p.Grant != 7 || p.Epoch != (scoping.Epoch{Incarnation: 1, N: 4}) {
				w.Errorf("%s %s carries grant %d of %s", p.Feature, p.Name, p.Grant, p.Epoch)
			}
		}
		w.want(w.run(engine.ProfileObjects, scopes, w.guid("CN=Ann,"+other)), "users out CN=Ann")
		w.want(w.run(engine.ProfileDelta, scopes))
	})
}

// grant gives the engine one complete set of grants and waits for the acknowledgement.
func (w *world) grant(set ...engine.Grant) {
	w.Helper()
	in, out := make(chan []engine.Grant), make(chan engine.Ack, len(set))
	done := make(chan error, 1)
	go func() { done <- w.engine.Grants(w.Context(), in, out) }()
	in <- set
	close(in)
	w.ok(<-done)
	if len(out) != len(set) {
		w.Fatalf("%d of %d grants acknowledged", len(out), len(set))
	}
}

func TestMovedContainerChangesThePlaceOfWhatItHolds(t *testing.T) {
	onEveryLab(t, func(w *world) {
		mine, other := w.addOU("Mine", w.ou), w.addOU("Other", w.ou)
		team := w.addOU("Team", mine)
		w.addUser("Ann", team)
		scopes := []scoping.Scope{w.scope(mine)}
		w.run(engine.ProfileFull, scopes)
		w.move(team, "OU=Crew", mine)
		w.want(w.run(engine.ProfileDelta, scopes))
		g := w.guid("CN=Ann,OU=Crew," + mine)
		w.want(w.run(engine.ProfileObjects, scopes, g), "users present CN=Ann", "references present CN=Ann")
		w.move("OU=Crew,"+mine, "OU=Crew", other)
		w.want(w.run(engine.ProfileDelta, scopes))
		w.want(w.run(engine.ProfileFull, scopes))
		w.want(w.run(engine.ProfileObjects, scopes, g), "users out CN=Ann")
	})
}

func TestObjectsRunNeedsNoFullImportBefore(t *testing.T) {
	onEveryLab(t, func(w *world) {
		ann := w.addUser("Ann", w.addOU("Inner", w.ou))
		computer := w.add("CN=PC,"+w.ou, map[string][]string{"objectClass": {"computer"}, "sAMAccountName": {"PC" + w.suffix + "$"}})
		scopes := []scoping.Scope{w.scope(w.ou)}
		w.want(w.run(engine.ProfileObjects, scopes, w.guid(ann)), "users present CN=Ann", "references present CN=Ann")
		got := w.run(engine.ProfileObjects, scopes, w.guid(computer), scoping.GUID{1, 2, 3})
		var reasons []string
		for _, p := range got.proposals {
			reasons = append(reasons, p.Reason)
			if p.Want != engine.Unknown || p.Kind != "" || p.Feature != "" {
				w.Errorf("%+v", p)
			}
		}
		if d := cmp.Diff([]string{engine.NotFound, engine.NotSynchronized}, sorted(reasons)); d != "" || !got.reports[0].Complete {
			w.Errorf("%s %+v", d, got.reports)
		}
	})
}

func TestFullRunDoesNotRepeatDecidedDeletes(t *testing.T) {
	onEveryLab(t, func(w *world) {
		ann := w.addUser("Ann", w.ou)
		w.addUser("Bob", w.ou)
		scopes := []scoping.Scope{w.scope(w.ou)}
		w.run(engine.ProfileFull, scopes)
		w.remove(ann)
		w.want(w.run(engine.ProfileDelta, scopes), "users gone CN=Ann")
		w.want(w.run(engine.ProfileFull, scopes), "users present CN=Bob", "references present CN=Bob")
	})
}

func TestRunForOneScopeLeavesTheDebtOfOthers(t *testing.T) {
	onEveryLab(t, func(w *world) {
		mine, other, foreign := w.addOU("Mine", w.ou), w.addOU("Other", w.ou), w.addOU("Foreign", w.ou)
		scopes := []scoping.Scope{w.scope(mine), w.scope(other)}
		w.run(engine.ProfileFull, scopes)
		w.addUser("Ann", mine)
		w.addUser("Bob", other)
		w.addUser("Cid", foreign)
		// Before the grants of the session came, nothing is thrown away.
		w.want(w.run(engine.ProfileDelta, scopes[:1]), "users present CN=Ann", "references present CN=Ann")
		w.grant(engine.Grant{ID: 1, Scope: scopes[0], Mode: engine.ModeOwn}, engine.Grant{ID: 2, Scope: scopes[1], Mode: engine.ModeOwn})
		w.want(w.run(engine.ProfileDelta, scopes[:1]))
		w.want(w.run(engine.ProfileDelta, scopes), "users present CN=Bob", "references present CN=Bob")
		w.want(w.run(engine.ProfileDelta, append(scopes, w.scope(foreign))))
	})
}

// One answer for each feature that is asked for, also where the base feature belongs to another engine.
func TestAskedForReferencesAloneItAnswersForThem(t *testing.T) {
	onEveryLab(t, func(w *world) {
		ann, wb := w.addUser("Ann", w.ou), w.addUser("Wb", w.ou, "adminDescription", "User_1")
		only := w.scope(w.ou)
		only.Features = []scoping.Feature{scoping.References}
		got := w.run(engine.ProfileObjects, []scoping.Scope{only}, w.guid(ann), w.guid(wb))
		w.want(got, "references present CN=Ann", "references unknown CN=Wb")
		if p := got.of(w, w.guid(wb), scoping.References); p.Reason != "written-back" || len(p.Refs) != 0 {
			w.Errorf("%+v", p)
		}
	})
}
