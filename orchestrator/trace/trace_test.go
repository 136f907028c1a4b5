package trace_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collected "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/trace"
)

// collector is a small receiver of OTLP over HTTP.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*spans.Span
	token string
}

func collects(t *testing.T) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		var q collected.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(b, &q)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.token = r.Header.Get("Authorization")
		for _, x := range q.ResourceSpans {
			for _, y := range x.ScopeSpans {
				c.spans = append(c.spans, y.Spans...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func open(t *testing.T, c trace.Config) *trace.Tracer {
	t.Helper()
	x, err := trace.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// text is a span with its parent's name.
func text(s *spans.Span, all []*spans.Span) string {
	parent := ""
	for _, p := range all {
		if bytes.Equal(p.SpanId, s.ParentSpanId) {
			parent = p.Name
		}
	}
	out := parent + ">" + s.Name
	for _, a := range s.Attributes {
		v := a.Value.GetStringValue()
		if v == "" {
			v = fmt.Sprint(a.Value.GetIntValue())
		}
		out += " " + strings.TrimPrefix(a.Key, "tandem.") + "=" + v
	}
	return out
}

func TestARunIsOneTraceOfItsParts(t *testing.T) {
	c := collects(t)
	x := open(t, trace.Config{Endpoint: c.URL + "/v1/traces", Token: "secret"})
	_, stray := x.Start(t.Context(), run.TraceTarget, nil) // a write outside of any run
	stray("done", nil)
	whole, end := x.Start(t.Context(), run.TraceRun, map[string]string{"engine": "connect", "wave": ""})
	_, read := x.Start(whole, run.TraceRead, nil)
	read("done", nil)
	gate, decided := x.Start(whole, run.TraceGate, nil)
	_, sent := x.Start(gate, run.TraceTarget, nil)
	sent("done", map[string]int{"writes": 3})
	decided("failed", nil)
	end("held", map[string]int{"held": 2})
	x.Close()
	var got []string
	for _, s := range c.spans {
		got = append(got, text(s, c.spans))
		if !bytes.Equal(s.TraceId, c.spans[0].TraceId) {
			t.Error("two traces")
		}
	}
	slices.Sort(got)
	want := []string{">run engine=connect result=held held=2", "gate>target result=done writes=3", "run>gate result=failed", "run>read result=done"}
	if !slices.Equal(got, want) || c.token != "Bearer secret" {
		t.Errorf("%q, want %q; token %q", got, want, c.token)
	}
}

func TestSpansOfOneRunAreBounded(t *testing.T) {
	c := collects(t)
	x := open(t, trace.Config{Endpoint: c.URL + "/v1/traces"})
	whole, end := x.Start(t.Context(), run.TraceRun, nil)
	for range 1500 {
		_, ended := x.Start(whole, run.TracePropose, nil)
		ended("done", nil)
	}
	end("done", nil)
	x.Close()
	if n := len(c.spans); n != 1000 {
		t.Errorf("%d spans", n)
	}
	if i := slices.IndexFunc(c.spans, func(s *spans.Span) bool { return s.Name == run.TraceRun }); i < 0 || text(c.spans[i], nil) != ">run result=done omitted_spans=501" {
		t.Error("the run does not say what was left out")
	}
}

// A collector that refuses, or that takes a request and answers nothing, keeps nothing waiting, and is told of once.
func TestACollectorThatIsAwayIsToldOfAndDelaysNothing(t *testing.T) {
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hangs.Close()
	defer close(release)
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, url := range map[string]string{"hangs": hangs.URL, "refuses": gone.URL} {
		var log bytes.Buffer
		x := open(t, trace.Config{Endpoint: url + "/v1/traces", Log: slog.New(slog.NewTextHandler(&log, nil))})
		for range 5000 { // more than the queue holds
			_, end := x.Start(t.Context(), run.TraceRun, nil)
			end("done", nil)
		}
		x.Close()
		if n := strings.Count(log.String(), "the collector of traces does not take them"); n > 1 || n == 0 && name == "refuses" {
			t.Errorf("%s: told %d times: %s", name, n, log.String())
		}
	}
}
