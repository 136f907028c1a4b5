package tenant

import "sync"

// inHand counts the requests being served, so that closing can wait for them and let none in after.
type inHand struct {
	mu     sync.Mutex
	count  int
	closed bool
	empty  chan struct{}
}

func (h *inHand) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.count++
	return true
}

func (h *inHand) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.count--; h.count == 0 && h.empty != nil {
		close(h.empty)
		h.empty = nil
	}
}

// drain lets nothing in any more and returns when nothing is left.
func (h *inHand) drain() {
	h.mu.Lock()
	h.closed = true
	if h.count == 0 {
		h.mu.Unlock()
		return
	}
	if h.empty == nil {
		h.empty = make(chan struct{})
	}
	left := h.empty
	h.mu.Unlock()
	<-left
}
