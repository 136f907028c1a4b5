package bench

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// listening is how `serve --listen` of a world is reached.
type listening struct {
	address string
	token   string
	client  *http.Client
}

// listen makes certificate and token for monitoring, names them in the lab's configuration and picks a free port.
func (w *world) listen() (l listening, err error) {
	l.token = "of-the-bench"
	der, key, err := selfSigned()
	if err != nil {
		return l, err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, b := range map[string][]byte{"monitor.pem": certificate, "monitor.key": key, "monitor.token": []byte(l.token + "\n")} {
		if err := os.WriteFile(filepath.Join(w.dir, name), b, 0o600); err != nil {
			return l, fmt.Errorf("writing what monitoring listens with: %w", err)
		}
	}
	f, err := os.OpenFile(filepath.Join(w.dir, "tandem.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return l, fmt.Errorf("opening the lab's configuration: %w", err)
	}
	_, err = f.WriteString("listen: {certificateFile: monitor.pem, keyFile: monitor.key, tokenFile: monitor.token}\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return l, fmt.Errorf("writing the lab's configuration: %w", err)
	}
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return l, fmt.Errorf("looking for a free port: %w", err)
	}
	l.address = port.Addr().String()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	l.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	return l, port.Close()
}

// selfSigned makes a certificate for this machine's own address, and its key in PEM.
func selfSigned() (der, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	if der, err = x509.CreateCertificate(rand.Reader, c, c, &private.PublicKey, private); err != nil {
		return nil, nil, fmt.Errorf("making a certificate: %w", err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding a key: %w", err)
	}
	return der, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}), nil
}

// scrape asks for the metrics once and returns how long the answer took.
func (l listening) scrape(ctx context.Context) (time.Duration, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+l.address+"/metrics", nil)
	if err != nil {
		return 0, fmt.Errorf("asking for metrics: %w", err)
	}
	q.Header.Set("Authorization", "Bearer "+l.token)
	began := time.Now()
	res, err := l.client.Do(q)
	if err != nil {
		return 0, fmt.Errorf("asking for metrics: %w", err)
	}
	b, err := io.ReadAll(res.Body)
	took := time.Since(began)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return 0, fmt.Errorf("reading metrics: %w", err)
	}
	if res.StatusCode != http.StatusOK || !bytes.Contains(b, []byte("tandem_healthy")) {
		return 0, fmt.Errorf("asking for metrics: %s: %.200s", res.Status, b)
	}
	return took, nil
}

// scrapes measures metrics beside a daemon.
func (w *world) scrapes(ctx context.Context, o Options, r *Report) (err error) {
	l, err := w.listen()
	if err != nil {
		return err
	}
	o.say("a daemon that listens")
	stop, err := w.serve(ctx, "--listen", l.address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if _, err := l.scrape(ctx); err != nil { // the first also connects, and finds what is owed
		return err
	}
	var times []time.Duration
	for range 4 * repeats {
		took, err := l.scrape(ctx)
		if err != nil {
			return err
		}
		times = append(times, took)
	}
	r.most("a scrape of /metrics", millis(times), "ms", 50)
	return nil
}

// refusals is B14.
func refusals(ctx context.Context, o Options, r *Report) (err error) {
	r.Modelled, r.Beside = modelled(o.Objects), "nothing"
	w, err := begin(ctx, o, o.Objects)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.end()) }()
	if err := w.refuse(ctx); err != nil {
		return err
	}
	o.say("a full run of which every person is refused")
	began := time.Now()
	b, _, err := w.command(ctx, "--output", "json", "sync", "connect", "--profile", "full")
	var got ran
	if failed := json.Unmarshal(b, &got); failed != nil || got.Failed < o.Objects*9/10 { // it ends with 1
		return errors.Join(fmt.Errorf("%d objects failed: %w", got.Failed, errors.Join(failed, err)))
	}
	r.Objects = got.Failed
	r.note("the run", time.Since(began).Seconds(), "s")
	r.note("the run's report", float64(len(b)), "bytes")
	stop, err := w.serve(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	for _, x := range []struct {
		name string
		aim  float64
		args []string
	}{{"errors list", 1000, []string{"errors", "list"}}, {"errors list --all", 2000, []string{"errors", "list", "--all"}}, {"errors list --output json", 1000, []string{"--output", "json", "errors", "list"}}} {
		var times []time.Duration
		var b []byte
		for range repeats {
			var d done
			if b, d, err = w.command(ctx, x.args...); err != nil {
				return err
			}
			times = append(times, d.took)
		}
		r.most("tandem "+x.name, millis(times), "ms", x.aim)
		r.note("tandem "+x.name+": lines", float64(bytes.Count(b, []byte("\n"))), "")
	}
	return nil
}

// refuse lets the lab's tenant refuse every new user.
func (w *world) refuse(ctx context.Context) error {
	b, err := os.ReadFile(filepath.Join(w.dir, "lab.json"))
	if err != nil {
		return fmt.Errorf("reading lab.json: %w", err)
	}
	var info struct{ GraphEndpoint, LabToken, CAFile string }
	if err := json.Unmarshal(b, &info); err != nil {
		return fmt.Errorf("reading lab.json: %w", err)
	}
	ca, err := os.ReadFile(info.CAFile)
	if err != nil {
		return fmt.Errorf("reading the lab's CA: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	fault := `{"kind":"status","methods":["POST"],"path":"/users$","count":-1,"status":400,"code":"Request_BadRequest","message":"Invalid value specified for property 'mailNickname' of resource 'User'."}`
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, info.GraphEndpoint+"/lab/faults", strings.NewReader(fault))
	if err != nil {
		return fmt.Errorf("asking the lab to refuse users: %w", err)
	}
	q.Header.Set("Authorization", "Bearer "+info.LabToken)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	res, err := c.Do(q)
	if err != nil {
		return fmt.Errorf("asking the lab to refuse users: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // there is nothing in it
	if res.StatusCode >= 300 {
		return fmt.Errorf("asking the lab to refuse users: %s", res.Status)
	}
	return nil
}
