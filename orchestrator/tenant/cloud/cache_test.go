package cloud_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

const delay = 30 * time.Second

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func user(id, name string) cloud.Upsert {
	return cloud.Upsert{ID: id, Kind: scoping.User, Values: cloud.Values{cloud.UPN: {id + "@x.test"}, cloud.DisplayName: {name}}}
}

func rename(id, name string) cloud.Write {
	return cloud.Write{Op: cloud.Update, Kind: scoping.User, CloudID: id, Set: cloud.Values{cloud.DisplayName: {name}}}
}

func page(u ...cloud.Upsert) cloud.Page { return cloud.Page{Upserts: u} }

func done(id string) cloud.Result { return cloud.Result{Status: cloud.Done, CloudID: id} }

// loaded is a cache that has read all users and groups.
func loaded(t *testing.T, u ...cloud.Upsert) *cloud.Cache {
	t.Helper()
	c := cloud.NewCache(delay)
	if changed := c.Commit(cloud.Refresh{Began: at(0), Pages: []cloud.Page{page(u...)}, Full: []scoping.Kind{scoping.User, scoping.Group}}); len(changed) > 0 {
		t.Fatalf("a first reading reports %v", changed)
	}
	return c
}

func nameOf(t *testing.T, c *cloud.Cache, id string) string {
	t.Helper()
	o, ok := c.Get(id)
	if !ok {
		t.Fatalf("%s is not visible", id)
	}
	return o.Values.First(cloud.DisplayName)
}

func wantChanged(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("changed by somebody else: %v, want %v", got, want)
	}
}

func TestOwnWriteIsSeenAtOnceAndItsArrivalIsNoNews(t *testing.T) {
	c := loaded(t, user("u", "old"))
	c.Settled(rename("u", "new"), done("u"), at(10))
	if got := nameOf(t, c, "u"); got != "new" {
		t.Fatalf("after an own write: %q", got)
	}
	wantChanged(t, c.Apply(page(user("u", "old")), at(20))) // the tenant lags
	if got := nameOf(t, c, "u"); got != "new" {
		t.Fatalf("while the tenant lags: %q", got)
	}
	wantChanged(t, c.Apply(page(user("u", "new")), at(25)))
	if c.Pending() != 0 {
		t.Fatal("a write that arrived is still pending")
	}
	wantChanged(t, c.Apply(page(user("u", "theirs")), at(26)), "u")
}

func TestOwnWriteThatNeverShowsGivesWayAfterTheDelay(t *testing.T) {
	c := loaded(t, user("u", "old"))
	c.Settled(rename("u", "new"), done("u"), at(10))
	wantChanged(t, c.Apply(cloud.Page{}, at(40))) // began exactly at write + delay: not later
	wantChanged(t, c.Apply(cloud.Page{}, at(41)), "u")
	if got := nameOf(t, c, "u"); got != "old" {
		t.Fatalf("after the delay: %q", got)
	}
}

func TestThereAndBackAgainIsNotTakenForAnArrival(t *testing.T) {
	c := loaded(t, user("u", "a"))
	c.Settled(rename("u", "b"), done("u"), at(10))
	c.Settled(rename("u", "a"), done("u"), at(11))
	wantChanged(t, c.Apply(page(user("u", "a")), at(12))) // still from before both
	wantChanged(t, c.Apply(page(user("u", "b")), at(13))) // from between them
	if got := nameOf(t, c, "u"); got != "a" {
		t.Fatalf("visible: %q", got)
	}
	wantChanged(t, c.Apply(page(user("u", "a")), at(14)))
	wantChanged(t, c.Apply(cloud.Page{}, at(50)))
	if c.Pending() != 0 {
		t.Fatal("still pending after the delay")
	}
}

