// Package metrics shows what is known at one moment in Prometheus' way (https://prometheus.io/docs/practices/naming/). It computes nothing that status does not know: each
// scrape takes one [Snapshot] and writes it down. Times are Unix seconds in metrics that end in _timestamp_seconds, 0 for never; what happened since the process began
// are counters.
package metrics

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/notify"
	"github.com/tandem-sync/tandem/orchestrator/run"
)

// Snapshot is what a scrape writes down.
type Snapshot struct {
	alarm.Facts
	Alarms     []alarm.Alarm
	Runs       []run.Totals // since the process began
	Requests   Requests
	Notified   []notify.Counts
	Mended     int // debts that were found wrong by comparing everything
	Deliveries int // writes into directories of which no answer came
}

// Requests are those to the tenant since the process began.
type Requests struct{ All, Writes, Throttled uint64 }

// Registry returns a registry whose scrapes take snapshots. An error of one is the scrape's.
func Registry(take func() (Snapshot, error)) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(&collector{take: take, descs: describe()}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Handler answers scrapes.
func Handler(r *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError, MaxRequestsInFlight: 2})
}

type collector struct {
	take  func() (Snapshot, error)
	descs map[string]described
}

type described struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func describe() map[string]described {
	out := map[string]described{}
	for _, f := range families {
		kind := prometheus.GaugeValue
		if f.counts {
			kind = prometheus.CounterValue
		}
		out[f.name] = described{prometheus.NewDesc(f.name, f.help, f.labels, nil), kind}
	}
	return out
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s, err := c.take()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.descs["tandem_healthy"].desc, fmt.Errorf("asking how everything is: %w", err))
		return
	}
	(&scrape{c: c, ch: ch, s: s}).all()
}

// scrape is one answer that is being written.
type scrape struct {
	c  *collector
	ch chan<- prometheus.Metric
	s  Snapshot
}

// set writes one value of a family that describe knows.
func (x *scrape) set(name string, value float64, labels ...string) {
	d := x.c.descs[name]
	x.ch <- prometheus.MustNewConstMetric(d.desc, d.kind, value, labels...)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds returns a time in Unix milliseconds as Prometheus has it.
func seconds(ms int64) float64 { return float64(ms) / 1000 }
