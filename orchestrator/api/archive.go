package api

import (
	"context"
	"path/filepath"
	"time"

	"github.com/tandem-sync/tandem/orchestrator"
	"github.com/tandem-sync/tandem/orchestrator/journal"
)

// archiveHint is what to do about an archive that fails its check.
const archiveHint = "take the archive from where it is kept a second time, or name another folder; nothing that only a damaged archive holds can be pruned"

// ArchiveStatus is the content of an archive of the journal.
type ArchiveStatus struct {
	Dir      string `json:"dir"`
	Segments int    `json:"segments"`
	Records  uint64 `json:"records"` // from 1 to this one
	Bytes    int64  `json:"bytes"`
	Head     string `json:"head"` // the hash of the last one
	At       string `json:"at"`   // when it was last exported
	Key      string `json:"key"`  // the public key that its head is signed with
}

func archiveOf(dir string, h journal.Head) ArchiveStatus {
	out := ArchiveStatus{Dir: dir, Segments: len(h.Segments), Records: h.Seq, Head: h.Hash, At: h.At, Key: h.Key}
	for _, s := range h.Segments {
		out.Bytes += s.Bytes
	}
	return out
}

// ArchiveRequest names the folder of an archive, as the holder of the state sees it: an absolute path.
type ArchiveRequest struct {
	Dir string `json:"dir"`
}

// Archived is an archive's content after an export, and what was added.
type Archived struct {
	ArchiveStatus
	Added int `json:"added"` // segments
}

func absolute(dir string) error {
	if !filepath.IsAbs(dir) {
		return Usage("the archive's folder must be named by an absolute path")
	}
	return nil
}

func auditArchive(ctx context.Context, c *call, q ArchiveRequest) (any, Outcome, error) {
	if err := absolute(q.Dir); err != nil {
		return nil, Outcome{}, err
	}
	a, err := c.h.o.Archive(ctx, q.Dir)
	if err != nil {
		return nil, Outcome{}, archiveError(err)
	}
	return Archived{archiveOf(q.Dir, a.Head), a.Added}, Outcome{}, nil
}

// archiveError adds a hint to an error about an archive's content.
func archiveError(err error) error {
	if !orchestrator.ArchiveProblem(err) {
		return err
	}
	e := Usage("%v", err)
	e.Hint = archiveHint
	return e
}

// PruneRequest asks for records older than a time, in Unix milliseconds, to be removed as far as an archive has them.
type PruneRequest struct {
	Before int64  `json:"before"`
	Dir    string `json:"dir"`
}

// Pruned is what was removed, and why the rest is kept.
type Pruned struct {
	Segments int    `json:"segments"`
	Records  uint64 `json:"records"`
	Bytes    int64  `json:"bytes"`
	First    uint64 `json:"first"`            // the record with which the journal begins now
	Held     string `json:"heldBy,omitempty"` // what keeps the next part; absent: it is the one being written
}

func auditPrune(ctx context.Context, c *call, q PruneRequest) (any, Outcome, error) {
	if err := absolute(q.Dir); err != nil {
		return nil, Outcome{}, err
	}
	if q.Before <= 0 {
		return nil, Outcome{}, Usage("say before when: --before 2026-06-01, or an age such as 90d")
	}
	p, err := c.h.o.Prune(ctx, time.UnixMilli(q.Before), q.Dir, c.by)
	if err != nil {
		return nil, Outcome{}, archiveError(err)
	}
	return Pruned{Segments: p.Segments, Records: p.Records, Bytes: p.Bytes, First: p.First, Held: p.Why}, Outcome{}, nil
}
