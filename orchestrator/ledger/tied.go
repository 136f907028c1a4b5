package ledger

import (
	"strings"

	"github.com/tandem-sync/tandem/scoping"
)

// tied maps linked cloud objects to their objects. It is as large as the table: cloud ids are GUIDs as a rule, and are kept as such.
type tied struct {
	directories numbered[string]
	key         []byte
	byGUID      map[scoping.GUID]end
	byText      map[string]scoping.ObjectID // of ids that are not GUIDs
}

// end is an object with its directory as a number.
type end struct {
	guid      scoping.GUID
	directory uint32
}

func (t *tied) get(cloudID string) (scoping.ObjectID, bool) {
	g, is := guidOf(cloudID)
	if !is {
		o, ok := t.byText[cloudID]
		return o, ok
	}
	e, ok := t.byGUID[g]
	if !ok {
		return scoping.ObjectID{}, false
	}
	return scoping.ObjectID{Directory: t.directories.all[e.directory], GUID: e.guid}, true
}

func (t *tied) put(cloudID string, o scoping.ObjectID) {
	g, is := guidOf(cloudID)
	if is {
		if t.byGUID == nil {
			t.byGUID = map[scoping.GUID]end{}
		}
		t.key = append(t.key[:0], o.Directory...)
		t.byGUID[g] = end{o.GUID, t.directories.number(t.key, func() string { return strings.Clone(o.Directory) })}
		return
	}
	if t.byText == nil {
		t.byText = map[string]scoping.ObjectID{}
	}
	t.byText[strings.Clone(cloudID)] = o
}

func (t *tied) drop(cloudID string) {
	if g, is := guidOf(cloudID); is {
		delete(t.byGUID, g)
		return
	}
	delete(t.byText, cloudID)
}