func TestCreatedObjectIsFoundByAllItsNamesBeforeTheTenantShowsIt(t *testing.T) {
	c := loaded(t)
	anchor := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))
	c.Settled(cloud.Write{Op: cloud.Create, Kind: scoping.User, Anchor: anchor, Set: cloud.Values{cloud.UPN: {"Ann@x.test"},
		cloud.Mail: {"ann@x.test"}, cloud.Nickname: {"ann"}, cloud.DisplayName: {"Ann"}}}, done("u"), at(1))
	c.Settled(cloud.Write{Op: cloud.Create, Kind: scoping.Group, Key: cloud.UniqueNameOf([]byte("0123456789abcdef")),
		Set: cloud.Values{cloud.DisplayName: {"Staff"}}}, done("g"), at(1))
	if o, ok := c.ByUPN("ann@X.TEST"); !ok || o.ID != "u" {
		t.Fatalf("by UPN: %v %v", o, ok)
	}
	for name, found := range map[string][]cloud.Object{"anchor": c.ByAnchor(scoping.User, anchor), "mail": c.ByMail("ANN@x.test"),
		"nickname": c.ByNickname("ANN"), "name": c.ByDisplayName("ann", nobody)} {
		if len(found) != 1 || found[0].ID != "u" {
			t.Errorf("by %s: %v", name, found)
		}
	}
	if found := c.ByAnchor(scoping.Group, anchor); len(found) != 1 || found[0].ID != "g" {
		t.Errorf("group by anchor: %v", found)
	}
	if o, ok := c.ByUniqueName("TANDEM-30313233343536373839616263646566"); !ok || o.ID != "g" {
		t.Errorf("group by unique name: %v %v", o, ok)
	}
	shown := cloud.Upsert{ID: "u", Kind: scoping.User, Values: cloud.Values{cloud.UPN: {"Ann@x.test"}, cloud.Mail: {"ann@x.test"}, cloud.Nickname: {"ann"},
		cloud.DisplayName: {"Ann"}, cloud.ImmutableID: {anchor}, "userType": {"Member"}}}
	wantChanged(t, c.Apply(page(shown), at(2)))
	if c.Pending() != 1 {
		t.Fatalf("%d pending, want the group alone", c.Pending())
	}
	wantChanged(t, c.Apply(cloud.Page{}, at(40)), "g") // never shown: it vanished
	if _, ok := c.Get("g"); ok {
		t.Fatal("a group that the tenant never showed is still visible")
	}
}

func TestDeleteAndRestoreThroughTheOverlay(t *testing.T) {
	u := user("u", "Ann")
	u.Values[cloud.ImmutableID] = []string{"QQ=="}
	c := loaded(t, u)
	c.Settled(cloud.Write{Op: cloud.Delete, Kind: scoping.User, CloudID: "u"}, done("u"), at(1))
	if len(c.ByAnchor(scoping.User, "QQ==")) != 0 || len(c.DeletedByAnchor(scoping.User, "QQ==")) != 1 || c.Count(scoping.User) != 0 {
		t.Fatal("a deleted user is not among the deleted")
	}
	wantChanged(t, c.Apply(page(u), at(2)))
	wantChanged(t, c.Apply(cloud.Page{Removed: []cloud.Removal{{ID: "u", Kind: scoping.User}}}, at(3)))
	if c.Pending() != 0 {
		t.Fatal("the delete arrived and is still pending")
	}
	c.Settled(cloud.Write{Op: cloud.Restore, Kind: scoping.User, CloudID: "u"}, done("u"), at(4))
	if len(c.ByAnchor(scoping.User, "QQ==")) != 1 {
		t.Fatal("a restored user is not alive")
	}
	wantChanged(t, c.Apply(page(u), at(5)))
	wantChanged(t, c.Apply(cloud.Page{Removed: []cloud.Removal{{ID: "u", Kind: scoping.User}}}, at(6)), "u")
	wantChanged(t, c.Apply(cloud.Page{Removed: []cloud.Removal{{ID: "u", Kind: scoping.User, Hard: true}}}, at(7)), "u")
	if _, ok := c.Get("u"); ok {
		t.Fatal("a user that is gone for good is visible")
	}
}

func TestMembersAndManagersUnderTheOverlay(t *testing.T) {
	g := cloud.Upsert{ID: "g", Kind: scoping.Group, Values: cloud.Values{cloud.DisplayName: {"G"}}, AddMembers: []string{"b", "a"}}
	c := loaded(t, g, user("a", "A"), user("b", "B"))
	c.Settled(cloud.Write{Op: cloud.AddMembers, Kind: scoping.Group, CloudID: "g", Refs: []string{"d", "c"}}, done("g"), at(1))
	c.Settled(cloud.Write{Op: cloud.RemoveMember, Kind: scoping.Group, CloudID: "g", Refs: []string{"a"}}, done("g"), at(1))
	c.Settled(cloud.Write{Op: cloud.SetManager, Kind: scoping.User, CloudID: "a", Refs: []string{"b"}}, done("a"), at(1))
	o, _ := c.Get("g")
	if !slices.Equal(o.Members, []string{"b", "c", "d"}) {
		t.Fatalf("members: %v", o.Members)
	}
	if len(c.MemberOf("a")) != 0 || !slices.Equal(c.MemberOf("c"), []string{"g"}) {
		t.Fatalf("member of: a %v, c %v", c.MemberOf("a"), c.MemberOf("c"))
	}
	if a, _ := c.Get("a"); a.Manager != "b" {
		t.Fatalf("manager: %q", a.Manager)
	}
	b := "b"
	wantChanged(t, c.Apply(page(cloud.Upsert{ID: "g", Kind: scoping.Group, AddMembers: []string{"c", "d"}, RemoveMembers: []string{"a"}},
		cloud.Upsert{ID: "a", Kind: scoping.User, Manager: &b}), at(2)))
	if c.Pending() != 0 {
		t.Fatal("references arrived and are still pending")
	}
	wantChanged(t, c.Apply(page(cloud.Upsert{ID: "g", Kind: scoping.Group, AddMembers: []string{"e"}}), at(3)), "g")
	if !slices.Equal(c.MemberOf("e"), []string{"g"}) {
		t.Fatal("a member that somebody else added is not indexed")
	}
}

