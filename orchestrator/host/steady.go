package host

import "time"

// scale is a scale of time that no step of the wall clock moves: the time since the machine started, beside what the wall clock said when the first process of
// this start asked. A request without an answer is waited for by it (rule P6): the wall clock may be set an hour ahead while it waits, by a person or a time
// service, in one process or between two. Across starts of the machine there is only the wall clock.
type scale struct {
	Boot string `json:"boot"` // which start of the machine it is of
	At   int64  `json:"at"`   // what the wall clock said at that start, Unix ms
}

// Boots is what a clock implements that can tell how long the machine runs: boot names its last start, "" if it cannot be told.
type Boots interface {
	SinceBoot() (boot string, since time.Duration)
}

// takeScale takes over the scale of an earlier process of the same start of the machine, or begins one.
func (h *Host) takeScale(kept *scale) {
	boot, since := h.sinceBoot()
	h.opened = h.now()
	h.scale = scale{Boot: boot, At: h.opened.Add(-since).UnixMilli()}
	if boot != "" && kept != nil && kept.Boot == boot {
		h.scale = *kept
	}
}

// keepScale keeps it for later processes.
func (h *Host) keepScale(c *control) error {
	if s := h.scale; s.Boot != "" {
		c.head.Scale = &s
	}
	return nil
}

func (h *Host) sinceBoot() (string, time.Duration) {
	if b, ok := h.o.Clock.(Boots); ok {
		return b.SinceBoot()
	}
	return "", 0
}

// steady returns the time on the scale, in ms. Without a machine's own account of its start it goes by the time since the host was opened.
func (h *Host) steady() int64 {
	boot, since := h.sinceBoot()
	if boot == "" || boot != h.scale.Boot {
		since = h.now().Sub(h.opened)
	}
	return h.scale.At + since.Milliseconds()
}
