package plugin

import (
	"bytes"
	"time"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin/enginepb"
	"github.com/tandem-sync/tandem/plugins/secret"
)

// passwordOut copies a credential into the message; forgetSent clears the copy when the message is sent. A credential that was wiped is one that was not read.
func passwordOut(p *engine.Password) *enginepb.Password {
	if p == nil {
		return nil
	}
	to := &enginepb.Password{MustChange: p.MustChange,
		Stamp: &enginepb.Stamp{Version: p.Stamp.Version, Changed: p.Stamp.Changed.Unix(), Invocation: guidOut(p.Stamp.Invocation), Usn: p.Stamp.USN}}
	_ = p.Credential.Use(func(b []byte) error {
		to.Credential = bytes.Clone(b)
		return nil
	})
	return to
}

// forget wipes the credentials of proposals.
func forget(batch []engine.Proposal) {
	for _, p := range batch {
		p.Password.Wipe()
	}
}

// forgetSent clears the credentials in a message that was sent. What gRPC copied is not reached.
func forgetSent(sent []*enginepb.Proposal) {
	for _, p := range sent {
		clear(p.GetPassword().GetCredential())
	}
}

// maxCredential is longer than any credential, in bytes.
const maxCredential = 1 << 10

// passwordIn takes over the credential of the message.
func passwordIn(p *enginepb.Password) (*engine.Password, error) {
	if p == nil {
		return nil, nil
	}
	invocation, err := guidIn(p.GetStamp().GetInvocation())
	if err != nil {
		return nil, err
	}
	to := &engine.Password{MustChange: p.MustChange, Stamp: credential.Stamp{Version: p.GetStamp().GetVersion(), Changed: time.Unix(p.GetStamp().GetChanged(), 0).UTC(),
		Invocation: invocation, USN: p.GetStamp().GetUsn()}}
	switch n := len(p.Credential); {
	case n > maxCredential:
		return nil, engine.ContractError("a credential of %d bytes; at most %d are allowed", n, maxCredential)
	case n > 0:
		to.Credential = secret.Take(p.Credential)
	}
	return to, nil
}
