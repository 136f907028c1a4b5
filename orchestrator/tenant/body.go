package tenant

import (
	"context"
	"io"
	"net/http"
	"sync"
)

// guardKey is the key of a request's context for the guard of its body.
type guardKey struct{}

// guard waits until net/http has closed a request's body, which it may read after it returned the answer
// (https://pkg.go.dev/net/http#RoundTripper). A body with secrets must not be wiped before.
type guard struct{ readers sync.WaitGroup }

// guardBody returns a context for one request, and a function that waits until its body is closed.
func guardBody(ctx context.Context) (guarded context.Context, released func()) {
	g := &guard{}
	return context.WithValue(ctx, guardKey{}, g), g.readers.Wait
}

// watch makes the guard in the request's context, if there is one, wait for the close of its body.
func watch(r *http.Request) *http.Request {
	g, ok := r.Context().Value(guardKey{}).(*guard)
	if !ok || r.Body == nil {
		return r
	}
	g.readers.Add(1)
	watched := *r // a RoundTripper must not change the request
	watched.Body = &watchedBody{ReadCloser: r.Body, closed: sync.OnceFunc(g.readers.Done)}
	return &watched
}

type watchedBody struct {
	io.ReadCloser
	closed func()
}

// Close implements io.Closer.
func (b *watchedBody) Close() error {
	defer b.closed()
	return b.ReadCloser.Close()
}
