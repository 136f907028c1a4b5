package orchestrator

import (
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// ListenConfig is how `serve --listen` is reached: over TLS and with a token. That applies to a local address as well, since any user of this machine can connect to it.
type ListenConfig struct {
	CertificateFile string `yaml:"certificateFile"` // PEM of the certificate and its chain; read again for each connection; needed
	KeyFile         string `yaml:"keyFile"`         // PEM of its private key; needed
	TokenFile       string `yaml:"tokenFile"`       // the bearer token that monitoring shows; needed
}

func (l *ListenConfig) problems(bad placer) {
	for _, f := range [][2]string{{"certificateFile", l.CertificateFile}, {"keyFile", l.KeyFile}, {"tokenFile", l.TokenFile}} {
		if f[1] == "" {
			bad("", "listen.%s is missing: beyond its socket monitoring takes TLS and a token", f[0])
		}
	}
}

// Listening contains what `serve --listen` needs to listen.
type Listening struct {
	TLS   *tls.Config
	Token string
}

// Listening reads certificate and token for an address. Without them it refuses: only the local socket knows which user is connected.
func (x *Orchestrator) Listening(address string) (Listening, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return Listening{}, x.config.wrong("serve --listen %s: it is not HOST:PORT", address)
	}
	l := x.config.Listen
	if l == nil {
		return Listening{}, x.config.wrong("serve --listen %s: beyond the local socket it takes TLS and a token: add `listen: {certificateFile: …, keyFile: …, tokenFile: …}`", address)
	}
	var out Listening
	var err error
	if out.Token, err = x.config.secret("token of monitoring", l.TokenFile, "", x.options.Getenv); err != nil {
		return out, err
	}
	pair := &reloaded{x: x, config: *l}
	if _, err := pair.get(nil); err != nil {
		return out, err
	}
	out.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}
	return out, nil
}

// reloaded is a certificate that is read for each connection, so that a renewed one needs no restart.
type reloaded struct {
	x      *Orchestrator
	config ListenConfig
}

func (r *reloaded) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(r.x.config.path(r.config.CertificateFile), r.x.config.path(r.config.KeyFile))
	if err != nil {
		return nil, r.x.config.wrong("listen: certificateFile and keyFile: %v", err)
	}
	ends := time.Time{}
	if c.Leaf != nil {
		ends = c.Leaf.NotAfter
	}
	r.x.certificates.note("monitoring", ends, fmt.Sprintf("write another into %s; it is read again by itself", r.config.CertificateFile))
	return &c, nil
}
