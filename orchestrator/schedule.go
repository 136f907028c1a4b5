package orchestrator

import (
	"context"
	"errors"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/host"
	"github.com/tandem-sync/tandem/orchestrator/wave"
)

// Default schedules, as the products that the engines are modelled on have them.
var defaultSchedule = map[string]time.Duration{KindConnect: 30 * time.Minute, KindCloudSync: 2 * time.Minute, KindExternal: 30 * time.Minute}

// tick is how often the daemon looks for what is due.
const tick = 5 * time.Second

// RunSchedules is the daemon's loop: engines run when they are due, and waves in soak go on. It returns when ctx ends.
func (x *Orchestrator) RunSchedules(ctx context.Context) error {
	due := map[string]time.Time{}
	for _, e := range x.config.Engines {
		due[e.Name] = time.Now()
	}
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		for _, e := range x.config.Engines {
			if !time.Now().Before(due[e.Name]) {
				x.scheduled(ctx, e.Name)
				due[e.Name] = time.Now().Add(every(e))
			}
		}
		x.soaking(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func every(e EngineConfig) time.Duration {
	if e.Schedule > 0 {
		return e.Schedule
	}
	return defaultSchedule[e.Kind]
}

func (x *Orchestrator) scheduled(ctx context.Context, name string) {
	r, err := x.host.Sync(ctx, name, host.SyncOptions{})
	switch {
	case errors.Is(err, host.ErrNoPolicy) || ctx.Err() != nil:
	case err != nil:
		x.log.Error("a scheduled run failed", "engine", name, "error", err)
	default:
		x.log.Info("run", "engine", name, "read", r.Read, "applied", r.Applied, "held", r.Held, "failed", r.Failed)
	}
}

// soaking lets waves go on whose waits end by themselves.
func (x *Orchestrator) soaking(ctx context.Context) {
	ws, err := x.host.Waves(ctx)
	if err != nil {
		x.log.Error("reading the waves", "error", err)
		return
	}
	for _, w := range ws {
		if w.Phase != wave.Soak || w.State != wave.Waiting {
			continue
		}
		if _, err := x.host.Drive(ctx, w.ID); err != nil && ctx.Err() == nil {
			x.log.Error("a wave in soak", "wave", w.ID, "error", err)
		}
	}
}
