package cloud_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// moment is the tenant's whole state at one second: the brute-force model keeps all of them.
type moment map[string]cloud.Object

func (m moment) clone() moment {
	c := moment{}
	for id, o := range m {
		c[id] = o.Clone()
	}
	return c
}

// laggy is a tenant that remembers its state at every second, and shows the state of some second no longer ago than the delay,
// never going back.
type laggy struct {
	t       *rapid.T
	history []moment // by second
	shown   int      // the second up to which delta has told
	cache   *cloud.Cache
}

func newLaggy(t *rapid.T, o ...cloud.Object) *laggy {
	first := moment{}
	var p cloud.Page
	for _, x := range o {
		first[x.ID] = x
		p.Upserts = append(p.Upserts, cloud.Upsert{ID: x.ID, Kind: x.Kind, Values: x.Values.Clone(), AddMembers: x.Members})
	}
	l := &laggy{t: t, history: []moment{first}, cache: cloud.NewCache(delay)}
	l.cache.Commit(cloud.Refresh{Began: at(0), Pages: []cloud.Page{p}, Full: []scoping.Kind{scoping.User, scoping.Group}})
	return l
}

func (l *laggy) now() int    { return len(l.history) - 1 }
func (l *laggy) tick()       { l.history = append(l.history, l.history[l.now()].clone()) }
func (l *laggy) top() moment { return l.history[l.now()] }

// own applies a write of Tandem's and settles it.
func (l *laggy) own(w cloud.Write) {
	l.tick()
	o := l.top()[w.CloudID]
	switch w.Op {
	case cloud.Create:
		o = cloud.Object{ID: "new", Kind: w.Kind, Values: w.Set.Clone()}
	case cloud.Update:
		maps.Copy(o.Values, w.Set)
	case cloud.Delete:
		o.Deleted = true
	case cloud.Restore:
		o.Deleted = false
	case cloud.AddMembers:
		o.Members = slices.Compact(slices.Sorted(slices.Values(append(o.Members, w.Refs...))))
	case cloud.RemoveMember:
		o.Members = slices.DeleteFunc(o.Members, func(id string) bool { return id == w.Refs[0] })
	case cloud.SetManager:
		o.Manager = w.Refs[0]
	case cloud.ClearManager:
		o.Manager = ""
	}
	l.top()[o.ID] = o
	l.cache.Settled(w, done(o.ID), at(l.now()))
}

// refresh shows the state of a second that the tenant may show now.
func (l *laggy) refresh() []string {
	l.tick()
	view := rapid.IntRange(max(l.shown, l.now()-int(delay/time.Second)), l.now()).Draw(l.t, "view")
	was, is := l.history[l.shown], l.history[view]
	l.shown = view
	return l.cache.Apply(news(was, is, rapid.Bool().Draw(l.t, "everything")), at(l.now()))
}

// news is what delta says between two states; repeating what did not change is allowed.
func news(was, is moment, everything bool) cloud.Page {
	var p cloud.Page
	for _, id := range slices.Sorted(maps.Keys(is)) {
		a, known := was[id]
		b := is[id]
		if known && !everything && fmt.Sprint(a) == fmt.Sprint(b) {
			continue
		}
		if b.Deleted {
			p.Removed = append(p.Removed, cloud.Removal{ID: id, Kind: b.Kind})
			continue
		}
		u := cloud.Upsert{ID: id, Kind: b.Kind, Values: b.Values.Clone(), Manager: &b.Manager}
		for _, m := range b.Members {
			if !a.HasMember(m) {
				u.AddMembers = append(u.AddMembers, m)
			}
		}
		for _, m := range a.Members {
			if !b.HasMember(m) {
				u.RemoveMembers = append(u.RemoveMembers, m)
			}
		}
		p.Upserts = append(p.Upserts, u)
	}
	return p
}

func (l *laggy) same(want moment, when string) {
	l.t.Helper()
	for id, o := range want {
		got, ok := l.cache.Get(id)
		if !ok || got.Deleted != o.Deleted {
			l.t.Fatalf("%s: %s visible %v deleted %v, want deleted %v", when, id, ok, got.Deleted, o.Deleted)
		}
		if !o.Deleted && (!cloud.Equal(got.Values, o.Values) || got.Manager != o.Manager || !slices.Equal(got.Members, o.Members)) {
			l.t.Fatalf("%s: %s is seen as\n%v, the tenant has\n%v", when, id, got, o)
		}
		if attrs := []string{cloud.DisplayName, cloud.Manager, cloud.Members}; digestOf(l.cache, id, attrs) != cloud.Digest(&got, attrs) {
			l.t.Fatalf("%s: the digest of %s is not of what is shown: %v", when, id, got)
		}
	}
}

