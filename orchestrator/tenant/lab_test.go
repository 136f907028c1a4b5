package tenant_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	lab "github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/tenant"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

func createContact(name string) cloud.Write {
	return cloud.Write{ID: "c-" + name, Op: cloud.Create, Kind: scoping.Contact, Anchor: anchorOf(name), Set: cloud.Values{
		cloud.DisplayName: {name}, cloud.Mail: {name + "@fabrikam.test"}, "companyName": {"Fabrikam"},
	}}
}

func (w *world) contactsAgree(c *cloud.Cache, anchors map[string]string) {
	w.Helper()
	if n := c.Count(scoping.Contact); n != len(anchors) {
		w.Fatalf("%d contacts in the cache, want %d", n, len(anchors))
	}
	for id, anchor := range anchors {
		o, known := c.Get(id)
		direct := w.one(cloud.Key{Kind: scoping.Contact, ID: id})
		if !known || o.Kind != scoping.Contact || o.Anchor() != anchor || !cloud.Equal(o.Values, direct.Values) || o.Manager != direct.Manager {
			w.Fatalf("the cache has\n%+v, the tenant\n%+v", o, direct)
		}
	}
}

// A contact's anchor, which Graph does not show, comes from the lab's door: the cache finds contacts by it after a first reading and after changes.
func TestContactsOfTheLabAreReadWithTheirAnchors(t *testing.T) {
	w := newWorld(t, func(o *lab.Options) { o.DeltaPageSize = 2 })
	anchors := map[string]string{}
	for _, name := range []string{"pat", "quinn", "ray", "sam", "tom"} {
		anchors[w.done(createContact(name))] = anchorOf(name)
	}
	seeded, err := w.model.Seed(lab.Contact, map[string]any{"displayName": "Exchange Online's", "mail": "eol@fabrikam.test"})
	if err != nil {
		t.Fatal(err)
	}
	anchors[seeded.ID] = ""
	c := cloud.NewCache(lag)
	w.refresh(c)
	w.contactsAgree(c, anchors)

	boss, pat := w.done(createUser("bob")), w.one(cloud.Key{Kind: scoping.Contact, Anchor: anchorOf("pat")}).ID
	w.done(cloud.Write{Op: cloud.SetManager, Kind: scoping.Contact, CloudID: pat, Refs: []string{boss}})
	w.done(cloud.Write{Op: cloud.Update, Kind: scoping.Contact, CloudID: pat, Set: cloud.Values{"companyName": nil, cloud.Mail: {"pat@northwind.test"}}})
	anchors[w.done(createContact("uma"))] = anchorOf("uma")
	gone := w.one(cloud.Key{Kind: scoping.Contact, Anchor: anchorOf("tom")}).ID
	w.done(cloud.Write{Op: cloud.Delete, Kind: scoping.Contact, CloudID: gone})
	delete(anchors, gone)
	w.refresh(c)
	w.contactsAgree(c, anchors)
	if o, _ := c.Get(pat); o.Manager != boss || o.Values.First(cloud.Mail) != "pat@northwind.test" || len(o.Values["companyName"]) > 0 {
		t.Errorf("pat: %+v", o)
	}
	if o, known := c.Get(gone); known && !o.Deleted {
		t.Errorf("a deleted contact: %+v", o)
	}
	if found := w.find(cloud.Key{Kind: scoping.Contact, Anchor: anchorOf("tom"), Deleted: true}); len(found) > 0 {
		t.Errorf("a deleted contact is found: %+v", found)
	}
}

// A second attempt of a create finds the first by its anchor.
func TestAContactIsCreatedOnce(t *testing.T) {
	w := newWorld(t)
	id := w.done(createContact("pat"))
	again := w.send(createContact("pat"))
	if again.Status != cloud.Rejected || !again.Conflict || again.CloudID != id {
		t.Errorf("again: %+v", again)
	}
	if n := len(w.model.Contacts("")); n != 1 {
		t.Errorf("%d contacts", n)
	}
	w.fault(lab.Fault{Kind: lab.LostAfter, Path: "/lab/", Count: 1})
	x := createContact("quinn")
	if r := w.send(x); r.Status != cloud.InDoubt {
		t.Fatalf("unanswered: %+v", r)
	}
	if found := w.find(cloud.Key{Kind: scoping.Contact, Anchor: x.Anchor}); len(found) != 1 {
		t.Errorf("in doubt, and found %+v", found)
	}
}

// Writes to Graph and to the lab's door go in batches of their own, and each result is that of its write.
func TestWritesOfBothDoorsKeepTheirOrder(t *testing.T) {
	w := newWorld(t)
	var writes []cloud.Write
	for i := range 50 {
		name := string(rune('a'+i%26)) + string(rune('a'+i/26))
		if i%2 == 0 {
			writes = append(writes, createUser(name))
		} else {
			writes = append(writes, createContact(name))
		}
	}
	for i, r := range w.client.Send(w.ctx, writes) {
		if r.Status != cloud.Done {
			t.Fatalf("%d: %+v", i, r)
		}
		if o := w.one(cloud.Key{Kind: writes[i].Kind, ID: r.CloudID}); o.Values.First(cloud.DisplayName) != writes[i].Set.First(cloud.DisplayName) {
			t.Errorf("%d: %+v", i, o)
		}
	}
}

