package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// monitor answers monitoring requests over TCP: /healthz, /readyz and /metrics, and no command.
type monitor struct {
	http  *http.Server
	ended chan error
}

// monitorOn begins to listen on an address.
func (s *server) monitorOn(address string) (*monitor, net.Addr, error) {
	how, err := s.o.Listening(address)
	if err != nil {
		return nil, nil, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("listening for monitoring: %w", err)
	}
	at := l.Addr()
	l = tls.NewListener(l, how.TLS)
	m := &monitor{ended: make(chan error, 1), http: &http.Server{Handler: admits(how.Token, s.handler), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}}
	go func() { m.ended <- m.http.Serve(l) }()
	return m, at, nil
}

// admits answers monitoring requests that have the token.
func admits(token string, h *Handler) http.HandlerFunc {
	want := sha256.Sum256([]byte("Bearer " + token))
	return func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "monitoring shows the token of listen.tokenFile", http.StatusUnauthorized)
			return
		}
		if !h.watch(w, r) {
			http.NotFound(w, r)
		}
	}
}

// close stops listening, and waits for answers in progress.
func (m *monitor) close() error {
	if m == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	err := m.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = m.http.Close()
	}
	if e := <-m.ended; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("listening for monitoring: %w", e))
	}
	return err
}