func TestWithoutOthersTheCacheIsTheTruthAndNothingIsNews(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLaggy(t, cloud.Object{ID: "a", Kind: scoping.User, Values: cloud.Values{"displayName": {"1"}}},
			cloud.Object{ID: "g", Kind: scoping.Group, Values: cloud.Values{}, Members: []string{"a"}})
		t.Repeat(map[string]func(*rapid.T){
			"":     func(*rapid.T) { l.same(l.top(), "now") },
			"wait": func(t *rapid.T) { l.wait(rapid.IntRange(1, 45).Draw(t, "seconds")) },
			"refresh": func(t *rapid.T) {
				if changed := l.refresh(); len(changed) > 0 {
					t.Fatalf("own writes are reported as somebody else's: %v", changed)
				}
			},
			"user":   func(t *rapid.T) { l.ownUser(t) },
			"member": func(t *rapid.T) { l.ownMember(t) },
			"create": func(t *rapid.T) {
				if _, exists := l.top()["new"]; exists {
					t.Skip("created already")
				}
				l.own(cloud.Write{Op: cloud.Create, Kind: scoping.User, Set: cloud.Values{"displayName": {"new"}}})
			},
		})
	})
}

func (l *laggy) wait(seconds int) {
	for range seconds {
		l.tick()
	}
}

func (l *laggy) ownUser(t *rapid.T) {
	w := cloud.Write{Kind: scoping.User, CloudID: "a", Op: cloud.Restore}
	if !l.top()["a"].Deleted {
		w.Op = rapid.SampledFrom([]cloud.Op{cloud.Update, cloud.Update, cloud.Delete, cloud.SetManager, cloud.ClearManager}).Draw(t, "op")
	}
	switch w.Op {
	case cloud.Update:
		w.Set = cloud.Values{rapid.SampledFrom([]string{"displayName", "city"}).Draw(t, "name"): {rapid.SampledFrom([]string{"1", "2"}).Draw(t, "value")}}
	case cloud.SetManager:
		w.Refs = []string{rapid.SampledFrom([]string{"x", "y"}).Draw(t, "manager")}
	}
	l.own(w)
}

func (l *laggy) ownMember(t *rapid.T) {
	l.own(cloud.Write{Kind: scoping.Group, CloudID: "g", Op: rapid.SampledFrom([]cloud.Op{cloud.AddMembers, cloud.RemoveMember}).Draw(t, "op"),
		Refs: []string{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "member")}})
}

// TestOthersAreNeitherMissedNorInvented lets somebody else write values that nobody else ever writes.
func TestOthersAreNeitherMissedNorInvented(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLaggy(t, cloud.Object{ID: "a", Kind: scoping.User, Values: cloud.Values{"displayName": {"1"}}})
		foreign, reports, lastOwn, lastForeign, lastReport := 0, 0, -1, -1, -1
		note := func(changed []string) {
			if len(changed) > 0 {
				reports, lastReport = reports+1, l.shown
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				if reports > foreign {
					t.Fatalf("%d reports of %d writes of others", reports, foreign)
				}
				got, _ := l.cache.Get("a")
				if !l.hadSince(got, lastOwn) {
					t.Fatalf("%v was not the tenant's state at any second that could be shown", got.Values)
				}
			},
			"wait":    func(t *rapid.T) { l.wait(rapid.IntRange(1, 45).Draw(t, "seconds")) },
			"refresh": func(*rapid.T) { note(l.refresh()) },
			"own": func(t *rapid.T) {
				l.own(rename("a", rapid.SampledFrom([]string{"1", "2"}).Draw(t, "value")))
				lastOwn = l.now()
			},
			"others": func(*rapid.T) {
				l.tick()
				foreign++
				l.top()["a"].Values["displayName"] = []string{fmt.Sprintf("theirs %d", foreign)}
				lastForeign = l.now()
			},
		})
		l.wait(int(delay/time.Second) + 1)
		note(l.refresh())
		l.wait(int(delay/time.Second) + 1)
		note(l.refresh())
		l.same(l.top(), "in the end")
		if lastForeign > lastOwn && lastReport < lastForeign {
			t.Fatalf("the last word was somebody else's at %d and was not reported (last at %d)", lastForeign, lastReport)
		}
	})
}

// hadSince says whether o's name was the tenant's at the second that delta has told, or at any since the last own write.
func (l *laggy) hadSince(o cloud.Object, lastOwn int) bool {
	name := o.Values.First("displayName")
	if lastOwn < 0 || l.shown > lastOwn {
		if l.history[l.shown]["a"].Values.First("displayName") == name {
			return true
		}
	}
	for s := max(lastOwn, 0); lastOwn >= 0 && s <= l.now(); s++ {
		if l.history[s]["a"].Values.First("displayName") == name {
			return true
		}
	}
	return false
}
