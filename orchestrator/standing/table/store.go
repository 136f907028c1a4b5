package table

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// rewriteAt is the number of lines from which a journal is rewritten when most of them are outdated.
const rewriteAt = 10_000

// perBatch is the number of claims in one value of a rewritten journal.
const perBatch = 1000

// Batch is the claims put or dropped since the last one, ready to be stored.
type Batch struct {
	changes []change
	number  uint64
	covered string
}

// Number returns the batch's place in the journal.
func (b *Batch) Number() uint64 { return b.number }

// Take returns what is to be stored next, or nil. Commit stores it; batches are stored in the order in which they were taken.
func (c *Claims) Take() *Batch {
	if len(c.unkept) == 0 && !c.moved || c.store == nil {
		c.unkept, c.moved = nil, false
		return nil
	}
	b := &Batch{changes: c.unkept, number: c.next, covered: c.covered}
	c.unkept, c.moved = nil, false
	if len(b.changes) > 0 {
		c.next++
		c.lines += len(b.changes)
	}
	return b
}

// Commit makes a batch durable. After an error the claims in memory are ahead of the store, and the engine must not get its answer.
func (c *Claims) Commit(ctx context.Context, b *Batch) error {
	if b == nil {
		return nil
	}
	err := c.store.Update(ctx, func(tx state.Tx) error {
		if err := tx.Put(bucketMarks, keyCovered, []byte(b.covered)); err != nil || len(b.changes) == 0 {
			return err
		}
		return tx.Put(bucketJournal, fmt.Sprintf("%020d", b.number), encode(b.changes))
	})
	if err != nil {
		return fmt.Errorf("storing %d claims of engines: %w", len(b.changes), err)
	}
	return nil
}

// Untake takes back a batch that could not be stored: the next Take returns it again, before anything newer.
func (c *Claims) Untake(b *Batch) {
	if b != nil {
		c.unkept, c.moved = append(b.changes, c.unkept...), true
	}
}

// Tidy returns the whole table as batches when everything is stored and most lines of the journal are outdated; otherwise nil. Replace stores them.
func (c *Claims) Tidy() []*Batch {
	live := 0
	for _, p := range c.engines {
		live += p.len()
	}
	if c.store == nil || len(c.unkept) > 0 || c.lines < rewriteAt || c.lines < 2*live {
		return nil
	}
	var all []change
	for _, e := range c.Engines() {
		for k, x := range c.engines[e].all() {
			all = append(all, change{e, k, x})
		}
	}
	slices.SortFunc(all, func(a, b change) int {
		return cmp.Or(cmp.Compare(a.engine, b.engine), a.key.Compare(b.key))
	})
	c.lines = live
	out := []*Batch{}
	for chunk := range slices.Chunk(all, perBatch) {
		out = append(out, &Batch{changes: chunk, number: c.next, covered: c.covered})
		c.next++
	}
	if len(out) == 0 {
		out = append(out, &Batch{number: c.next, covered: c.covered})
	}
	return out
}

// Replace stores batches in place of everything stored, in one transaction.
func (c *Claims) Replace(ctx context.Context, bs []*Batch) error {
	if len(bs) == 0 {
		return nil
	}
	err := c.store.Update(ctx, func(tx state.Tx) error {
		var old []string
		if err := tx.Each(bucketJournal, "", func(k string, _ []byte) error { old = append(old, k); return nil }); err != nil {
			return err
		}
		for _, k := range old {
			if err := tx.Delete(bucketJournal, k); err != nil {
				return err
			}
		}
		for _, b := range bs {
			if len(b.changes) == 0 {
				continue
			}
			if err := tx.Put(bucketJournal, fmt.Sprintf("%020d", b.number), encode(b.changes)); err != nil {
				return err
			}
		}
		return tx.Put(bucketMarks, keyCovered, []byte(bs[0].covered))
	})
	if err != nil {
		return fmt.Errorf("rewriting the engines' claims: %w", err)
	}
	return nil
}

// format is the first byte of a batch.
const format = 3

