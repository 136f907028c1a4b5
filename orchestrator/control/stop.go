package control

import (
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/wave"
)

// Start ends the stop with an id, or every stop, and returns those that it ended. Waves that wait for a stop run again.
func (c *Content) Start(id string, all bool) (ended []gate.Stop) {
	for _, x := range slices.Sorted(maps.Keys(c.Stops)) {
		if all || x == id {
			ended = append(ended, c.Stops[x])
			delete(c.Stops, x)
		}
	}
	for id, w := range c.Waves {
		if w.WaitsFor() == wave.ForStop { // another stop that covers it stops it again
			w.State = wave.Running
			c.Waves[id] = w
		}
	}
	return ended
}
