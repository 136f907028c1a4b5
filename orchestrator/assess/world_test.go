package assess_test

import (
	"encoding/binary"
	"fmt"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/assess"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

const (
	ou     = directory.OU
	user   = scoping.User
	group  = scoping.Group
	rootDN = "DC=x,DC=y"
)

// guid is the number n as an identity; 1 is the root's.
func guid(n int) (g scoping.GUID) {
	binary.BigEndian.PutUint32(g[:], uint32(n))
	return g
}

// world builds a directory by names.
type world struct {
	objects []assess.Object
	at      map[string]int
}

func newWorld() *world { return &world{at: map[string]int{"": 1}} }

// add puts an object into the container of the given name, "" for the root.
func (w *world) add(name, in string, kind scoping.Kind, marks ...assess.Mark) {
	o := assess.Object{GUID: guid(len(w.objects) + 2), Parent: guid(w.at[in]), Kind: kind, RDN: "CN=" + name}
	if kind == ou {
		o.RDN = "OU=" + name
	}
	for _, m := range marks {
		o.Marks |= m
	}
	w.at[name] = len(w.objects) + 2
	w.objects = append(w.objects, o)
}

func (w *world) users(in string, n int, marks ...assess.Mark) {
	for i := range n {
		w.add(fmt.Sprintf("%s %d", in, i), in, user, marks...)
	}
}

func (w *world) object(name string) *assess.Object { return &w.objects[w.at[name]-2] }

func (w *world) member(of string, names ...string) {
	for _, n := range names {
		w.object(of).Members = append(w.object(of).Members, guid(w.at[n]))
	}
}

func (w *world) survey() *assess.Survey {
	return &assess.Survey{Directories: []*assess.Directory{assess.NewDirectory("d", guid(1), rootDN, w.objects)}}
}

// drawnWorld is a tree of up to 12 OUs with up to 60 objects.
func drawnWorld(t *rapid.T) *world {
	w := newWorld()
	places := []string{""}
	for i := range rapid.IntRange(0, 12).Draw(t, "OUs") {
		name := fmt.Sprintf("ou%d", i)
		w.add(name, rapid.SampledFrom(places).Draw(t, "in"), ou)
		places = append(places, name)
	}
	var names []string
	for i := range rapid.IntRange(0, 60).Draw(t, "objects") {
		name := fmt.Sprintf("o%d", i)
		kind := rapid.SampledFrom([]scoping.Kind{user, user, user, group, scoping.Contact, scoping.Device}).Draw(t, "kind")
		w.add(name, rapid.SampledFrom(places).Draw(t, "in"), kind, assess.Mark(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 4, 8, 48}).Draw(t, "marks")))
		names = append(names, name)
	}
	for range len(names) {
		a, b := w.object(rapid.SampledFrom(names).Draw(t, "a")), w.object(rapid.SampledFrom(names).Draw(t, "b"))
		switch {
		case a.GUID == b.GUID:
		case a.Kind == group:
			a.Members = append(a.Members, b.GUID)
		case b.Kind == user:
			a.Manager = b.GUID
		}
	}
	return w
}

// engines are one of each kind that can write users and groups.
func engines() []assess.Engine {
	caps := scoping.EngineCaps{Features: []scoping.Feature{scoping.Users, scoping.Groups, scoping.References}}
	return []assess.Engine{{Name: "c", Kind: "connect", Caps: caps}, {Name: "s", Kind: "cloudsync", Caps: caps}}
}
