// Package trace tells a collector of OpenTelemetry how runs went, over OTLP by HTTP: one trace a run.
//
// [Open] makes a Tracer, whose Start the parts of runs call (run.Trace), and Close ends it. A run never waits for the collector: what ended is queued, a queue that is full
// drops, and sending has its own goroutine and bounds. A collector that refuses or hangs is told of in the log, once until it takes something again. Spans have labels of the
// configuration and numbers: no text of an error, no name of an object and nobody's name.
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

// Config says where traces go.
type Config struct {
	Endpoint string // the URL, with its path; empty: as OTEL_EXPORTER_OTLP_ENDPOINT and its like say
	Token    string // a bearer token; empty: none
	CA       []byte // PEM of the CAs that are trusted; empty: the system's
	Log      *slog.Logger
}

const (
	sendLimit  = 5 * time.Second // of one attempt to send
	closeLimit = 2 * time.Second // of sending what is left at the end
	most       = 1000            // spans of one run: a first run of a large directory has more batches than anybody reads
)

// Tracer tells of runs. It is safe for concurrent use.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   otel.Tracer
}

// Open makes a tracer. The collector need not be there.
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
	provider := sdk.NewTracerProvider(sdk.WithBatcher(&told{SpanExporter: exporter, log: c.Log}, sdk.WithExportTimeout(sendLimit)),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "tandem"))))
	return &Tracer{provider, provider.Tracer("github.com/tandem-sync/tandem")}, nil
}

// Close sends what is left, for a short time at most.
func (t *Tracer) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // what could not be sent is lost, and was told of
}

// budget bounds the spans of one run.
type budget struct{ left, omitted atomic.Int64 }

type budgetKey struct{}

// Start implements run.Trace. A part that belongs to no run is not told of.
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

// told tells in the log that the collector does not take what is sent, once until it does again.
type told struct {
	sdk.SpanExporter
	log     *slog.Logger
	failing atomic.Bool
}

// ExportSpans implements sdk.SpanExporter. Its failure is no one's but the log's.
func (x *told) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := x.SpanExporter.ExportSpans(ctx, spans)
	switch was := x.failing.Swap(err != nil); {
	case err != nil && !was:
		x.log.Warn("the collector of traces does not take them; they are dropped until it does", "error", err)
	case err == nil && was:
		x.log.Info("the collector of traces takes them again")
	}
	return nil
}
