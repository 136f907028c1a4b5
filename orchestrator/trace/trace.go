// Package trace sends a trace of each run to an OpenTelemetry collector, over OTLP by HTTP.
//
// The orchestrator opens one [Tracer] when it opens, with [Open]. Runs call [Tracer.Start] (a run.Trace) for each of their parts, from any goroutine. [Tracer.Close] sends what
// is left. A run never waits for the collector: spans that ended are queued, a full queue drops them, and the batcher sends in its own goroutine, with bounds. If the collector
// refuses or does not answer, that is logged once, until it accepts spans again. Spans contain labels of the configuration and numbers, but no text of an error and no name of
// an object or a person.
package trace

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	otel "go.opentelemetry.io/otel/trace"

	"github.com/tandem-sync/tandem/orchestrator/run"
)

// Config is where traces are sent.
type Config struct {
	Endpoint string // the URL, with its path; empty: taken from OTEL_EXPORTER_OTLP_ENDPOINT and its like
	Token    string // a bearer token; empty: none
	CA       []byte // PEM of the CAs that are trusted; empty: the system's
	Log      *slog.Logger
}

const (
	sendLimit  = 5 * time.Second // of one attempt to send
	closeLimit = 2 * time.Second // of sending what is left at the end
	most       = 1000            // spans of one run: a first run of a large directory has more batches than a person reads
)

// Tracer makes the spans of runs. It is safe for concurrent use.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   otel.Tracer
}

// Open returns a tracer. It does not connect: the collector need not be reachable.
func Open(ctx context.Context, c Config) (*Tracer, error) {
	options := []otlptracehttp.Option{otlptracehttp.WithTimeout(sendLimit), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{})}
	if c.Endpoint != "" {
		options = append(options, otlptracehttp.WithEndpointURL(c.Endpoint))
	}
	if c.Token != "" {
		options = append(options, otlptracehttp.WithHeaders(map[string]string{"Authorization": "Bearer " + c.Token}))
	}
	if len(c.CA) > 0 {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(c.CA) {
			return nil, errors.New("the CA file of the traces' collector holds no PEM certificate")
		}
		options = append(options, otlptracehttp.WithTLSClientConfig(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}))
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("making what sends traces: %w", err)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(&logged{SpanExporter: exporter, log: c.Log}, sdk.WithExportTimeout(sendLimit)),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "tandem"))))
	return &Tracer{provider, provider.Tracer("github.com/tandem-sync/tandem")}, nil
}

// Close sends what is queued, for at most closeLimit.
func (t *Tracer) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the exporter has logged what it could not send
}

// budget bounds the spans of one run, and counts those that were left out.
type budget struct{ left, omitted atomic.Int64 }

type budgetKey struct{}

// Start implements run.Trace. A part outside of a run, or beyond its budget, gets no span.
func (t *Tracer) Start(ctx context.Context, part string, labels map[string]string) (context.Context, run.Ended) {
	b, inside := ctx.Value(budgetKey{}).(*budget)
	if part == run.TraceRun {
		b = &budget{}
		b.left.Store(most)
		ctx, inside = context.WithValue(ctx, budgetKey{}, b), true
	}
	if !inside || b.left.Add(-1) < 0 {
		if inside {
			b.omitted.Add(1)
		}
		return ctx, func(string, map[string]int) {}
	}
	var attributes []attribute.KeyValue
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if labels[k] != "" {
			attributes = append(attributes, attribute.String("tandem."+k, labels[k]))
		}
	}
	ctx, span := t.tracer.Start(ctx, part, otel.WithAttributes(attributes...))
	return ctx, func(result string, counts map[string]int) {
		span.SetAttributes(attribute.String("tandem.result", result))
		for _, k := range slices.Sorted(maps.Keys(counts)) {
			span.SetAttributes(attribute.Int("tandem."+k, counts[k]))
		}
		if n := b.omitted.Load(); part == run.TraceRun && n > 0 {
			span.SetAttributes(attribute.Int64("tandem.omitted_spans", n))
		}
		if result == "failed" {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// logged is an exporter that logs its first failure in a row, and the success that ends the row.
type logged struct {
	sdk.SpanExporter
	log     *slog.Logger
	failing atomic.Bool
}

// ExportSpans implements sdk.SpanExporter. It returns no error: OpenTelemetry's global handler would log each one.
func (x *logged) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := x.SpanExporter.ExportSpans(ctx, spans)
	switch was := x.failing.Swap(err != nil); {
	case err != nil && !was:
		x.log.Warn("the collector of traces does not take them; they are dropped until it does", "error", err)
	case err == nil && was:
		x.log.Info("the collector of traces takes them again")
	}
	return nil
}
