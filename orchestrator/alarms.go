package orchestrator

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/metrics"
	"github.com/tandem-sync/tandem/plugins/directory"
)

// certificates remembers the ends of the certificates that this process has seen.
type certificates struct {
	mu  sync.Mutex
	all map[string]alarm.Certified
}

func (c *certificates) note(of string, ends time.Time, renew string) {
	if ends.IsZero() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[string]alarm.Certified{}
	}
	c.all[of] = alarm.Certified{Of: of, Ends: ends, Renew: renew}
}

func (c *certificates) list() []alarm.Certified {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.all), func(a, b alarm.Certified) int { return cmp.Compare(a.Of, b.Of) })
}

// certificateEnds returns the end of the first certificate of a PEM file.
func certificateEnds(text []byte) (time.Time, error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return time.Time{}, errors.New("it holds no PEM certificate")
		}
		if block.Type == "CERTIFICATE" {
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return time.Time{}, err
			}
			return c.NotAfter, nil
		}
		text = rest
	}
}

// noteController remembers the end of the certificate that a controller showed.
func (x *Orchestrator) noteController(s *directory.Session) {
	x.certificates.note("directory "+s.Name(), s.Controller().CertificateEnds, "renew the certificate of "+s.Controller().URL)
}

// noteRefused remembers the end of an expired certificate for which a controller was refused. It is needed if this process never saw a valid one.
func (x *Orchestrator) noteRefused(name string, err error) {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil {
		x.certificates.note("directory "+name, invalid.Cert.NotAfter, "renew the controller's certificate, and check this machine's clock")
	}
}

// agentCertificates returns the ends of agents' certificates, which are in the details of engines' health: "certificate.ID".
func agentCertificates(es []answer.EngineStatus) (out []alarm.Certified) {
	for _, e := range es {
		if e.Health == nil {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(e.Health.Details)) {
			id, is := strings.CutPrefix(key, "certificate.")
			ends, err := time.Parse(time.RFC3339, e.Health.Details[key])
			if is && err == nil {
				out = append(out, alarm.Certified{Of: "agent " + id, Ends: ends, Renew: "an agent renews its certificate by itself: see that it runs, and look at its log"})
			}
		}
	}
	return out
}

// fullBelow is the free space below which the disk counts as full: files grow by more than that at once.
const fullBelow = 1 << 20

// Facts returns what is known at this moment, for alarms and metrics. It reads nothing from directories or tenant.
func (x *Orchestrator) Facts(ctx context.Context) (alarm.Facts, error) {
	st, err := x.host.Status(ctx)
	if err != nil {
		return alarm.Facts{}, err
	}
	f := alarm.Facts{Now: x.options.Clock.Now(), Status: st, Loops: x.Loops(), Certificates: append(x.certificates.list(), agentCertificates(st.Engines)...)}
	if free, total, err := spaceOf(x.options.StateDir); err == nil {
		f.Space = alarm.Space{Free: free, Total: total}
	}
	f.Space.Full = !x.options.Glance && x.store.Full() || f.Space.Total > 0 && f.Space.Free < fullBelow
	for _, c := range x.notifier.Channels() {
		if c.Waiting > 0 {
			f.Undelivered = append(f.Undelivered, alarm.Undelivered{Channel: c.Channel, Waiting: c.Waiting, Since: c.Oldest, Error: c.Error})
		}
	}
	return f, nil
}

// Snapshot returns what one scrape of the metrics shows.
func (x *Orchestrator) Snapshot(ctx context.Context) (metrics.Snapshot, error) {
	f, err := x.Facts(ctx)
	if err != nil {
		return metrics.Snapshot{}, err
	}
	sent := x.tenant.Counters()
	return metrics.Snapshot{Facts: f, Alarms: alarm.Of(f), Runs: x.host.Totals(), Requests: metrics.Requests{All: sent.Requests, Writes: sent.Writes, Throttled: sent.Throttled},
		Notified: x.notifier.Channels(), Fixed: x.host.Fixed(), Deliveries: len(x.host.Doubtful(nil))}, nil
}
