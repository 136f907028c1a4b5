package host

import (
	"context"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/wave"
)

// cutApart is a cutover in two transactions instead of one: what a simulation must notice, and nothing else calls.
func (h *Host) cutApart(ctx context.Context, w wave.Wave, freeze time.Duration) (wave.Evidence, error) {
	var cutover wave.Wave
	err := h.control.Change(ctx, func(c *control.Content) error {
		at, err := h.cut(c, c.Waves[w.ID], false)
		cutover = c.Waves[w.ID]
		cutover.CutoverEpoch, cutover.CutoverAt, cutover.FreezeMillis, cutover.Revision = at, h.now().UnixMilli(), freeze.Milliseconds(), c.Partition.Revision()
		return err
	})
	if err != nil {
		return wave.Evidence{}, err
	}
	err = h.control.Change(ctx, func(c *control.Content) error {
		c.Waves[w.ID] = wave.Enter(cutover, wave.CatchUp, "committed apart", h.now())
		return nil
	})
	if err != nil {
		return wave.Evidence{}, err
	}
	return wave.Evidence{OK: true}, h.pushGrants(ctx)
}
