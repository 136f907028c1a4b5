package scoping

import (
	"encoding/json"
	"errors"
	"fmt"
)

// FormatVersion is the version of a partition's JSON form.
// Version 1 had eight fields, and no layers.
const FormatVersion = 2

// ErrFormat is the kind of the errors of reading a partition that this version of Tandem cannot read.
var ErrFormat = errors.New("not a partition that this version can read")

type partitionJSON struct {
	Version     int          `json:"version"`
	Revision    uint64       `json:"revision"`
	Features    []Feature    `json:"features"`
	Defaults    Defaults     `json:"defaults"`
	Matches     string       `json:"matches,omitempty"`
	Assignments []Assignment `json:"assignments"`

	Provisioning []Assignment `json:"provisioning,omitempty"`

	Owners      []Owner    `json:"owners"`
	Directories []partJSON `json:"directories"`
}

type partJSON struct {
	Name    string     `json:"name"`
	Nodes   []nodeJSON `json:"nodes"`
	Choices []Choice   `json:"choices,omitempty"`
}

type nodeJSON struct {
	GUID   GUID    `json:"guid"`
	DN     string  `json:"dn,omitempty"`
	Parent int32   `json:"parent"`
	Marks  []int32 `json:"marks,omitempty"`

	Layers []layerJSON `json:"layers,omitempty"`
}

type layerJSON struct {
	Field   field  `json:"field"`
	With    []GUID `json:"with,omitempty"`
	Without []GUID `json:"without,omitempty"`
	Owner   int32  `json:"owner"`
}

// MarshalJSON gives the whole partition, its pins and epochs included: reading it back needs no directory. Equal partitions
// give equal bytes.
func (p *Partition) MarshalJSON() ([]byte, error) {
	out := partitionJSON{Version: FormatVersion, Revision: p.revision, Features: p.features, Defaults: p.defaults,
		Matches: p.matches, Assignments: p.assignments, Provisioning: p.provisioning, Owners: p.owners}
	for _, d := range p.parts {
		pj := partJSON{Name: d.name, Choices: p.Choices(d.name)}
		for n, x := range d.tree.nodes {
			nj := nodeJSON{GUID: x.guid, DN: x.dn, Parent: x.parent}
			if d.marks[n] != noMarks {
				nj.Marks = d.marks[n][:]
			}
			for _, l := range d.layers[n] {
				nj.Layers = append(nj.Layers, layerJSON{l.field, l.with, l.without, l.owner})
			}
			pj.Nodes = append(pj.Nodes, nj)
		}
		out.Directories = append(out.Directories, pj)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote. A newer version, or anything inconsistent, is an error of kind [ErrFormat]
// and leaves p as it was.
func (p *Partition) UnmarshalJSON(b []byte) error {
	var head struct{ Version int }
	if err := json.Unmarshal(b, &head); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if head.Version < 1 || head.Version > FormatVersion {
		return fmt.Errorf("%w: format version %d; this version of Tandem reads versions 1 to %d", ErrFormat, head.Version, FormatVersion)
	}
	var in partitionJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	out := Partition{revision: in.Revision, on: fieldsOn(in.Features), features: in.Features, defaults: in.Defaults,
		matches: in.Matches, assignments: in.Assignments, provisioning: in.Provisioning, owners: in.Owners}
	if len(in.Owners) == 0 {
		return fmt.Errorf("%w: it has no owners", ErrFormat)
	}
	for _, pj := range in.Directories {
		d, err := pj.decode(len(in.Owners))
		if err != nil {
			return err
		}
		out.parts = append(out.parts, d)
	}
	*p = out
	return nil
}

func (j partJSON) decode(owners int) (*part, error) {
	d := newPart(j.Name, newTree(), len(j.Nodes))
	for _, c := range j.Choices {
		d.choices[c.ID] = c
	}
	for n, x := range j.Nodes {
		// A container may stand before the one above it, so parents are checked for cycles below.
		if x.Parent < -1 || int(x.Parent) >= len(j.Nodes) || len(x.Marks) > numFields {
			return nil, fmt.Errorf("%w: container %s of directory %s", ErrFormat, x.GUID, j.Name)
		}
		if _, twice := d.tree.index[x.GUID]; twice {
			return nil, fmt.Errorf("%w: container %s of directory %s stands twice", ErrFormat, x.GUID, j.Name)
		}
		d.tree.insert(x.GUID, x.DN, x.Parent)
		for f, o := range x.Marks {
			if o < -1 || int(o) >= owners {
				return nil, fmt.Errorf("%w: container %s of directory %s has owner %d of %d", ErrFormat, x.GUID, j.Name, o, owners)
			}
			d.marks[n][f] = o
		}
		for _, l := range x.Layers {
			if int(l.Field) >= numFields || l.Owner < 0 || int(l.Owner) >= owners {
				return nil, fmt.Errorf("%w: container %s of directory %s has owner %d of %d", ErrFormat, x.GUID, j.Name, l.Owner, owners)
			}
			d.layers[n] = append(d.layers[n], layer{l.Field, clause{l.With, l.Without, l.Owner}})
		}
	}
	if d.tree.cyclic() {
		return nil, fmt.Errorf("%w: containers of directory %s lie in one another", ErrFormat, j.Name)
	}
	d.reindex()
	return d, nil
}

// cyclic says whether some container lies in itself.
func (t *tree) cyclic() bool {
	for n := range t.nodes {
		steps := 0
		for a := int32(n); a >= 0; a = t.nodes[a].parent {
			if steps++; steps > len(t.nodes) {
				return true
			}
		}
	}
	return false
}