// A tenant without the lab's door takes no contacts: the capability says who does it instead, nothing is sent, and nothing is read of them.
func TestATenantWithoutTheDoorTakesNoContacts(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"no such version": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":{"code":"BadRequest","message":"Invalid version: lab"}}`))
		},
		"nothing there": func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) },
		"a page":        func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("<html>hello</html>")) },
		"no doors":      func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(`{}`)) },
	} {
		t.Run(name, func(t *testing.T) {
			asked, sent := 0, 0
			_, client := newScripted(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet {
					sent++
				}
				asked++
				answer(w, r)
			})
			for range 2 {
				why := client.Refused(t.Context())[scoping.Contacts]
				for _, who := range []string{"Entra Connect Sync", "Cloud Sync", "Exchange Online"} {
					if !strings.Contains(why, who) {
						t.Errorf("refused because %q", why)
					}
				}
			}
			r := client.Send(t.Context(), []cloud.Write{createContact("pat")})[0]
			if r.Status != cloud.Rejected || r.Code != cloud.CodeImpossible || !strings.Contains(r.Message, "Exchange Online") || sent > 0 {
				t.Errorf("%+v, %d sent", r, sent)
			}
			if asked != 1 {
				t.Errorf("asked %d times", asked)
			}
			i := slices.IndexFunc(client.Capabilities(t.Context()), func(c tenant.Capability) bool { return c.Feature == scoping.Extensions && c.Present })
			if i < 0 || client.Refused(t.Context())[scoping.Extensions] != "" {
				t.Error("extension attributes can be written in every tenant")
			}
		})
	}
}

// What could not be asked is not remembered, and is no answer.
func TestADoorThatDoesNotAnswerIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	w.fault(lab.Fault{Kind: lab.Status, Status: 503, Path: "/lab/$", Count: -1})
	if _, err := w.client.Door(w.ctx, tenant.DoorContacts); err == nil {
		t.Fatal("no error")
	}
	if why := w.client.Refused(w.ctx)[scoping.Contacts]; !strings.Contains(why, "could not be asked") {
		t.Errorf("refused because %q", why)
	}
	if r := w.send(createContact("pat")); r.Status != cloud.NotSent {
		t.Errorf("%+v", r)
	}
	if _, err := w.client.Refresh(w.ctx, cloud.NewCache(lag), w.clock.now()); err == nil {
		t.Error("a refresh that does not know whether there are contacts")
	}
	w.server.ClearFaults("")
	if open, err := w.client.Door(w.ctx, tenant.DoorContacts); err != nil || !open {
		t.Errorf("%v %v", open, err)
	}
	if why := w.client.Refused(w.ctx)[scoping.Contacts]; why != "" {
		t.Errorf("refused because %q", why)
	}
}

// Registered extensions are read where the cache tracks them, by a first reading of their own, and written as any value.
func TestRegisteredExtensionsAreReadAndWritten(t *testing.T) {
	w := newWorld(t)
	ext := w.model.RegisterExtension("0123456789abcdef0123456789abcdef", "site")
	if missing, err := w.client.Unregistered(w.ctx, []string{ext, "extensionAttribute3", strings.Replace(ext, "site", "room", 1)}); err != nil || len(missing) != 1 ||
		!strings.HasSuffix(missing[0], "_room") {
		t.Fatalf("%v %v", missing, err)
	}
	ann := w.done(createUser("ann"))
	c := cloud.NewCache(lag)
	w.refresh(c)
	w.done(cloud.Write{Op: cloud.Update, Kind: scoping.User, CloudID: ann, Set: cloud.Values{ext: {"Brno"}}})
	w.refresh(c)
	if o, _ := c.Get(ann); len(o.Values[ext]) > 0 {
		t.Errorf("nobody asked for it: %+v", o.Values)
	}
	c.Track(ext)
	for i, want := range [][]string{{"Brno"}, {"Praha"}, nil} {
		if i > 0 {
			w.done(cloud.Write{Op: cloud.Update, Kind: scoping.User, CloudID: ann, Set: cloud.Values{ext: want}})
		}
		w.refresh(c)
		if o, _ := c.Get(ann); !slices.Equal(o.Values[ext], want) || !slices.Equal(w.one(cloud.Key{Kind: scoping.User, ID: ann}).Values[ext], want) {
			t.Errorf("%v: %+v", want, o.Values)
		}
	}
	if r := w.send(cloud.Write{Op: cloud.Update, Kind: scoping.User, CloudID: ann, Set: cloud.Values{strings.Replace(ext, "site", "room", 1): {"1"}}}); r.Status != cloud.Rejected {
		t.Errorf("one that is not registered: %+v", r)
	}
}
