package control

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Content is everything that control holds, as one transaction sees it.
type Content struct {
	Head      Head
	Partition *scoping.Partition // nil: none in force
	Policy    []byte             // the text of the policy file last put in force
	Waves     map[string]wave.Wave
	Stops     map[string]gate.Stop
	pending   []ledger.Record
	Matches   *[]scoping.Match // the file of matches to put in force; nil: unchanged. Reading control leaves it nil
}

// Next returns a new epoch.
func (c *Content) Next() scoping.Epoch {
	c.Head.Epoch.N++
	return c.Head.Epoch
}

// Append adds a record to those that the commit writes into the log later (rule X2).
func (c *Content) Append(r ledger.Record) { c.pending = append(c.pending, r) }

// SortedWaves returns all waves, the oldest first.
func (c *Content) SortedWaves() []wave.Wave {
	out := slices.AppendSeq(make([]wave.Wave, 0, len(c.Waves)), maps.Values(c.Waves))
	slices.SortFunc(out, func(a, b wave.Wave) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Choices returns the choices of the partition and of hand-overs of waves that are not over. A choice may be in it twice.
func (c *Content) Choices(directories []string) []scoping.Choice {
	var all []scoping.Choice
	if c.Partition != nil {
		for _, n := range directories {
			all = append(all, c.Partition.Choices(n)...)
		}
	}
	for _, w := range c.Waves {
		if w.State.Over() {
			continue
		}
		for _, o := range w.HandOvers {
			all = append(all, o.Choices...)
		}
	}
	return all
}

// decoded caches the partition that control last held, with its bytes: partitions never change, and decoding one takes longer than the rest of
// control.
type decoded struct {
	mu        sync.Mutex
	raw       []byte
	partition *scoping.Partition
}

// of returns the partition of the bytes.
func (d *decoded) of(raw []byte) (*scoping.Partition, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.partition != nil && bytes.Equal(d.raw, raw) {
		return d.partition, nil
	}
	p := new(scoping.Partition)
	if err := json.Unmarshal(raw, p); err != nil {
		return nil, fmt.Errorf("%w: the partition in force: %w", problem.ErrState, err)
	}
	d.raw, d.partition = slices.Clone(raw), p
	return p, nil
}

func read(tx state.Tx, installation func() string, known *decoded) (*Content, error) {
	c := &Content{Waves: map[string]wave.Wave{}, Stops: map[string]gate.Stop{}}
	b := tx.Get("host", "head")
	if b == nil {
		c.Head = Head{Version: formatVersion, Installation: installation(), Epoch: scoping.Epoch{Incarnation: 1}}
		return c, nil
	}
	if err := json.Unmarshal(b, &c.Head); err != nil {
		return nil, fmt.Errorf("%w: control's head: %w", problem.ErrState, err)
	}
	if c.Head.Version != formatVersion {
		return nil, fmt.Errorf("%w: control is of version %d, this program knows %d: use the program that wrote it", problem.ErrState, c.Head.Version, formatVersion)
	}
	if b := tx.Get("host", "partition"); b != nil {
		p, err := known.of(b)
		if err != nil {
			return nil, err
		}
		c.Partition = p
	}
	c.Policy = slices.Clone(tx.Get("host", "policy"))
	if err := each(tx, "waves", c.Waves); err != nil {
		return nil, err
	}
	return c, each(tx, "stops", c.Stops)
}

func each[V any](tx state.Tx, bucket string, into map[string]V) error {
	return tx.Each(bucket, "", func(k string, b []byte) error {
		var v V
		if err := json.Unmarshal(b, &v); err != nil {
			return fmt.Errorf("%w: %s %s: %w", problem.ErrState, bucket, k, err)
		}
		into[k] = v
		return nil
	})
}

// write stores what changed.
func (c *Content) write(tx state.Tx) error {
	if err := putJSON(tx, "host", "head", c.Head); err != nil {
		return err
	}
	if c.Partition != nil {
		if err := putJSON(tx, "host", "partition", c.Partition); err != nil {
			return err
		}
		if err := putJSON(tx, "revisions", revisionKey(c.Partition.Revision()), c.Partition); err != nil {
			return err
		}
	}
	if c.Policy != nil {
		if err := tx.Put("host", "policy", c.Policy); err != nil {
			return err
		}
	}
	if c.Matches != nil {
		if err := putJSON(tx, "host", "matches", *c.Matches); err != nil {
			return err
		}
	}
	if err := putAll(tx, "waves", c.Waves); err != nil {
		return err
	}
	return putAll(tx, "stops", c.Stops)
}

func revisionKey(n uint64) string { return fmt.Sprintf("%012d", n) }

func putAll[V any](tx state.Tx, bucket string, m map[string]V) error {
	var stale []string
	if err := tx.Each(bucket, "", func(k string, _ []byte) error {
		if _, ok := m[k]; !ok {
			stale = append(stale, k)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, k := range stale {
		if err := tx.Delete(bucket, k); err != nil {
			return err
		}
	}
	for k, v := range m {
		if err := putJSON(tx, bucket, k, v); err != nil {
			return err
		}
	}
	return nil
}

func putJSON(tx state.Tx, bucket, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding %s %s: %w", bucket, key, err)
	}
	if string(tx.Get(bucket, key)) == string(b) {
		return nil
	}
	return tx.Put(bucket, key, b)
}

// authority derives who may write what. It is a pure function of the content.
func (c *Content) authority() gate.Authority {
	a := gate.Authority{Partition: c.Partition, Epoch: c.Head.Epoch, Adopting: maps.Clone(c.Head.Adopting), ReadOnly: c.Head.ReadOnly, Installation: c.Head.Installation}
	for _, id := range slices.Sorted(maps.Keys(c.Waves)) {
		w := c.Waves[id]
		name, epoch, ok := w.ShadowGrant()
		if !ok || name == scoping.None {
			continue
		}
		for _, s := range w.Scopes() {
			a.Shadows = append(a.Shadows, gate.Shadow{Engine: name, Wave: id, Scope: s, Epoch: epoch})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Stops)) {
		a.Stops = append(a.Stops, c.Stops[id])
	}
	return a
}
