package notify

import (
	"slices"
	"time"
)

// Bounds of a queue.
const (
	mostWaiting = 500 // deliveries; beyond that the oldest are dropped
	firstRetry  = 5 * time.Second
	lastRetry   = 15 * time.Minute
	giveUpAfter = 24 * time.Hour
)

// Delivery is one message on its way through one channel. Times are Unix milliseconds.
type Delivery struct {
	Message  Message `json:"message"`
	Channel  string  `json:"channel"`
	Queued   int64   `json:"queued"`
	Due      int64   `json:"due"`
	Attempts int     `json:"attempts,omitempty"` // failures of its channel in a row
	Error    string  `json:"error,omitempty"`    // of the last attempt
}

// Queue contains deliveries in the order in which they were queued. Its methods return a new queue and do not change this one.
type Queue []Delivery

// With adds a message for each channel, and returns how many of the oldest deliveries were dropped for it.
func (q Queue) With(m Message, channels []string, now time.Time) (Queue, int) {
	out := slices.Clone(q)
	for _, c := range channels {
		out = append(out, Delivery{Message: m, Channel: c, Queued: now.UnixMilli(), Due: now.UnixMilli()})
	}
	dropped := max(0, len(out)-mostWaiting)
	return out[dropped:], dropped
}

// Next returns the first delivery of a channel, and whether there is one. A channel delivers in order, so that the end of an alarm never arrives before its beginning.
func (q Queue) Next(channel string) (Delivery, bool) {
	i := slices.IndexFunc(q, func(d Delivery) bool { return d.Channel == channel })
	if i < 0 {
		return Delivery{}, false
	}
	return q[i], true
}

// After returns the queue after an attempt at a delivery, and whether the delivery was given up. It changes nothing if the delivery has left the queue meanwhile.
func (q Queue) After(d Delivery, failed error, now time.Time) (out Queue, gaveUp bool) {
	i := slices.IndexFunc(q, func(x Delivery) bool { return x.Channel == d.Channel && x.Message.ID == d.Message.ID })
	if i < 0 {
		return q, false
	}
	out = slices.Clone(q)
	if failed == nil {
		return slices.Delete(out, i, i+1), false
	}
	attempts := out[i].Attempts + 1
	if gaveUp = now.Sub(time.UnixMilli(out[i].Queued)) >= giveUpAfter; gaveUp {
		out = slices.Delete(out, i, i+1)
		if i = slices.IndexFunc(out, func(x Delivery) bool { return x.Channel == d.Channel }); i < 0 {
			return out, true
		}
	}
	out[i].Attempts, out[i].Due, out[i].Error = attempts, now.Add(pause(attempts)).UnixMilli(), failed.Error() // the pause is the channel's: its next delivery inherits it from one that was given up
	return out, gaveUp
}

// pause returns how long a channel waits after so many failures in a row.
func pause(attempts int) time.Duration {
	return min(firstRetry<<min(attempts-1, 10), lastRetry)
}

// Of returns the queue without the deliveries of channels that are no longer configured.
func (q Queue) Of(channels []string) Queue {
	return slices.DeleteFunc(slices.Clone(q), func(d Delivery) bool { return !slices.Contains(channels, d.Channel) })
}
