package host

import (
	"context"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/wave"
)

// cutApart is a cutover in two transactions instead of one: what a simulation must notice, and nothing else calls.
func (h *Host) cutApart(ctx context.Context, w wave.Wave, freeze time.Duration) (wave.Evidence, error) {
	var cutover wave.Wave
	err := h.change(ctx, func(c *control) error {
		at, err := h.cut(c, c.waves[w.ID], false)
		cutover = c.waves[w.ID]
		cutover.CutoverEpoch, cutover.CutoverAt, cutover.FreezeMillis, cutover.Revision = at, h.now().UnixMilli(), freeze.Milliseconds(), c.partition.Revision()
		return err
	})
	if err != nil {
		return wave.Evidence{}, err
	}
	err = h.change(ctx, func(c *control) error {
		c.waves[w.ID] = wave.Enter(cutover, wave.CatchUp, "committed apart", h.now())
		return nil
	})
	if err != nil {
		return wave.Evidence{}, err
	}
	return wave.Evidence{OK: true}, h.pushGrants(ctx)
}