// encode writes changes: a table of texts, then one line each, in which texts are numbers.
func encode(cs []change) []byte {
	var texts []string
	at := map[string]uint64{}
	text := func(b []byte, s string) []byte {
		n, ok := at[s]
		if !ok {
			n = uint64(len(texts))
			at[s], texts = n, append(texts, s)
		}
		return binary.AppendUvarint(b, n)
	}
	object := func(b []byte, o scoping.ObjectID) []byte { return append(text(b, o.Directory), o.GUID[:]...) }
	body := binary.AppendUvarint(nil, uint64(len(cs)))
	for _, x := range cs {
		body = text(object(text(body, x.engine), x.key.Object), string(x.key.Feature))
		if x.claim == nil {
			body = append(body, 0)
			continue
		}
		body = append(body, 1, byte(x.claim.Want), flag(x.claim.Agrees), flag(x.claim.Person))
		body = binary.LittleEndian.AppendUint64(body, x.claim.Target)
		body = binary.AppendUvarint(body, x.claim.Reading)
		body = binary.LittleEndian.AppendUint64(body, x.claim.Rules)
		body = binary.AppendVarint(body, x.claim.At)
		body = binary.LittleEndian.AppendUint64(body, x.claim.Unkept)
		body = text(text(body, x.claim.SignIn.Domain), x.claim.SignIn.As)
		body = binary.AppendUvarint(body, uint64(len(x.claim.Attrs)))
		for _, a := range x.claim.Attrs {
			body = text(body, a)
		}
		body = binary.AppendUvarint(body, uint64(len(x.claim.Waits)))
		for _, o := range x.claim.Waits {
			body = object(body, o)
		}
	}
	out := binary.AppendUvarint([]byte{format}, uint64(len(texts)))
	for _, s := range texts {
		out = append(binary.AppendUvarint(out, uint64(len(s))), s...)
	}
	return append(out, body...)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// errBatch means that decode cannot read a batch.
var errBatch = errors.New("not a batch of claims")

// decode decodes what encode wrote.
func decode(b []byte) ([]change, error) {
	if len(b) == 0 || b[0] != format {
		return nil, fmt.Errorf("%w: format %v", errBatch, b[:min(len(b), 1)])
	}
	r := &reader{b: b[1:]}
	for range r.count() {
		r.texts = append(r.texts, string(r.bytes(r.count())))
	}
	var out []change
	for range r.count() {
		if r.bad {
			break
		}
		x := change{engine: r.text()}
		x.key = ledger.Key{Object: r.object(), Feature: scoping.Feature(r.text())}
		if r.byte() == 1 {
			x.claim = r.claim()
		}
		out = append(out, x)
	}
	if r.bad || len(r.b) > 0 {
		return nil, errBatch
	}
	return out, nil
}

// reader reads a batch; after an error it returns zero values.
type reader struct {
	b     []byte
	texts []string
	bad   bool
}

func (r *reader) claim() *standing.Claim {
	c := &standing.Claim{Want: engine.Want(r.byte()), Agrees: r.byte() == 1, Person: r.byte() == 1}
	c.Target = r.word()
	c.Reading = r.number()
	c.Rules = r.word()
	c.At = r.signed()
	c.Unkept = r.word()
	c.SignIn.Domain, c.SignIn.As = r.text(), r.text()
	for range r.count() {
		if r.bad {
			return c
		}
		c.Attrs = append(c.Attrs, r.text())
	}
	for range r.count() {
		if r.bad {
			return c
		}
		c.Waits = append(c.Waits, r.object())
	}
	return c
}

// word reads eight bytes.
func (r *reader) word() uint64 {
	if b := r.bytes(8); len(b) == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

// signed reads a number written by binary.AppendVarint.
func (r *reader) signed() int64 {
	n := r.number()
	return int64(n>>1) ^ -int64(n&1)
}

// count reads a number of things that follow; each has at least one byte.
func (r *reader) count() int {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.bad, r.b, n = true, nil, 0
	}
	return int(n)
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) text() string {
	n := r.number()
	if n >= uint64(len(r.texts)) {
		r.bad = true
		return ""
	}
	return r.texts[n]
}

func (r *reader) object() scoping.ObjectID {
	o := scoping.ObjectID{Directory: r.text()}
	copy(o.GUID[:], r.bytes(len(o.GUID)))
	return o
}
