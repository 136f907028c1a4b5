// Package metrics exposes the status of a host as Prometheus metrics (https://prometheus.io/docs/practices/naming/).
//
// The server of `tandem serve` makes one [Registry] and one [Handler] when it starts. Each scrape then takes one [Snapshot] and writes its values; two scrapes may run at once. Nothing
// is computed here that status does not show. Times are Unix seconds in metrics that end in _timestamp_seconds, 0 for never. Counters begin at 0 with the process.
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

// Snapshot is what one scrape writes.
type Snapshot struct {
	alarm.Facts
	Alarms     []alarm.Alarm
	Runs       []run.Totals // since the process began
	Requests   Requests
	Notified   []notify.Counts
	Fixed      int // debts that a sweep found missing or wrong in the index, since the process began
	Deliveries int // writes into directories whose answer is missing
}

// Requests counts the requests to the tenant since the process began.
type Requests struct{ All, Writes, Throttled uint64 }

// Registry returns a registry whose scrapes call take. If take fails, the scrape fails with its error.
func Registry(take func() (Snapshot, error)) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(&collector{take: take, descs: describe()}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Handler returns the handler that answers scrapes.
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

// scrape writes the metrics of one snapshot.
type scrape struct {
	c  *collector
	ch chan<- prometheus.Metric
	s  Snapshot
}

// set writes one value of a family. It panics where families has no such name, or other labels.
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

// seconds converts milliseconds to seconds.
func seconds(ms int64) float64 { return float64(ms) / 1000 }
