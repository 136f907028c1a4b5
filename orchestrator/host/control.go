package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// formatVersion is that of what the host keeps in control. Another one is refused.
const formatVersion = 1

// head is the small heart of control.
type head struct {
	Version      int           `json:"version"`
	Installation string        `json:"installation"`
	Epoch        scoping.Epoch `json:"epoch"`             // the newest
	Domains      []string      `json:"domains,omitempty"` // the tenant's verified ones, by which sign-in names were last judged
	Plan         string        `json:"plan,omitempty"`    // fingerprint of the last plan that changed the policy beside who owns what
	// Adopting are the engines whose first full run was not accepted yet (rule J5), and since when.
	Adopting map[string]scoping.Epoch `json:"adopting,omitempty"`
	// ReadOnly is why nothing is written until a person activates the state: it was restored, or the tenant was taken over (rule H2).
	ReadOnly string    `json:"readOnly,omitempty"`
	Restored *Restored `json:"restored,omitempty"` // what that waits for

	Signed    []signature `json:"signed,omitempty"`    // with which this state marked the tenant, the newest last
	SignedAt  int64       `json:"signedAt,omitempty"`  // when the newest was made; Unix ms
	NotBefore int64       `json:"notBefore,omitempty"` // nothing is sent before it: another host may still write; Unix ms
	Refused   *refusal    `json:"refused,omitempty"`   // what the tenant's mark said when it was read last
	Strange   string      `json:"strange,omitempty"`   // which directory answered as another domain when it was read last
	Bound     *binding    `json:"bound,omitempty"`     // nil: no policy was put in force, or by an older program
	Scale     *scale      `json:"scale,omitempty"`     // by which requests without an answer are waited for
}

// control is everything that the host keeps in control, as one transaction sees it.
type control struct {
	head      head
	partition *scoping.Partition // nil: none in force
	policy    []byte             // the text of the policy file last put in force
	waves     map[string]wave.Wave
	stops     map[string]gate.Stop
	owed      []ledger.Record
	matches   *[]scoping.Match // the file of matches that is put in force; nil: it stays as it is, which readControl does not read
}

// next gives a new epoch.
func (c *control) next() scoping.Epoch {
	c.head.Epoch.N++
	return c.head.Epoch
}

// owe adds a record that the commit owes to the log (rule X2).
func (c *control) owe(r ledger.Record) { c.owed = append(c.owed, r) }

// decoded is the partition that control last named, and the bytes that it was read from: a partition never changes, and decoding one takes longer than all the
// rest of control.
type decoded struct {
	mu        sync.Mutex
	raw       []byte
	partition *scoping.Partition
}

// of gives the partition that the bytes say.
func (d *decoded) of(raw []byte) (*scoping.Partition, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.partition != nil && bytes.Equal(d.raw, raw) {
		return d.partition, nil
	}
	p := new(scoping.Partition)
	if err := json.Unmarshal(raw, p); err != nil {
		return nil, fmt.Errorf("%w: the partition in force: %w", ErrState, err)
	}
	d.raw, d.partition = slices.Clone(raw), p
	return p, nil
}

func readControl(tx state.Tx, installation func() string, known *decoded) (*control, error) {
	c := &control{waves: map[string]wave.Wave{}, stops: map[string]gate.Stop{}}
	b := tx.Get("host", "head")
	if b == nil {
		c.head = head{Version: formatVersion, Installation: installation(), Epoch: scoping.Epoch{Incarnation: 1}}
		return c, nil
	}
	if err := json.Unmarshal(b, &c.head); err != nil {
		return nil, fmt.Errorf("%w: control's head: %w", ErrState, err)
	}
	if c.head.Version != formatVersion {
		return nil, fmt.Errorf("%w: control is of version %d, this program knows %d: use the program that wrote it", ErrState, c.head.Version, formatVersion)
	}
	if b := tx.Get("host", "partition"); b != nil {
		p, err := known.of(b)
		if err != nil {
			return nil, err
		}
		c.partition = p
	}
	c.policy = slices.Clone(tx.Get("host", "policy"))
	if err := each(tx, "waves", c.waves); err != nil {
		return nil, err
	}
	return c, each(tx, "stops", c.stops)
}

func each[V any](tx state.Tx, bucket string, into map[string]V) error {
	return tx.Each(bucket, "", func(k string, b []byte) error {
		var v V
		if err := json.Unmarshal(b, &v); err != nil {
			return fmt.Errorf("%w: %s %s: %w", ErrState, bucket, k, err)
		}
		into[k] = v
		return nil
	})
}

