package simulation

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// password is that of a user in the directory.
type password struct {
	version uint32 // 0: it has none
	must    bool   // it has to be changed at the next sign-in
	card    bool   // a smart card is required
	lastSet uint64 // pwdLastSet: 0 while it has to be changed
}

// stamp is the replication stamp of a password: the same at both controllers.
func (p password) stamp() credential.Stamp {
	if p.version == 0 {
		return credential.Stamp{}
	}
	return credential.Stamp{Version: p.version, Changed: start.Add(time.Duration(p.version) * time.Second), Invocation: scoping.GUID{0xd, 0xc, 1}, USN: uint64(p.version)}
}

// handed reports whether a password is one that the tenant is to have.
func (p password) handed() bool { return p.version > 0 && !p.must && !p.card }

// secretMark is in every credential, and may be in nothing that is written down.
const secretMark = "PPH1-of-the-simulation"

// key is the credential that the tenant has of an account.
type key struct {
	cloud.CredentialState
	stamp credential.Stamp
	text  string
}

// changePassword is one change of a password by the directory's administrators or by its user.
func (w *world) changePassword() {
	u, ok := pick(w, w.living(scoping.User))
	if !ok {
		return
	}
	e := *u
	p := &e.secret
	what := ""
	switch n := w.r.IntN(10); {
	case n < 5 || p.version == 0:
		p.version, p.must, what = p.version+1, false, "has a new password"
		p.lastSet = uint64(p.version)
	case n < 7: // pwdLastSet stays 0 if it was
		p.version, p.must, p.lastSet, what = p.version+1, true, 0, "was reset and has to change it"
	case n < 8:
		p.must, p.lastSet, what = false, p.lastSet+1, "has not to change it any more"
	default:
		p.card, what = !p.card, "needs a smart card, or no more"
	}
	w.dir.put(e)
	w.log("directory: %s %s: %+v", e.name, what, e.secret)
}

// tellPassword adds pwdLastSet to what a reader is told, if it or what decides beside it changed. A reset for a user that has to change its password already
// changes nothing that DirSync shows.
func (s snapshot) tellPassword(e *entry, out *directory.Entry, asked func(string) bool, since uint64, whole bool) {
	if e.kind == scoping.User && asked("pwdLastSet") && (whole || e.keyed > since) && !(e.secret.must && e.secret.version > 1) {
		out.Attrs["pwdlastset"] = text(strconv.FormatUint(e.secret.lastSet, 10))
	}
}

// withPasswords switches the feature on in a policy, if this simulation is about passwords.
func (w *world) withPasswords(policy string) string {
	if !w.eyes[Passwords] {
		return policy
	}
	policy = strings.ReplaceAll(policy, "[users, groups]", "[users, groups, password-hash]")
	return strings.ReplaceAll(policy, "[users]", "[users, password-hash]")
}

func passwordsOf(name string) string { return name + " passwords" }

func withPasswordsOf(names ...string) (out []string) {
	for _, n := range names {
		out = append(out, n, passwordsOf(n))
	}
	return out
}

// handPasswords lets an engine hand passwords over, beside whatever else it does.
func (w *world) handPasswords() {
	name := []string{connect, cloudsync}[w.r.IntN(2)]
	if w.preparing || w.locked[passwordsOf(name)] > 0 {
		return
	}
	if w.eyes[Laggards] && w.depth == 0 && w.opens(Passwords, 15) {
		w.handFromBehind(name)
		return
	}
	profile := ""
	if w.r.IntN(6) == 0 {
		profile = engine.ProfileFull
	}
	w.saw(Passwords)
	_, _ = w.handPasswordsOf(name, profile, run.Report{Complete: true}) // its errors are in the log of events
}

// handFromBehind: two agents read two controllers, and the one that is behind reads last. The host reads that one all the time, so that nothing of what it has seen
// is missing there.
func (w *world) handFromBehind(name string) {
	users := slices.DeleteFunc(w.living(scoping.User), func(e *entry) bool {
		return !e.secret.handed() || w.owner(w.placeNow(e.guid), scoping.User, scoping.PasswordHash).Engine != name
	})
	u, ok := pick(w, users)
	if !ok || w.near != nil {
		return
	}
	now := w.dir.now
	w.dir.behind = &now
	defer func() { w.near, w.apart = nil, false }()
	w.apart = true
	for _, dc := range []controller{w.dir.second(), w.dir.first(), w.dir.second()} {
		w.near = &dc
		_, _ = w.handPasswordsOf(name, engine.ProfileFull, run.Report{})
		if dc.shift > 0 {
			e := *w.dir.now.objects[u.guid]
			e.secret.version, e.secret.lastSet = e.secret.version+1, uint64(e.secret.version+1)
			w.dir.put(e)
			w.log("directory: %s has a new password that the second controller does not have: %d", e.name, e.secret.version)
		}
	}
}

