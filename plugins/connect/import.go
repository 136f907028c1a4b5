package connect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// importFilter takes what the engine synchronizes and what it needs to know places by. It names no attribute that AD strips
// from tombstones. Computers are users to it; the import stage leaves them out.
const importFilter = "(|(objectClass=user)(objectClass=group)(objectClass=contact)(objectClass=organizationalUnit)(objectClass=container)" +
	"(objectClass=builtinDomain)(objectClass=domainDNS)(objectClass=lostAndFound))"

// stageBatch is how many changes go into one transaction.
const stageBatch = 1000

// Source is one session with a directory; *directory.Session is one.
type Source interface {
	Controller() directory.Controller
	Reached(ctx context.Context, p directory.AsOf) error
	Sync(ctx context.Context, cookie []byte, q directory.SyncQuery, each func(directory.Entry) error) ([]byte, error)
	ByGUID(ctx context.Context, guids []scoping.GUID, attrs []string, showDeleted bool) (map[scoping.GUID]directory.Entry, error)
	Close() error
}

// importer is the import stage of one directory in one run.
type importer struct {
	store    Store
	source   Source
	name     string // of the directory
	maxBytes int
	names    []string // of what the directory is asked for
	read     int
	progress func(read int) error // told after each batch

	generation uint64
	full       bool
	batch      []directory.Entry
	reread     map[scoping.GUID]bool // objects that have to be read whole: told incompletely, or restored
	parents    map[scoping.GUID]bool // parents of what was staged
}

func newImporter(store Store, source Source, name string, maxBytes int, names []string) *importer {
	return &importer{store: store, source: source, name: name, maxBytes: maxBytes, names: names,
		reread: map[scoping.GUID]bool{}, parents: map[scoping.GUID]bool{}}
}

func (im *importer) update(ctx context.Context, f func(space) error) error {
	return im.store.Update(ctx, func(tx state.Tx) error { return f(space{im.name, tx}) })
}

func (im *importer) view(ctx context.Context, f func(space) error) error {
	return im.store.View(ctx, func(tx state.Tx) error { return f(space{im.name, tx}) })
}

// fingerprint changes when the import stage asks for other things than before: a cookie knows only what was asked for.
func (im *importer) fingerprint() string { return importFilter + strings.Join(im.names, ",") }

// delta reads what changed since the watermark. It reads everything when there is none, when it belongs to another
// controller, or when the controller refuses it.
func (im *importer) delta(ctx context.Context) error {
	var w watermark
	err := im.view(ctx, func(s space) (err error) { w, err = s.watermark(); return err })
	if err != nil {
		return err
	}
	at := im.source.Controller()
	if len(w.Cookie) == 0 || w.Controller != at.InvocationID || w.Root != at.Root || w.Rules != im.fingerprint() {
		return im.everything(ctx)
	}
	im.generation = w.Generation
	err = im.changes(ctx, w.Cookie)
	if errors.Is(err, directory.ErrCookie) {
		im.batch = nil
		return im.everything(ctx)
	}
	return err
}

// everything is the full import. Its first transaction takes the watermark away: an import that breaks off leaves objects
// half read, and only another full import makes them whole.
func (im *importer) everything(ctx context.Context) error {
	im.full = true
	err := im.update(ctx, func(s space) error {
		w, err := s.watermark()
		if err != nil {
			return err
		}
		im.generation = w.Generation + 1
		return s.setWatermark(watermark{Version: watermarkVersion, Generation: im.generation})
	})
	if err != nil {
		return fmt.Errorf("begin the full import of %s: %w", im.name, err)
	}
	return im.changes(ctx, nil)
}

// changes stages what DirSync tells and then, in the transaction that moves the watermark, the last of it.
func (im *importer) changes(ctx context.Context, cookie []byte) error {
	q := directory.SyncQuery{Filter: importFilter, Attrs: im.names, MaxBytes: im.maxBytes}
	next, err := im.source.Sync(ctx, cookie, q, func(e directory.Entry) error {
		im.read++
		im.batch = append(im.batch, e)
		if len(im.batch) < stageBatch {
			return nil
		}
		if err := im.update(ctx, im.flush); err != nil {
			return err
		}
		im.batch = nil
		return im.progress(im.read)
	})
	if err != nil {
		return fmt.Errorf("import from %s: %w", im.name, err)
	}
	// Nothing here needs the watermark to stay: whatever is staged early is told again and staged again.
	if err := im.view(ctx, im.foresee); err != nil {
		return err
	}
	whole, err := im.readWhole(ctx)
	if err != nil {
		return err
	}
	return im.finish(ctx, whole, next)
}

