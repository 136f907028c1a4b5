package api

import "github.com/tandem-sync/tandem/orchestrator/wave"

// Counts are numbers of objects by what would happen to them, each counted once, and of references beside them. Results name zeros too.
type Counts struct {
	Create    int        `json:"create"`
	Restore   int        `json:"restore"` // from the tenant's deleted items
	Update    int        `json:"update"`
	Delete    int        `json:"delete"`
	Orphan    int        `json:"orphan"` // linked, and the target's rules leave it out
	Unclaimed int        `json:"unclaimed"`
	Unchanged int        `json:"unchanged"`
	Links     wave.Links `json:"links"`
}

// countsOf is nil where nothing was counted.
func countsOf(c *wave.Counts) *Counts { return (*Counts)(c) }

// Differ returns the number of objects that differ.
func (c Counts) Differ() int { return wave.Counts(c).Differ() }

// String returns what would be written, and the number of objects that no proposal mentions.
func (c Counts) String() string { return wave.Counts(c).String() }
