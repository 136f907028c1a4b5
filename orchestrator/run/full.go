package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Fingerprints is implemented by Engines that know the engines' configuration.
type Fingerprints interface {
	// Settings returns the engine's settings, as JSON with ordered keys.
	Settings(name string) []byte
}

// rulesOf returns the fingerprint of everything that determines an engine's values: its kind, version, features, mapping and settings, the tenant's
// verified domains, and the policy's rules for sign-in names and managed attributes.
func (r *Runner) rulesOf(ctx context.Context, name string) (string, error) {
	d, err := r.o.Engines.Describe(ctx, name)
	if err != nil {
		return "", fmt.Errorf("asking what rules engine %s has: %w", name, err)
	}
	in := r.o.Gate.Rules()
	rules := struct {
		Kind, Version     string
		Features          []scoping.Feature
		Writes            map[scoping.Feature][]string
		Settings          string
		Verified          []string
		Initial           string
		Refuse, Hold, Own bool
		LeaveOut, Extend  []string `json:",omitempty"`
	}{d.Kind, d.Version, d.Features, d.Writes, "", slices.Sorted(maps.Keys(in.Verified)), in.InitialDomain, in.UPNRefuse, in.UPNHold, in.Exclusive,
		slices.Sorted(maps.Keys(in.LeaveOut)), extensions(in.Managed)}
	if f, ok := r.o.Engines.(Fingerprints); ok {
		rules.Settings = string(f.Settings(name))
	}
	b, err := json.Marshal(rules)
	if err != nil {
		return "", fmt.Errorf("encoding the rules of engine %s: %w", name, err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// fullDue returns why an engine's next run is to be a full one, or "". every is the greatest age of the last one; 0: any. Only complete full runs
// count, so one that was interrupted is due again.
func (r *Runner) fullDue(name, rules string, every time.Duration) string {
	last := r.o.Notes.LastFull(name)
	switch {
	case last == nil && every > 0:
		return "no complete full run of it is known"
	case last == nil:
		return ""
	case last.Rules != rules:
		return "its rules, its settings or the tenant's domains changed since its last full run"
	case every > 0 && r.o.Clock.Now().Sub(time.UnixMilli(last.At)) >= every:
		return "its last full run was at " + time.UnixMilli(last.At).UTC().Format(time.RFC3339)
	}
	return ""
}

// profile chooses the profile of a run that asks for none. The caller stores the returned rules if the run is a complete full one.
func (r *Runner) profile(ctx context.Context, name string, stream engine.Stream, o *SyncOptions) (rules string, err error) {
	if rules, err = r.rulesOf(ctx, name); err != nil || o.Profile != "" {
		return rules, err
	}
	o.Profile = engine.ProfileDelta
	if o.Under != "" {
		return rules, nil
	}
	why := r.fullDue(keyOf(name, stream), rules, o.FullEvery)
	if _, many := r.owed(name, stream); many && why == "" {
		why = "of most of what it owns it did not say yet what it wants"
	}
	if why != "" {
		o.Profile = engine.ProfileFull
		if r.o.Log != nil {
			r.o.Log("the run is a full one", "engine", name, "reason", why)
		}
	}
	return rules, nil
}

// noteFull remembers that an engine's full run was complete.
func (r *Runner) noteFull(name, rules string, o SyncOptions, x Report) {
	if o.Profile != engine.ProfileFull || o.Under != "" || !x.Complete || x.ReadOnly != "" {
		return
	}
	r.o.Notes.NoteFull(name, rules)
	r.o.Sweep()
}