func (w *world) handPasswordsOf(name, profile string, with run.Report) (run.Report, error) {
	var r run.Report
	var err error
	w.log("passwords of %s %s {", name, profile)
	w.call([]string{passwordsOf(name)}, func() {
		r, err = w.host.Passwords(context.Background(), name, run.SyncOptions{Profile: profile})
	})
	w.log("} passwords of %s: complete %v applied %d deferred %d: %v %v", name, r.Complete, r.Applied, r.Deferred, r.Errors, err)
	with.Complete = with.Complete && r.Complete
	with.Errors = append(with.Errors, r.Errors...)
	return with, err
}

// passwordRun is one run of an engine's stream of passwords. It needs nothing of the engine's space.
type passwordRun struct{ engineRun }

func (r *passwordRun) do() ([]engine.RunReport, error) {
	w := r.w
	if w.fault(3) {
		return nil, errEngine
	}
	w.interleave()
	r.dc = w.answering(r.q.DC[dirName])
	if w.eyes[Laggards] && w.faults && w.dir.behind != nil { // an agent reads the controller that is near it, if that has what the host has seen
		r.dc = []controller{w.dir.first(), w.dir.second()}[w.r.IntN(2)]
	}
	if w.near != nil {
		r.dc = *w.near
	}
	r.view = r.dc.snapshot(w.dir)
	report := engine.RunReport{Directory: dirName, DC: r.dc.invocation, USN: r.view.usn + r.dc.shift}
	if p, named := r.q.AsOf[dirName]; named && r.dc.reached(w.dir, directory.AsOf(p)) != nil {
		report.Errors = []engine.ObjectError{{Code: engine.CodeBehind}}
		return []engine.RunReport{report}, nil
	}
	begin := engine.RunBegin{Directory: dirName, DC: report.DC, USN: report.USN, Rules: engine.FingerprintOf([]byte("passwords"))}
	if err := r.talk.Begin(begin); err != nil {
		return nil, err
	}
	report.Since = fmt.Appendf(nil, "%s:%d", r.dc.invocation, r.view.usn)
	wanted, err := r.say(r.due())
	if err != nil {
		return nil, err
	}
	w.interleave()
	r.view = r.dc.snapshot(w.dir) // what is read with its credential may be newer by now
	var again []engine.Proposal
	for _, g := range wanted {
		if e := r.view.objects[g]; !e.deleted {
			again = append(again, r.proposal(e, true))
		}
	}
	if _, err := r.say(again); err != nil {
		return nil, err
	}
	report.Complete = !w.fault(3)
	return []engine.RunReport{report}, nil
}

// due makes the proposals of what the run is about.
func (r *passwordRun) due() (out []engine.Proposal) {
	if r.q.Profile == engine.ProfileObjects {
		for _, o := range r.q.Objects {
			e := r.view.objects[o.GUID]
			if e == nil || e.deleted {
				e = &entry{guid: o.GUID, deleted: true}
			}
			out = append(out, r.proposal(e, false))
		}
		return out
	}
	since := uint64(0)
	if dc, n, ok := strings.Cut(string(r.q.Since[dirName]), ":"); ok && dc == r.dc.invocation.String() {
		since, _ = strconv.ParseUint(n, 10, 64)
	}
	for _, e := range r.view.sorted() {
		if e.kind == scoping.User && !e.deleted && e.keyed > since {
			out = append(out, r.proposal(e, false))
		}
	}
	return out
}

func (r *passwordRun) proposal(e *entry, read bool) engine.Proposal {
	r.seq++
	p := engine.Proposal{Seq: r.seq, Object: e.id(), Kind: scoping.User, Feature: scoping.PasswordHash, Want: engine.Present}
	if r.w.o.Break == SecretsWritten {
		p.Name = secretMark
	}
	switch {
	case e.deleted:
		p.Want, p.Reason = engine.Unknown, engine.NotFound
	case e.secret.card:
		p.Want, p.Reason = engine.Excluded, "smart-card"
	case e.secret.version == 0:
		p.Want, p.Reason = engine.Excluded, "no-password"
	default:
		p.Password = &engine.Password{Stamp: e.secret.stamp(), MustChange: e.secret.must}
		if read {
			p.Password.Credential = secret.Take(fmt.Appendf(nil, "%s of %s version %d", secretMark, e.guid, e.secret.version))
		}
	}
	return p
}

