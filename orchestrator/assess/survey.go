// Package assess looks at whole directories before anything is moved: how much is in which OU, which features are in use, and which objects refer to which. From that it proposes
// a first policy and an order of waves ([Suggest]), lists what is in the way of a migration ([Assess]), and returns which memberships and managers of a plan would have their two
// ends written by different engines ([Survey.Crossings]).
//
// For each question of an administrator the orchestrator calls [Read] for every directory. That is the only part that reads anything, and nothing is written. One of the three
// functions above is then called on the [Survey]. These are pure: the same survey and situation give the same answer, and several goroutines may use one survey.
package assess

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// Mark is one bit of knowledge about an object.
type Mark uint8

// The marks.
const (
	Disabled    Mark = 1 << iota // the account is disabled
	Critical                     // a critical system object, which no engine writes
	Service                      // a user account that looks like a service's, see looksLikeService
	MailEnabled                  // has proxy addresses, a mail nickname or an Exchange recipient type
	Extended                     // has one of extensionAttribute1 to 15
	Anchored                     // mS-DS-ConsistencyGuid is not empty
)

// Object is one object of a survey: a user, group, contact, device, or a container.
type Object struct {
	GUID    scoping.GUID
	Parent  scoping.GUID
	Kind    scoping.Kind // directory.OU for a container
	RDN     string       // the first component of its name, escaped
	Marks   Mark
	Manager scoping.GUID   // zero: none
	Members []scoping.GUID // of a group
	Extends uint16         // which of extensionAttribute1 to 15 it has; the first is the lowest bit
	Detail  *Detail        // nil for a container, and in a survey ForReferences
}

// Has reports whether an object has a mark.
func (o *Object) Has(m Mark) bool { return o.Marks&m != 0 }

// counts reports whether engines could write objects of this kind.
func (o *Object) counts() bool { return scoping.Base(o.Kind) != "" }

// Directory is one directory of a survey.
type Directory struct {
	Name    string
	Root    scoping.GUID
	RootDN  string
	objects []Object               // sorted by GUID
	index   map[scoping.GUID]int32 // into objects
}

// Survey is what was read of all directories.
type Survey struct{ Directories []*Directory }

// NewDirectory makes a directory of its objects. If an object occurs twice, as it can when it moves during a reading, the last occurrence counts.
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

// Objects returns the number of users, groups, contacts and devices.
func (d *Directory) Objects() (n int) {
	for i := range d.objects {
		if d.objects[i].counts() {
			n++
		}
	}
	return n
}

// find returns an object's index, or -1.
func (d *Directory) find(g scoping.GUID) int32 {
	if i, ok := d.index[g]; ok {
		return i
	}
	return -1
}

// parent returns the container of object i, or -1 if that is the directory's root or unknown.
func (d *Directory) parent(i int32) int32 {
	if g := d.objects[i].Parent; g != d.Root {
		return d.find(g)
	}
	return -1
}

// maxDepth ends each way up in the tree: a reading during which containers move may contain a circle of parents.
const maxDepth = 256

// DN returns the name of object i for people; of -1, that of the root.
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

// top returns the object directly beneath the root that contains object i, or i itself.
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

// children returns the containers in each container, in order of their names; -1 is the root.
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

// reference is one membership or manager: from is the group, or the user with the manager.
type reference struct {
	from, to int32
	manager  bool
}

// references yields all references of which both ends are in this directory and can be written by engines.
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
