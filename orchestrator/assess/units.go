package assess

import (
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// Unit is a part of a directory that moves as a whole: a subtree, without parts of it that are units of their own. No two units overlap, and
// together they are the directory.
type Unit struct {
	Directory string               `json:"directory"`
	Under     string               `json:"under"`
	Except    []string             `json:"except"`
	Objects   map[scoping.Kind]int `json:"objects"` // that engines write: without critical ones
	Disabled  int                  `json:"disabled"`
	Critical  int                  `json:"critical"`
	Service   int                  `json:"service"`
	InUse     []Use                `json:"inUse"`
	None      bool                 `json:"none"` // proposed to be nobody's

	top     int32 // -1: what lies directly in the root
	uses    map[string]int
	outside bool // what lies outside of the container that is looked at
}

// Use is something that is in use, by how many objects.
type Use struct {
	Name    string          `json:"name"`
	Feature scoping.Feature `json:"feature,omitempty"` // that carries it; empty: none does
	Objects int             `json:"objects"`
}

// size counts the objects that engines write.
func (u *Unit) size() (n int) {
	for _, c := range u.Objects {
		n += c
	}
	return n
}

// root stands for the root of a directory among its containers.
const root = -1

// partition divides what lies in a container into units: what lies beneath it, each subtree one, and the given containers apart. A unit that holds more
// than half of everything is divided into what lies beneath it, as long as there is something to divide. It also says of which unit each
// object is; what lies elsewhere is of the first, which is outside then.
func (d *Directory) partition(start int32, apart []int32) (units []*Unit, of []int32) {
	kids, held := d.children(), d.held()
	tops := []int32{root}
	if start != root {
		tops = append(tops, start)
		apart = slices.DeleteFunc(slices.Clone(apart), func(a int32) bool { return a != start && !d.under(a, start) })
	}
	tops = append(tops, kids[start]...)
	for _, a := range apart {
		if !slices.Contains(tops, a) {
			tops = append(tops, a)
		}
	}
	for {
		units, of = d.dividedAt(tops)
		units[0].outside = start != root
		more := d.division(units, kids, held, tops)
		if len(more) == 0 {
			break
		}
		tops = append(tops, more...)
	}
	for _, a := range apart {
		units[slices.Index(tops, a)].None = true
	}
	return units, of
}

// division gives the containers beneath the largest unit, if that is too large and they hold something.
func (d *Directory) division(units []*Unit, kids map[int32][]int32, held map[int32]bool, tops []int32) (more []int32) {
	all, big := 0, units[0]
	if big.outside {
		big = units[1]
	}
	for _, u := range units {
		if u.outside {
			continue
		}
		all += u.size()
		if u.size() > big.size() {
			big = u
		}
	}
	if big.top < 0 || 2*big.size() <= all {
		return nil
	}
	for _, k := range kids[big.top] {
		if !slices.Contains(tops, k) && held[k] {
			more = append(more, k)
		}
	}
	return more
}

// held gives the containers that hold anything that engines write, at any depth.
func (d *Directory) held() map[int32]bool {
	out := map[int32]bool{}
	for i := range d.objects {
		if o := &d.objects[i]; !o.counts() || o.Has(Critical) {
			continue
		}
		for at := d.parent(int32(i)); at >= 0 && !out[at]; at = d.parent(at) {
			out[at] = true
		}
	}
	return out
}

func (d *Directory) under(i, container int32) bool {
	for range maxDepth {
		if i = d.parent(i); i == container {
			return true
		}
		if i < 0 {
			break
		}
	}
	return false
}

// dividedAt makes units of subtrees; -1 is the root, and comes first.
func (d *Directory) dividedAt(tops []int32) (units []*Unit, of []int32) {
	number := make(map[int32]int32, len(tops))
	for n, t := range tops {
		number[t] = int32(n)
		units = append(units, &Unit{Directory: d.Name, Under: d.DN(t), Except: []string{}, Objects: map[scoping.Kind]int{}, InUse: []Use{}, top: t, uses: map[string]int{}})
	}
	for _, t := range tops[1:] {
		above := units[d.unitOf(d.parent(t), number)]
		above.Except = append(above.Except, d.DN(t))
	}
	of = make([]int32, len(d.objects))
	for i := range d.objects {
		of[i] = d.unitOf(int32(i), number)
		units[of[i]].take(&d.objects[i])
	}
	for _, u := range units {
		u.InUse = u.sortedUses()
	}
	return units, of
}

// unitOf climbs to the nearest top.
func (d *Directory) unitOf(i int32, number map[int32]int32) int32 {
	for range maxDepth {
		if n, ok := number[i]; ok {
			return n
		}
		if i < 0 {
			break
		}
		i = d.parent(i)
	}
	return number[-1]
}

// take counts an object.
func (u *Unit) take(o *Object) {
	switch {
	case !o.counts():
		return
	case o.Has(Critical):
		u.Critical++
		return
	}
	u.Objects[o.Kind]++
	if o.Has(Disabled) {
		u.Disabled++
	}
	if o.Has(Service) {
		u.Service++
	}
	for _, w := range uses {
		if w.by(o) {
			u.uses[w.name]++
		}
	}
}

// uses are what a survey says to be in use, and the features that carry it.
var uses = []struct {
	name    string
	feature scoping.Feature
	by      func(*Object) bool
}{
	{"mail-enabled", scoping.ExchangeHybrid, func(o *Object) bool { return o.Has(MailEnabled) }},
	{"extension attributes", scoping.Extensions, func(o *Object) bool { return o.Has(Extended) }},
	{"contacts", scoping.Contacts, func(o *Object) bool { return o.Kind == scoping.Contact }},
	{"devices", scoping.Devices, func(o *Object) bool { return o.Kind == scoping.Device }},
	{"mS-DS-ConsistencyGuid", "", func(o *Object) bool { return o.Has(Anchored) }},
}

func (u *Unit) sortedUses() []Use {
	out := []Use{}
	for _, w := range uses {
		if n := u.uses[w.name]; n > 0 {
			out = append(out, Use{Name: w.name, Feature: w.feature, Objects: n})
		}
	}
	return out
}

// nobodys gives the containers that are proposed to be nobody's: those whose objects, at any depth, are all service accounts and groups of
// these, or all critical system objects; of containers in each other the outermost. Where new accounts are made by default is none of them, nor is
// one that holds nothing: who comes there later would go unnoticed.
func (d *Directory) nobodys() (found []int32) {
	holds := map[int32]*content{}
	for i := range d.objects {
		d.tell(int32(i), holds)
	}
	kids := d.children()
	var look func(at int32)
	look = func(at int32) {
		for _, k := range kids[at] {
			if c := holds[k]; c != nil && c.nobodys() && !slices.Contains(defaults, d.objects[k].RDN) {
				found = append(found, k)
				continue
			}
			look(k)
		}
	}
	look(-1)
	return found
}

// defaults are the containers where Active Directory puts new accounts (MS-ADTS 6.1.1.4.2, 6.1.1.4.4).
var defaults = []string{"CN=Users", "CN=Computers"}

// content is what lies in a container, at any depth.
type content struct{ service, critical, other int }

func (c *content) nobodys() bool { return c.other == 0 && c.service+c.critical > 0 }

// tell counts an object in all containers above it.
func (d *Directory) tell(i int32, holds map[int32]*content) {
	o := &d.objects[i]
	if !o.counts() {
		return
	}
	at := i
	for range maxDepth {
		if at = d.parent(at); at < 0 {
			return
		}
		c := holds[at]
		if c == nil {
			c = &content{}
			holds[at] = c
		}
		switch {
		case o.Has(Critical):
			c.critical++
		case o.Has(Service), o.Kind == scoping.Group && d.ofServices(o, at):
			c.service++
		default:
			c.other++
		}
	}
}

// ofServices says whether all members of a group are service accounts or critical, and lie in a container too.
func (d *Directory) ofServices(group *Object, container int32) bool {
	for _, g := range group.Members {
		m := d.find(g)
		if m < 0 || !d.objects[m].Has(Service|Critical) || !d.under(m, container) {
			return false
		}
	}
	return len(group.Members) > 0
}