// say proposes in small batches and returns the objects whose credentials are wanted.
func (r *passwordRun) say(ps []engine.Proposal) (wanted []scoping.GUID, err error) {
	for len(ps) > 0 {
		n := min(1+r.w.r.IntN(4), len(ps))
		batch := ps[:n]
		ps = ps[n:]
		ds, err := r.talk.Decide(batch)
		r.w.alive()
		if err != nil {
			return nil, err
		}
		for i, d := range ds {
			if d.Outcome == engine.Wanted {
				wanted = append(wanted, batch[i].Object.GUID)
			}
		}
		if r.w.fault(2) {
			return nil, errEngine
		}
		r.w.interleave()
	}
	return wanted, nil
}

// keeps returns a write with a credential of its own: the one that was lent is wiped when its answer is there, and a request that is on its way has what it holds.
func keeps(x cloud.Write) cloud.Write {
	if x.Password == nil {
		return x
	}
	p := *x.Password
	_ = p.Credential.Use(func(b []byte) error { // what was wiped already stays so
		p.Credential = secret.Take(bytes.Clone(b))
		return nil
	})
	x.Password = &p
	return x
}

// setPassword is what the tenant does with a credential.
func (t *tenant) setPassword(a *account, x cloud.Write) cloud.Result {
	w, p := t.w, x.Password
	s, err := credential.ParseStamp(p.Stamp)
	text := ""
	if err == nil {
		err = p.Credential.Use(func(b []byte) error { text = string(b); return nil })
	}
	if err != nil {
		w.fail("only whole passwords are sent", "%v", err)
	}
	g := w.dir.anchors[a.anchor]
	if want := fmt.Sprintf("%s of %s version %d", secretMark, g, s.Version); text != want {
		w.failAbout(g, nothingLost, "%s gets %q, which is not %q", a.id, text, want)
	}
	old, had := t.keys[a.id]
	if had && old.Log == p.Log && int64(p.Number) < old.Number {
		return rejected(409, "older")
	}
	if had && s.Compare(old.stamp) < 0 {
		w.failAbout(g, nothingLost, olderPassword, a.id, p.By, s, old.stamp)
	}
	// An account whose making had no answer, and that others moved before its controller was asked, may as well be theirs: when the object of the tenant
	// that it shows is gone for good it is the directory's own, and has the password that it has (seed 1419).
	if e := w.dir.now.objects[g]; e != nil && e.unknown > 0 && s.Version == e.unknown && !w.unanswered(e) {
		w.failAbout(g, noSurprise, "%s gets the password of %s that nobody knows", a.id, w.dir.now.dn(g))
	}
	w.counts["password"]++
	t.keys[a.id] = key{cloud.CredentialState{By: p.By, Log: p.Log, Number: int64(p.Number)}, s, text}
	return done(a.id)
}

// Credential implements gate.Tenant.
func (t *tenant) Credential(_ context.Context, id string) (cloud.CredentialState, bool, error) {
	w := t.w
	w.alive()
	t.settle()
	if w.fault(3) {
		return cloud.CredentialState{}, false, errTenant
	}
	w.interleave()
	k, there := t.keys[id]
	return k.CredentialState, there, nil
}

// checkPassword: at rest the tenant has the password that the directory has, if it is one that is handed over.
func (w *world) checkPassword(e *entry, a *account) {
	if !w.eyes[Passwords] || e.kind != scoping.User || !e.secret.handed() || w.owner(w.restPlace(e), e.kind, scoping.PasswordHash).Engine == scoping.None {
		return
	}
	if k := w.tenant.keys[a.id]; k.stamp != e.secret.stamp() {
		w.failAbout(e.guid, nothingLost, passwordDiffers, w.dir.now.dn(e.guid), a.id, k.stamp, e.secret.stamp())
	}
}

// checkSecrets: nothing of a credential is written down (rule X4).
func (w *world) checkSecrets(record []byte) {
	if (w.eyes[Passwords] || w.eyes[Deliveries]) && bytes.Contains(record, []byte(secretMark)) {
		w.fail(durable, secretWritten)
	}
}
