package engine

import "context"

// Relay is an unbounded queue: it passes on what comes from from, and returns when from is closed and the queue is empty, or when
// ctx ends. It closes to, so that an engine that just ranges over its decisions ends, too. Both sides of a run need it: neither may
// block the other by being slow to take decisions.
func Relay[T any](ctx context.Context, from <-chan T, to chan<- T) {
	defer close(to)
	var queue []T
	for from != nil || len(queue) > 0 {
		var out chan<- T
		var head T
		if len(queue) > 0 {
			out, head = to, queue[0]
		}
		select {
		case v, ok := <-from:
			if !ok {
				from = nil
				continue
			}
			queue = append(queue, v)
		case out <- head:
			queue = queue[1:]
		case <-ctx.Done():
			return
		}
	}
}