// write puts back what changed.
func (c *control) write(tx state.Tx) error {
	if err := putJSON(tx, "host", "head", c.head); err != nil {
		return err
	}
	if c.partition != nil {
		if err := putJSON(tx, "host", "partition", c.partition); err != nil {
			return err
		}
		if err := putJSON(tx, "revisions", revisionKey(c.partition.Revision()), c.partition); err != nil {
			return err
		}
	}
	if c.policy != nil {
		if err := tx.Put("host", "policy", c.policy); err != nil {
			return err
		}
	}
	if c.matches != nil {
		if err := putJSON(tx, "host", "matches", *c.matches); err != nil {
			return err
		}
	}
	if err := putAll(tx, "waves", c.waves); err != nil {
		return err
	}
	return putAll(tx, "stops", c.stops)
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

// change commits a change of control in one transaction with the records it owes, puts the authority that follows from it in force, and lets
// the ledger follow.
func (h *Host) change(ctx context.Context, f func(*control) error) error {
	h.ctl.Lock()
	defer h.ctl.Unlock()
	ctx = context.WithoutCancel(ctx)
	var c *control
	err := h.o.Store.Control.Update(ctx, func(tx state.Tx) error {
		var err error
		if c, err = readControl(tx, h.o.NewID, &h.decoded); err != nil {
			return err
		}
		if err := f(c); err != nil {
			return err
		}
		if err := c.write(tx); err != nil {
			return err
		}
		return state.Owe(tx, h.encode(c)...)
	})
	if errors.Is(err, state.ErrBroken) { // it may be durable: a stop, a cutover, another authority
		h.gate.Close(err)
	}
	if err != nil {
		return err
	}
	h.heed(c)
	if c.matches != nil {
		h.gate.SetMatches(*c.matches)
	}
	h.mu.Lock()
	h.tenancy.notBefore, h.tenancy.binding = c.head.NotBefore, c.head.Bound
	h.mu.Unlock()
	h.gate.SetAuthority(h.authority(c), h.rules(c))
	return h.gate.Owed(ctx, h.o.Store, func(from uint64, f func(uint64, []byte) error) error { return h.o.Store.Log.Read(ctx, from, f) })
}

func (h *Host) encode(c *control) [][]byte {
	out := make([][]byte, len(c.owed))
	for i, r := range c.owed {
		r.At = h.now().UnixMilli()
		if c.partition != nil {
			r.Revision = c.partition.Revision()
		}
		out[i] = ledger.Encode(r)
	}
	return out
}

// view reads control.
func (h *Host) view(ctx context.Context) (*control, error) {
	var c *control
	err := h.o.Store.Control.View(ctx, func(tx state.Tx) error {
		var err error
		c, err = readControl(tx, h.o.NewID, &h.decoded)
		return err
	})
	return c, err
}

// Revision reads the partition of a revision.
func (h *Host) Revision(ctx context.Context, n uint64) (*scoping.Partition, error) {
	var p *scoping.Partition
	err := h.o.Store.Control.View(ctx, func(tx state.Tx) error {
		b := tx.Get("revisions", revisionKey(n))
		if b == nil {
			return fmt.Errorf("%w: revision %d of the policy", ErrNotFound, n)
		}
		p = new(scoping.Partition)
		return json.Unmarshal(b, p)
	})
	return p, err
}

// authority derives who may write what from control: a pure function of its content.
func (c *control) authority() gate.Authority {
	a := gate.Authority{Partition: c.partition, Epoch: c.head.Epoch, Adopting: maps.Clone(c.head.Adopting), ReadOnly: c.head.ReadOnly}
	for _, id := range sorted(c.waves) {
		w := c.waves[id]
		name, epoch, ok := w.ShadowGrant()
		if !ok || name == scoping.None {
			continue
		}
		for _, s := range w.Scopes() {
			a.Shadows = append(a.Shadows, gate.Shadow{Engine: name, Wave: id, Scope: s, Epoch: epoch})
		}
	}
	for _, id := range sorted(c.stops) {
		a.Stops = append(a.Stops, c.stops[id])
	}
	return a
}

func sorted[V any](m map[string]V) []string {
	ks := make([]string, 0, len(m))
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}

// rules derives the gate's rules from the policy in force and the tenant's domains.
func (h *Host) rules(c *control) gate.Rules {
	d := scoping.DefaultDefaults()
	if c.partition != nil {
		d = c.partition.Defaults()
	}
	r := gate.Rules{SoftMatch: d.SoftMatch, UPNRefuse: d.UPN.UnverifiedSuffix == "refuse", UPNHold: d.UPN.Changes == "hold", Exclusive: d.MembersRule() == scoping.ExclusiveMembers,
		Quarantine: d.ConflictsRule() == scoping.QuarantineConflicts, Objects: d.DeleteThreshold.Objects, Percent: d.DeleteThreshold.Percent, Irrevocable: 10}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.domains.verified) > 0 {
		r.Verified, r.InitialDomain = map[string]bool{}, h.domains.initial
		for _, v := range h.domains.verified {
			r.Verified[lower(v)] = true
		}
	}
	return r
}

// waveID makes the name of a wave from 64 bits of its plan's fingerprint and its place in the plan: names of different plans do not meet.
func waveID(fingerprint string, i int) string {
	return "w" + fingerprint[:16] + "-" + strconv.Itoa(i+1)
}

// shortWaveID is how earlier plan files named their waves.
func shortWaveID(fingerprint string, i int) string {
	return "w" + fingerprint[:6] + "-" + strconv.Itoa(i+1)
}
