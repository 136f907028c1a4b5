// Package assess looks at a directory as a whole before anything is moved: how much lies in which OU, which features are in use,
// and which objects refer to which. From that it proposes a first policy with an order of waves, and tells of a plan which
// memberships and managers would have their two ends with different engines.
//
// [Read] reads the directory and writes nothing. Everything else is a pure function over the [Survey] that it gives: the same survey
// gives the same answer.
package assess

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// Mark is something noticed about an object.
type Mark uint8

// The marks.
const (
	Disabled    Mark = 1 << iota // the account is disabled
	Critical                     // a critical system object, which no engine writes
	Service                      // a user account that looks like a service's and not like a person's
	MailEnabled                  // has proxy addresses, a mail nickname or an Exchange recipient type
	Extended                     // has one of extensionAttribute1 to 15
	Anchored                     // mS-DS-ConsistencyGuid is filled
)

// Object is one object of a survey: a user, group, contact, device, or something that holds others.
type Object struct {
	GUID    scoping.GUID
	Parent  scoping.GUID
	Kind    scoping.Kind // directory.OU for what holds others
	RDN     string       // the first component of its name, escaped
	Marks   Mark
	Manager scoping.GUID   // zero: none
	Members []scoping.GUID // of a group
	Extends uint16         // which of extensionAttribute1 to 15 it has, the first as the lowest bit
	Detail  *Detail        // of what counts, in a survey ForReadiness; else nil
}

// Has says whether an object has a mark.
func (o *Object) Has(m Mark) bool { return o.Marks&m != 0 }

// counts says whether the object is one that engines could write.
func (o *Object) counts() bool { return scoping.Base(o.Kind) != "" }

// Directory is one directory of a survey.
type Directory struct {
	Name    string
	Root    scoping.GUID
	RootDN  string
	objects []Object // by GUID, once settled
	index   map[scoping.GUID]int32
}

// Survey is what was seen of all directories.
type Survey struct{ Directories []*Directory }

// NewDirectory makes a directory of its objects. An object that is there twice counts as it stands last.
func NewDirectory(name string, root scoping.GUID, rootDN string, objects []Object) *Directory {
	d := &Directory{Name: name, Root: root, RootDN: rootDN, index: make(map[scoping.GUID]int32, len(objects))}
	for _, o := range objects {
		if i, ok := d.index[o.GUID]; ok {
			d.objects[i] = o
			continue
		}
		d.index[o.GUID] = int32(len(d.objects))
		d.objects = append(d.objects, o)
	}
	slices.SortFunc(d.objects, func(a, b Object) int { return a.GUID.Compare(b.GUID) })
	for i := range d.objects {
		d.index[d.objects[i].GUID] = int32(i)
	}
	return d
}

// Objects counts the users, groups, contacts and devices.
func (d *Directory) Objects() (n int) {
	for i := range d.objects {
		if d.objects[i].counts() {
			n++
		}
	}
	return n
}

// find gives an object's place in the list, or -1.
func (d *Directory) find(g scoping.GUID) int32 {
	if i, ok := d.index[g]; ok {
		return i
	}
	return -1
}

// parent gives the object that holds object i, or -1 where that is the directory's root or unknown.
func (d *Directory) parent(i int32) int32 {
	if g := d.objects[i].Parent; g != d.Root {
		return d.find(g)
	}
	return -1
}

// maxDepth ends the way up in a tree that a reading amid changes has closed to a circle.
const maxDepth = 256

// DN gives an object's name, for people.
func (d *Directory) DN(i int32) string {
	if i < 0 {
		return d.RootDN
	}
	var b strings.Builder
	for depth := 0; i >= 0 && depth < maxDepth; depth++ {
		b.WriteString(d.objects[i].RDN)
		b.WriteByte(',')
		i = d.parent(i)
	}
	b.WriteString(d.RootDN)
	return b.String()
}

// top gives the object directly beneath the root under which object i lies, or which it is.
func (d *Directory) top(i int32) int32 {
	for range maxDepth {
		p := d.parent(i)
		if p < 0 {
			break
		}
		i = p
	}
	return i
}

// children gives what holds others, by what holds it, in order of their names; -1 is the root.
func (d *Directory) children() map[int32][]int32 {
	out := map[int32][]int32{}
	for i := range d.objects {
		if d.objects[i].Kind == directory.OU {
			p := d.parent(int32(i))
			out[p] = append(out[p], int32(i))
		}
	}
	for _, c := range out {
		slices.SortFunc(c, func(a, b int32) int {
			return cmp.Or(cmp.Compare(strings.ToLower(d.objects[a].RDN), strings.ToLower(d.objects[b].RDN)), cmp.Compare(a, b))
		})
	}
	return out
}

// reference is one membership or manager: from is the group, or the one who has the manager.
type reference struct {
	from, to int32
	manager  bool
}

// references gives all references between objects that count, both in this directory.
func (d *Directory) references(yield func(reference) bool) {
	for i := range d.objects {
		o := &d.objects[i]
		if !o.counts() {
			continue
		}
		if to := d.find(o.Manager); to >= 0 && d.objects[to].counts() && !yield(reference{int32(i), to, true}) {
			return
		}
		for _, m := range o.Members {
			if to := d.find(m); to >= 0 && d.objects[to].counts() && !yield(reference{int32(i), to, false}) {
				return
			}
		}
	}
}