func TestFullReadingRemovesWhatVanishedAndForgetsOldMembers(t *testing.T) {
	g := cloud.Upsert{ID: "g", Kind: scoping.Group, AddMembers: []string{"a", "b"}}
	c := loaded(t, g, user("a", "A"), user("b", "B"), user("c", "C"))
	changed := c.Commit(cloud.Refresh{
		Began: at(100), Full: []scoping.Kind{scoping.User, scoping.Group},
		Pages: []cloud.Page{page(user("a", "A"), cloud.Upsert{ID: "g", Kind: scoping.Group, AddMembers: []string{"a"}}),
			page(cloud.Upsert{ID: "g", Kind: scoping.Group, AddMembers: []string{"z"}})}, // a group spread over pages
		Deleted: []cloud.Object{{ID: "b", Kind: scoping.User, Values: cloud.Values{cloud.DisplayName: {"B"}}}},
	})
	wantChanged(t, changed, "b", "c", "g")
	if o, _ := c.Get("g"); !slices.Equal(o.Members, []string{"a", "z"}) {
		t.Fatalf("members: %v", o.Members)
	}
	if o, ok := c.Get("b"); !ok || !o.Deleted {
		t.Fatalf("what is among the deleted items: %v %v", o, ok)
	}
	if _, ok := c.Get("c"); ok {
		t.Fatal("what vanished is visible")
	}
}

func TestObjectSpreadOverPagesIsComparedAsAWhole(t *testing.T) {
	g := func(members ...string) cloud.Upsert {
		return cloud.Upsert{ID: "g", Kind: scoping.Group, Values: cloud.Values{cloud.DisplayName: {"G"}}, AddMembers: members}
	}
	c := loaded(t, g("a", "b", "c"))
	again := cloud.Refresh{Began: at(1), Full: []scoping.Kind{scoping.Group}, Pages: []cloud.Page{page(g("a")), page(g("b")), page(g("c"))}}
	wantChanged(t, c.Commit(again))
	again.Pages = again.Pages[:2]
	wantChanged(t, c.Commit(again), "g")
}

func TestDeletedItemsNeverOverruleALivingObject(t *testing.T) {
	c := loaded(t, user("a", "A"))
	wantChanged(t, c.Commit(cloud.Refresh{Began: at(1), Deleted: []cloud.Object{{ID: "a", Kind: scoping.User}}}))
	if o, ok := c.Get("a"); !ok || o.Deleted {
		t.Fatal("a list that lags deleted a living user")
	}
}

func filled(t *testing.T) *cloud.Cache {
	t.Helper()
	b := "b"
	u := user("a", "A")
	u.Manager, u.Synced = &b, new(bool)
	*u.Synced = true
	u.Values["businessPhones"], u.Values["extension_x_y"] = []string{"1", "2"}, []string{"odd"}
	c := loaded(t, u, user("b", "B"), cloud.Upsert{ID: "g", Kind: scoping.Group, AddMembers: []string{"a", "b"}})
	c.Commit(cloud.Refresh{Began: at(1), Tokens: map[string]string{"users": "https://x/delta?token"}})
	c.Settled(rename("b", "BB"), done("b"), at(2))
	c.Settled(cloud.Write{Op: cloud.RemoveMember, Kind: scoping.Group, CloudID: "g", Refs: []string{"a"}}, done("g"), at(2))
	return c
}

func objects(c *cloud.Cache) (out []cloud.Object) {
	c.All(func(o cloud.Object) bool { out = append(out, o); return true })
	return out
}

