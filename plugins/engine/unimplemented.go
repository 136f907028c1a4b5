package engine

import "context"

// Unimplemented answers Map, Call, Deliver and Observe with ErrUnsupported. Engines that have none of them embed it.
type Unimplemented struct{}

// Call answers ErrUnsupported.
func (Unimplemented) Call(context.Context, string, []byte, chan<- []byte) error {
	return ErrUnsupported
}

// Map answers ErrUnsupported.
func (Unimplemented) Map(context.Context, MapRequest, <-chan []Source, chan<- MapEvent) error {
	return ErrUnsupported
}

// Deliver answers ErrUnsupported.
func (Unimplemented) Deliver(context.Context, Delivery, <-chan Permit, chan<- DeliverEvent) error {
	return ErrUnsupported
}

// Observe answers ErrUnsupported.
func (Unimplemented) Observe(context.Context, <-chan TenantChange) error { return ErrUnsupported }
