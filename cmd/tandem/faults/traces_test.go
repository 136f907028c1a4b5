package faults_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collected "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// traces is a collector of traces: what it got, by the trace's id and the names of its spans, and as text.
type traces struct {
	*httptest.Server
	mu   sync.Mutex
	all  map[string]map[string]int
	text bytes.Buffer
}

func collector(t *testing.T) *traces {
	c := &traces{all: map[string]map[string]int{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var q collected.ExportTraceServiceRequest
		b, err := io.ReadAll(r.Body)
		if err == nil {
			err = proto.Unmarshal(b, &q)
		}
		if err != nil {
			t.Error(err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.text.WriteString(protojson.Format(&q))
		for _, x := range q.ResourceSpans {
			for _, y := range x.ScopeSpans {
				for _, s := range y.Spans {
					if c.all[string(s.TraceId)] == nil {
						c.all[string(s.TraceId)] = map[string]int{}
					}
					c.all[string(s.TraceId)][s.Name]++
				}
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// run returns the spans of the one trace that a collector got, and forgets it.
func (c *traces) run(t *testing.T) map[string]int {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) != 1 {
		t.Fatalf("%d traces: %v", len(c.all), c.all)
	}
	for id, spans := range c.all {
		delete(c.all, id)
		return spans
	}
	return nil
}

// A run is one trace from reading to the last request, as the configuration or the environment says, and names nobody; a collector that is away changes nothing.
func TestARunIsOneTraceAndNamesNobody(t *testing.T) {
	t.Parallel()
	c := collector(t)
	w := alone(t, 20)
	w.done("import", "policy.yaml")
	plain := w.read("tandem.yaml")
	w.edit("tandem.yaml", `\z`, "traces: {endpoint: "+c.URL+"/v1/traces}\n")
	w.done("sync", "connect", "--profile", "full")
	spans := c.run(t)
	for _, name := range []string{"run", "read", "compute", "propose", "gate", "target"} {
		if spans[name] == 0 || name == "run" && spans[name] > 1 {
			t.Errorf("spans of %q: %d", name, spans[name])
		}
	}
	w.write("tandem.yaml", plain)
	w.titled("Sales", "Told by the environment")
	cmd := w.command("sync", "connect")
	cmd.Env = append(cmd.Env, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL)
	if r := w.end(cmd, []string{"sync"}); r.code != 0 || c.run(t)["target"] == 0 {
		t.Errorf("by the environment: %d %s", r.code, r.err)
	}
	for _, never := range []string{"contoso.test", "CN=", "Told by", "@", w.lab.Tenant.ClientSecret} {
		if strings.Contains(c.text.String(), never) {
			t.Errorf("a trace says %q:\n%s", never, c.text.String())
		}
	}
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hangs.Close()
	defer close(release)
	for _, away := range []string{hangs.URL, "http://127.0.0.1:" + closed(t)} {
		w.write("tandem.yaml", plain+"traces: {endpoint: "+away+"/v1/traces}\n")
		w.titled("Sales", "While it is away at "+away)
		w.done("sync", "connect")
		w.settled()
	}
	w.write("tandem.yaml", plain+"traces: {endpoint: nowhere}\n")
	w.fails(2, []string{"traces.endpoint", "http://localhost:4318/v1/traces"}, "sync", "connect")
}
