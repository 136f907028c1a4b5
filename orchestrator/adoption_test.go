package orchestrator_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// existing puts accounts for the directory's users into the tenant, as an engine of before left them: with the directory's anchors, every third with another
// display name. It gives their ids by sign-in name.
func (w *world) existing(most int) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	found, err := w.conn.SearchWithPaging(ldap.NewSearchRequest(w.site.base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false,
		"(&(objectClass=user)(userPrincipalName=*)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))", []string{"objectGUID", "userPrincipalName", "displayName", "sAMAccountName", "mail", "mS-DS-ConsistencyGuid"}, nil), 500)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, e := range found.Entries {
		upn := e.GetAttributeValue("userPrincipalName")
		if len(out) == most || strings.Contains(e.DN, "OU=Service,") || !strings.HasSuffix(upn, "@"+w.site.domain) || len(e.GetRawAttributeValue("mS-DS-ConsistencyGuid")) > 0 {
			continue
		}
		name := e.GetAttributeValue("displayName")
		if i%3 == 0 {
			name = "Old " + name
		}
		body := map[string]any{"accountEnabled": true, "displayName": name, "mailNickname": e.GetAttributeValue("sAMAccountName"), "userPrincipalName": upn,
			"onPremisesImmutableId": base64.StdEncoding.EncodeToString(e.GetRawAttributeValue("objectGUID")), "passwordProfile": map[string]any{"password": "Some-Passw0rd!"}}
		o, err := w.model.CreateUser(body)
		if err != nil {
			w.t.Fatalf("%s: %v", upn, err)
		}
		out[strings.ToLower(upn)] = o.ID
	}
	return out
}

// adoptions gives the open held sets of a first adoption.
func (w *world) adoptions() (out []ledger.Hold) {
	w.t.Helper()
	for _, x := range w.tandem.Host().Held() {
		if x.Class == ledger.Adoptions && x.State == ledger.HoldOpen {
			out = append(out, x)
		}
	}
	return out
}

func TestATenantWithTwoHundredObjectsIsAdoptedWithOneAnswer(t *testing.T) {
	w := embedded(t, 260)
	had := w.existing(200)
	if len(had) != 200 {
		t.Fatalf("%d accounts", len(had))
	}
	alike := w.cloudGroup("Look alike", "alike")
	w.add("CN=alike,OU=Sales,"+w.site.base, map[string][]string{"objectClass": {"group"}, "sAMAccountName": {"lookalike"}, "groupType": {"-2147483646"}, "displayName": {"Look Alike"}})
	w.importPolicy()
	w.graph.ResetCounters()
	h := w.tandem.Host()
	r, err := h.Sync(t.Context(), "connect", run.SyncOptions{Profile: engine.ProfileFull})
	if err != nil {
		t.Fatal(err)
	}
	sets := w.adoptions()
	if len(sets) != 1 || len(sets[0].Entries) != r.Held { // some newcomers have the names of people who were there
		t.Fatalf("held sets: %d; %d held; %+v", len(sets), r.Held, r.Errors)
	}
	for upn, id := range had {
		if o := w.mustUser(upn); o.ID != id || o.Properties["jobTitle"] != nil {
			t.Fatalf("%s was written before anybody approved: %v", upn, o.Properties)
		}
	}
	var joins, changes, looks int
	for _, e := range sets[0].Entries {
		switch {
		case e.Op == "join":
			joins++
			if slices.ContainsFunc(e.Changes, func(c ledger.Change) bool {
				return c.Attribute == "displayName" && strings.HasPrefix(c.Old[0], "Old ") && c.Old[0] == "Old "+c.New[0]
			}) {
				changes++
			}
		case e.Op == "create" && strings.Contains(e.Note, alike):
			looks++
		}
	}
	if joins != 200 || changes == 0 || looks != 1 {
		t.Errorf("%d joins, %d show a changed display name, %d look-alikes", joins, changes, looks)
	}
	if again, err := h.Sync(t.Context(), "connect", run.SyncOptions{}); err != nil || again.Applied != 0 {
		t.Errorf("a delta run goes on by itself: %+v, %v", again, err)
	}
	if a, err := h.Answer(t.Context(), w.adoptions()[0].ID, "approve", "ann", "seen"); err != nil || a == nil || a.Failed > 0 {
		t.Fatalf("the approval: %+v, %v", a, err)
	}
	w.sync("connect", engine.ProfileFull)
	for upn, id := range had {
		if o := w.mustUser(upn); o.ID != id {
			t.Errorf("%s is another object", upn)
		}
	}
	if len(w.adoptions()) > 0 || len(w.journaled("adopted")) != 1 {
		t.Errorf("the adoption goes on: %d sets, journal %v", len(w.adoptions()), w.journaled("adopted"))
	}
	w.graph.ResetCounters()
	if w.sync("connect", engine.ProfileFull); w.writes() > 0 {
		t.Errorf("a further full run writes %d times", w.writes())
	}
}

func TestAnEmptyTenantIsAdoptedWithoutAQuestion(t *testing.T) {
	w := embedded(t, 20)
	w.importPolicy()
	w.sync("connect", engine.ProfileFull)
	if n := len(w.journaled("adopted")); n != 1 {
		t.Errorf("%d ends of an adoption", n)
	}
}

func TestWhatARejectedAdoptionAskedStaysUnlinked(t *testing.T) {
	w := embedded(t, 20)
	had := w.existing(5)
	w.importPolicy()
	h := w.tandem.Host()
	if _, err := h.Sync(t.Context(), "connect", run.SyncOptions{Profile: engine.ProfileFull}); err != nil {
		t.Fatal(err)
	}
	sets := w.adoptions()
	if len(sets) != 1 || len(sets[0].Entries) != len(had) {
		t.Fatalf("%+v", sets)
	}
	if _, err := h.Answer(t.Context(), sets[0].ID, "reject", "ann", "not ours"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := h.Sync(t.Context(), "connect", run.SyncOptions{Profile: engine.ProfileFull}); err != nil {
			t.Fatal(err)
		}
	}
	for upn := range had {
		if r, err := h.Object(t.Context(), upn); err != nil || r.Row != nil {
			t.Errorf("%s is linked: %+v, %v", upn, r.Row, err)
		}
	}
	if n := len(w.journaled("adopted")); n != 0 {
		t.Errorf("the adoption ended %d times", n)
	}
}
