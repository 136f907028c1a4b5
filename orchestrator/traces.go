package orchestrator

import (
	"context"
	"net/url"
	"strconv"

	"github.com/tandem-sync/tandem/orchestrator/host"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/trace"
)

// TracesConfig is the collector of traces, which takes OTLP over HTTP. Without it the environment decides (OTEL_EXPORTER_OTLP_ENDPOINT and the other variables of OpenTelemetry).
type TracesConfig struct {
	Endpoint  string `yaml:"endpoint"`  // http(s)://HOST:4318/v1/traces; needed
	TokenFile string `yaml:"tokenFile"` // the bearer token that the collector asks for; default: none is sent
	CAFile    string `yaml:"caFile"`    // PEM of the CAs that are trusted; default: the system's
}

func (t *TracesConfig) problems(bad placer) {
	u, err := url.Parse(t.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		bad("endpoint", "traces.endpoint: %q is no URL such as http://localhost:4318/v1/traces", t.Endpoint)
		return
	}
	if t.TokenFile != "" && u.Scheme != "https" {
		bad("tokenFile", "traces: a token goes over https:// only")
	}
}

// openTracer opens the tracer, if the configuration or the environment names a collector.
func (x *Orchestrator) openTracer(ctx context.Context) (err error) {
	t := x.config.Traces
	c := trace.Config{Log: x.log}
	switch {
	case t != nil:
		c.Endpoint = t.Endpoint
		if t.TokenFile != "" {
			if c.Token, err = x.config.secret("token of the traces' collector", t.TokenFile, "", x.options.Getenv); err != nil {
				return err
			}
		}
		if c.CA, err = x.config.caPEM("CA of the traces' collector", t.CAFile); err != nil {
			return err
		}
	case !x.collects():
		return nil
	}
	if x.tracer, err = trace.Open(ctx, c); err != nil {
		return x.config.wrong("traces: %v", err)
	}
	return nil
}

// collects reports whether the environment names a collector.
func (x *Orchestrator) collects() bool {
	get := x.options.Getenv
	if off, _ := strconv.ParseBool(get("OTEL_SDK_DISABLED")); off {
		return false
	}
	return get("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// trace returns the function that starts a part of a trace; nil: there is no collector.
func (x *Orchestrator) trace() run.Trace {
	if x.tracer == nil {
		return nil
	}
	return x.tracer.Start
}

// tracedTenant returns the tenant for the host, which traces its writes if there is a collector.
func (x *Orchestrator) tracedTenant(id string) host.Tenant {
	t := tenantFor{x.tenant, id}
	if x.tracer == nil {
		return t
	}
	return traced{t, x.tracer.Start}
}

// traced is a tenant whose calls of Send are parts of a run's trace.
type traced struct {
	tenantFor
	trace run.Trace
}

// Send implements gate.Tenant.
func (f traced) Send(ctx context.Context, w []cloud.Write) []cloud.Result {
	ctx, end := f.trace(ctx, run.TraceTarget, nil)
	out := f.tenantFor.Send(ctx, w)
	counts := map[string]int{"writes": len(w)}
	for _, r := range out {
		if r.Status == cloud.Done {
			counts["done"]++
		}
	}
	result := "done"
	if counts["done"] < len(out) {
		result = "partial"
	}
	end(result, counts)
	return out
}