func sameCache(t *testing.T, got, want *cloud.Cache) {
	t.Helper()
	if d := cmp.Diff(objects(want), objects(got)); d != "" {
		t.Fatalf("other objects:\n%s", d)
	}
	if got.Token("users") != want.Token("users") || got.Pending() != want.Pending() || !got.Loaded(scoping.User) {
		t.Fatal("other links, own writes or loaded kinds")
	}
}

func TestEncodedCacheComesBackWithOwnWritesAndLinks(t *testing.T) {
	c := filled(t)
	var file bytes.Buffer
	if err := c.Encode(&file); err != nil {
		t.Fatal(err)
	}
	back := cloud.NewCache(delay)
	if err := back.Decode(bytes.NewReader(file.Bytes())); err != nil {
		t.Fatal(err)
	}
	sameCache(t, back, c)
	wantChanged(t, back.Apply(page(user("b", "BB")), at(3))) // the own write is still known as such
}

func TestDamagedFilesAreRefused(t *testing.T) {
	var file bytes.Buffer
	if err := filled(t).Encode(&file); err != nil {
		t.Fatal(err)
	}
	whole := file.Bytes()
	for i := range whole {
		bad := slices.Clone(whole)
		bad[i] ^= 0x20
		if err := cloud.NewCache(delay).Decode(bytes.NewReader(bad)); !errors.Is(err, cloud.ErrFormat) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if err := cloud.NewCache(delay).Decode(bytes.NewReader(whole[:i])); !errors.Is(err, cloud.ErrFormat) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

func TestSaveHandsOverOnlyWhatChanged(t *testing.T) {
	c, store := filled(t), map[string][]byte{}
	save := func() (keys []string) {
		t.Helper()
		finish, err := c.Save(func(k string, v []byte) error {
			if keys = append(keys, k); v == nil {
				delete(store, k)
			} else {
				store[k] = v
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		finish()
		return keys
	}
	save()
	if again := save(); len(again) != 0 {
		t.Fatalf("nothing changed and these were saved: %v", again)
	}
	c.Settled(rename("a", "AA"), done("a"), at(5))
	c.Apply(cloud.Page{Removed: []cloud.Removal{{ID: "b", Kind: scoping.User, Hard: true}}}, at(6))
	if got := save(); !slices.Equal(got, []string{"h", "o/a", "o/b", "w/a", "w/b"}) { // the header has who was deleted for good
		t.Fatalf("saved: %v", got)
	}
	back := cloud.NewCache(delay)
	if err := back.Load(maps.All(store)); err != nil {
		t.Fatal(err)
	}
	sameCache(t, back, c)
	if !back.Purged("b") || back.Purged("a") {
		t.Error("who was deleted for good is not remembered")
	}
}

// That somebody was deleted for good is the word of the tenant's changes: what a full reading does not show says nothing of the kind, and who is shown again was not.
func TestOnlyTheTenantsChangesSayThatSomebodyIsGoneForGood(t *testing.T) {
	c := cloud.NewCache(0)
	user := func(id string) cloud.Upsert {
		return cloud.Upsert{ID: id, Kind: scoping.User, Values: cloud.Values{cloud.DisplayName: {id}}}
	}
	c.Commit(cloud.Refresh{Began: at(1), Full: []scoping.Kind{scoping.User}, Pages: []cloud.Page{{Upserts: []cloud.Upsert{user("a"), user("b"), user("c")}}}})
	c.Commit(cloud.Refresh{Began: at(2), Full: []scoping.Kind{scoping.User}, Pages: []cloud.Page{{Upserts: []cloud.Upsert{user("b"), user("c")}}}})
	c.Apply(cloud.Page{Removed: []cloud.Removal{{ID: "b", Kind: scoping.User, Hard: true}, {ID: "c", Kind: scoping.User}}}, at(3))
	if c.Purged("a") || !c.Purged("b") || c.Purged("c") {
		t.Errorf("%t %t %t", c.Purged("a"), c.Purged("b"), c.Purged("c"))
	}
	c.Apply(cloud.Page{Upserts: []cloud.Upsert{user("b")}}, at(4))
	if c.Purged("b") {
		t.Error("who is there is gone for good")
	}
}

func TestUnfinishedSaveComesAgain(t *testing.T) {
	c := filled(t)
	if _, err := c.Save(func(string, []byte) error { return errors.New("disk full") }); err == nil {
		t.Fatal("an error of the store was swallowed")
	}
	count := 0
	if _, err := c.Save(func(string, []byte) error { count++; return nil }); err != nil || count == 0 {
		t.Fatalf("after a failed save: %d records, %v", count, err)
	}
}

func nobody(string) bool { return false }
