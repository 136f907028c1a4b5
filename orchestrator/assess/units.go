package assess

import (
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// Unit is a part of a directory that moves as a whole: a subtree, without the subtrees in it that are units themselves. Units do not overlap, and together they are the whole
// directory.
type Unit struct {
	Directory string               `json:"directory"`
	Under     string               `json:"under"`
	Except    []string             `json:"except"`
	Objects   map[scoping.Kind]int `json:"objects"` // that engines write: without critical ones
	Disabled  int                  `json:"disabled"`
	Critical  int                  `json:"critical"`
	Service   int                  `json:"service"`
	InUse     []Use                `json:"inUse"`
	None      bool                 `json:"none"` // proposed to be unmanaged

	top     int32 // the container; -1: the root
	uses    map[string]int
	outside bool // it is everything outside of the container that is assessed
}

// Use is something that objects use, with their number.
type Use struct {
	Name    string          `json:"name"`
	Feature scoping.Feature `json:"feature,omitempty"` // that carries it; empty: it needs none
	Objects int             `json:"objects"`
}

// size returns the number of objects that engines write.
func (u *Unit) size() (n int) {
	for _, c := range u.Objects {
		n += c
	}
	return n
}

// root is the index of a directory's root where containers are named by their indexes.
const root = -1

// partition divides the container start into units, and returns them with the unit of each object. Each container directly in start is a unit, and so is each of unmanaged. While
// a unit contains more than half of all objects, the containers in it become units as well. Unless start is the root, the first unit is everything outside of start.
func (d *Directory) partition(start int32, unmanaged []int32) (units []*Unit, of []int32) {
	kids, filled := d.children(), d.filled()
	tops := []int32{root}
	if start != root {
		tops = append(tops, start)
		unmanaged = slices.DeleteFunc(slices.Clone(unmanaged), func(a int32) bool { return a != start && !d.under(a, start) })
	}
	tops = append(tops, kids[start]...)
	for _, a := range unmanaged {
		if !slices.Contains(tops, a) {
			tops = append(tops, a)
		}
	}
	for {
		units, of = d.dividedAt(tops)
		units[0].outside = start != root
		more := d.division(units, kids, filled, tops)
		if len(more) == 0 {
			break
		}
		tops = append(tops, more...)
	}
	for _, a := range unmanaged {
		units[slices.Index(tops, a)].None = true
	}
	return units, of
}

// division returns the filled containers in the largest unit, if that contains more than half of all objects.
func (d *Directory) division(units []*Unit, kids map[int32][]int32, filled map[int32]bool, tops []int32) (more []int32) {
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
		if !slices.Contains(tops, k) && filled[k] {
			more = append(more, k)
		}
	}
	return more
}

// filled returns the containers that contain, at any depth, an object that engines write.
func (d *Directory) filled() map[int32]bool {
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

// under reports whether object i is in a container, at any depth.
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

// dividedAt makes a unit of each subtree, and returns the unit of each object. The first of tops has to be the root.
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

// unitOf returns the number of the nearest top above object i, or of i itself.
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

// take counts an object in the unit.
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

// uses are what a survey looks for, with the features that carry it.
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

// unmanaged returns the outermost containers that are proposed to be unmanaged: in which there are, at any depth, only service accounts, groups of these and critical system
// objects. Empty containers and those where Active Directory puts new accounts are not among them: accounts that are created there later would stay unmanaged without notice.
func (d *Directory) unmanaged() (found []int32) {
	holds := map[int32]*content{}
	for i := range d.objects {
		d.countAbove(int32(i), holds)
	}
	kids := d.children()
	var look func(at int32)
	look = func(at int32) {
		for _, k := range kids[at] {
			if c := holds[k]; c != nil && c.unmanaged() && !slices.Contains(defaults, d.objects[k].RDN) {
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

// content counts the objects in a container, at any depth.
type content struct{ service, critical, other int }

func (c *content) unmanaged() bool { return c.other == 0 && c.service+c.critical > 0 }

// countAbove counts an object in all containers above it.
func (d *Directory) countAbove(i int32, holds map[int32]*content) {
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

// ofServices reports whether a group has members, and all of them are service accounts or critical and in the container, at any depth.
func (d *Directory) ofServices(group *Object, container int32) bool {
	for _, g := range group.Members {
		m := d.find(g)
		if m < 0 || !d.objects[m].Has(Service|Critical) || !d.under(m, container) {
			return false
		}
	}
	return len(group.Members) > 0
}