// finish stages the last batch and what was read whole, forgets what a full import did not see, and moves the watermark.
func (im *importer) finish(ctx context.Context, whole map[scoping.GUID]directory.Entry, cookie []byte) error {
	containers, err := im.missingParents(ctx, whole)
	if err != nil {
		return err
	}
	at := im.source.Controller()
	err = im.update(ctx, func(s space) error {
		if err := im.flush(s); err != nil {
			return err
		}
		for _, g := range slices.SortedFunc(maps.Keys(whole), scoping.GUID.Compare) {
			if err := im.stage(s, directory.Entry{}, whole[g]); err != nil {
				return err
			}
		}
		if im.full {
			if err := im.sweep(s); err != nil {
				return err
			}
		}
		if err := im.putContainers(s, containers); err != nil {
			return err
		}
		return s.setWatermark(watermark{Version: watermarkVersion, Cookie: cookie, Controller: at.InvocationID, Root: at.Root,
			Domain: expression.Domain(at.RootDN), Rules: im.fingerprint(), Generation: im.generation})
	})
	if err != nil {
		return fmt.Errorf("store what was imported from %s: %w", im.name, err)
	}
	im.batch = nil
	return im.progress(im.read)
}

// flush stages the batch. It does not empty it when the transaction may be repeated: staging is idempotent.
func (im *importer) flush(s space) error {
	for _, change := range im.batch {
		before, there, err := s.get(change.GUID)
		if err != nil {
			return err
		}
		if im.full && before.generation != im.generation {
			there, before = false, record{}
		}
		if incomplete(before.entry, there, change) {
			im.reread[change.GUID] = true
			continue
		}
		if err := im.stage(s, before.entry, change); err != nil {
			return err
		}
	}
	return nil
}

// foresee finds, before the last transaction, what of the batch has to be read whole.
func (im *importer) foresee(s space) error {
	for _, change := range im.batch {
		before, there, err := s.get(change.GUID)
		if err != nil {
			return err
		}
		if im.full && before.generation != im.generation {
			there, before = false, record{}
		}
		if incomplete(before.entry, there, change) {
			im.reread[change.GUID] = true
		}
	}
	return nil
}

// incomplete says that a change cannot be put onto what is known: the object is new to the space but was told in part, or it
// came back to life, of which DirSync tells next to nothing.
func incomplete(before directory.Entry, there bool, change directory.Entry) bool {
	if there {
		return before.Deleted && change.Restored()
	}
	return !change.Has("objectClass")
}

// readWhole reads the objects to be read whole, and what links to those that came back to life.
func (im *importer) readWhole(ctx context.Context) (map[scoping.GUID]directory.Entry, error) {
	asked := slices.SortedFunc(maps.Keys(im.reread), scoping.GUID.Compare)
	if len(asked) == 0 {
		return nil, nil
	}
	found, err := im.source.ByGUID(ctx, asked, append(slices.Clone(im.names), "memberOf", "directReports"), true)
	if err != nil {
		return nil, err
	}
	var linking []scoping.GUID
	for _, g := range asked {
		if !kept(found[g].Kind()) {
			continue
		}
		for _, attr := range []string{"memberof", "directreports"} {
			for _, t := range found[g].Links[attr].Targets {
				if _, have := found[t.GUID]; !have && !slices.Contains(linking, t.GUID) {
					linking = append(linking, t.GUID)
				}
			}
		}
	}
	more, err := im.source.ByGUID(ctx, linking, im.names, true)
	if err != nil {
		return nil, err
	}
	maps.Copy(found, more)
	im.read += len(found)
	return found, nil
}

// objects reads the given objects and stages them as they are now. It gives those that the directory neither has nor
// remembers as deleted; they stay in the space as they were.
func (im *importer) objects(ctx context.Context, guids []scoping.GUID) (absent []scoping.GUID, err error) {
	found, err := im.source.ByGUID(ctx, guids, im.names, true)
	if err != nil {
		return nil, err
	}
	im.read += len(found)
	for _, g := range guids {
		if _, ok := found[g]; !ok {
			absent = append(absent, g)
		}
	}
	containers, err := im.missingParents(ctx, found)
	if err != nil {
		return nil, err
	}
	at := im.source.Controller()
	return absent, im.update(ctx, func(s space) error {
		w, err := s.watermark()
		if err != nil {
			return err
		}
		im.generation = w.Generation
		for _, g := range slices.SortedFunc(maps.Keys(found), scoping.GUID.Compare) {
			if err := im.stage(s, directory.Entry{}, found[g]); err != nil {
				return err
			}
		}
		w.Root, w.Domain = at.Root, expression.Domain(at.RootDN)
		if err := s.setWatermark(w); err != nil {
			return err
		}
		return im.putContainers(s, containers)
	})
}
