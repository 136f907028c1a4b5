package simulation

import (
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

// Before-images: what the tenant held of an attribute before a wave's target wrote it, by the simulator's own record of what took effect.

// image is one attribute of one tenant object, as a wave met it.
type image struct {
	before     []string
	wrote      [][]string // every value that the wave's target gave it
	superseded bool       // the target wrote it again, as another wave's or in its own right
}

// window is the part of the log in which a wave's target writes as such.
type window struct{ from, to uint64 }

// sending is what is known of a request when it takes effect, which may be after the host that sent it has crashed.
type sending struct {
	engine string
	object scoping.GUID
	waves  []string // as whose target the engine sent it
}

// imageBook holds the images, by wave, tenant object and attribute.
type imageBook struct {
	windows map[string]*window
	sent    map[string]sending // by intent
	images  map[string]map[string]map[string]*image
	made    map[string]map[string]bool // tenant objects that a wave's target made as such: whatever it gives them later, the tenant had nothing before
	checked map[string]bool            // waves whose rollback was looked at
}

func newImageBook() imageBook {
	return imageBook{windows: map[string]*window{}, sent: map[string]sending{}, images: map[string]map[string]map[string]*image{}, made: map[string]map[string]bool{}, checked: map[string]bool{}}
}

// transferred opens a wave's window at its cutover and shuts it at its flip-back.
func (b *imageBook) transferred(seq uint64, r ledger.Record) {
	if x := b.windows[r.Wave]; x == nil {
		b.windows[r.Wave] = &window{from: seq}
	} else if seq > x.from && (x.to == 0 || seq < x.to) {
		x.to = seq
	}
}

// noteSent remembers a request and the waves of which it is. A repetition is of the waves of the first sending: a request that was sent before the object came
// into a wave's scope may have taken effect then, and nothing can tell which of the two did.
func (w *world) noteSent(x cloud.Write, o *ledger.Open, place scoping.Place) {
	b, r := &w.book.imageBook, o.Record
	if _, repeated := b.sent[x.ID]; repeated {
		return
	}
	s := sending{engine: r.Engine, object: r.Object.GUID}
	for id, win := range b.windows {
		if wv := w.book.waves[id]; win.to == 0 && wv.To == r.Engine && w.coversWave(id, place, r.Kind, r.Feature) {
			s.waves = append(s.waves, id)
		}
	}
	slices.Sort(s.waves)
	b.sent[x.ID] = s
}

// noteEffect compares a tenant object with what it was; doing is the write that changes it, nil if others change it.
func (w *world) noteEffect(a *account, o cloud.Object, doing *cloud.Write) {
	b := &w.book.imageBook
	var s sending
	if doing != nil {
		s = b.sent[doing.ID]
	}
	if len(a.versions) == 0 { // there is no image of what did not exist
		for _, id := range s.waves {
			if b.made[id] == nil {
				b.made[id] = map[string]bool{}
			}
			b.made[id][a.id] = true
		}
		return
	}
	old := a.truth().Values
	names := maps.Clone(old)
	maps.Copy(names, o.Values)
	for k := range names {
		if slices.Equal(old[k], o.Values[k]) {
			continue
		}
		for _, id := range s.waves {
			if x := b.imageOf(id, a.id, k, old[k]); !b.made[id][a.id] {
				x.wrote = append(x.wrote, slices.Clone(o.Values[k]))
			}
		}
		for id, of := range b.images {
			if x := of[a.id][k]; x != nil && !slices.Contains(s.waves, id) && s.engine == w.book.waves[id].To {
				x.superseded = true
			}
		}
	}
}

// vanished ends the images of a tenant object that is deleted: a rollback lists it as such, and with a later restore come the values that it had.
func (b *imageBook) vanished(id string) {
	for _, of := range b.images {
		for _, x := range of[id] {
			x.superseded = true
		}
	}
}

func (b *imageBook) imageOf(wave, id, name string, before []string) *image {
	if b.images[wave] == nil {
		b.images[wave] = map[string]map[string]*image{}
	}
	if b.images[wave][id] == nil {
		b.images[wave][id] = map[string]*image{}
	}
	x := b.images[wave][id][name]
	if x == nil {
		x = &image{before: slices.Clone(before)}
		b.images[wave][id][name] = x
	}
	return x
}

// checkImages: after a rollback every attribute that the wave's target wrote has what the source writes from the directory, or its before-image, or what
// others gave it since, or is listed as not restored (invariant 4).
func (w *world) checkImages() {
	b := &w.book.imageBook
	for _, id := range slices.Sorted(maps.Keys(b.images)) {
		x := w.book.waves[id]
		if x.State != wave.RolledBack || x.From == scoping.None {
			continue
		}
		for _, cid := range slices.Sorted(maps.Keys(b.images[id])) {
			if e := w.imaged(x, w.tenant.accounts[cid]); e != nil {
				w.checkImage(x, e, w.tenant.accounts[cid])
			}
		}
		b.checked[id] = true
	}
}

// rolledBack drops, in the end of a rollback, the images of what was not the source's own then: its report speaks of them as they were, and another wave may
// bring them back later.
func (w *world) rolledBack(x wave.Wave) {
	for cid := range w.book.images[x.ID] {
		if w.imaged(x, w.tenant.accounts[cid]) == nil {
			delete(w.book.images[x.ID], cid)
		}
	}
}

// imaged returns the directory object of an image that can still be compared: one that lives and belongs to the source again; nil: it cannot.
func (w *world) imaged(x wave.Wave, a *account) *entry {
	e := w.dir.now.objects[w.dir.anchors[a.anchor]]
	if e == nil || e.deleted || a.purged() || a.truth().Deleted || w.told[e.guid].deleted {
		return nil
	}
	if w.owner(w.toldPlace(e.guid), e.kind, scoping.Base(e.kind)).Engine != x.From || exclusion(e) != "" {
		return nil
	}
	return e
}

func (w *world) checkImage(x wave.Wave, e *entry, a *account) {
	b := &w.book.imageBook
	managed := w.engines[x.From].values(e)
	for _, k := range slices.Sorted(maps.Keys(b.images[x.ID][a.id])) {
		img, have := b.images[x.ID][a.id][k], a.truth().Values[k]
		if _, ok := managed[k]; ok || img.superseded {
			continue
		}
		if !b.checked[x.ID] {
			w.saw(BeforeImages)
		}
		ours := slices.ContainsFunc(img.wrote, func(v []string) bool { return slices.Equal(v, have) })
		if !ours || slices.Equal(have, img.before) || reported(x, e) {
			continue
		}
		w.failAbout(e.guid, wayBack, notPutBack, x.ID, k, w.dir.now.dn(e.guid), a.id, have, img.before, x.Report)
	}
}

// reported reports whether a rollback's report names an object among those that it could not restore.
func reported(x wave.Wave, e *entry) bool {
	return x.Report != nil && slices.ContainsFunc(x.Report.Notes, func(n string) bool { return strings.Contains(n, "CN="+e.name+",") })
}
