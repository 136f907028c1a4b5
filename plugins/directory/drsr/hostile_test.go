package drsr_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	labdirectory "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/drsr"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/ntlm/ntlmtest"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/rpc"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
	"github.com/tandem-sync/tandem/scoping"
)

var (
	annGUID  = scoping.GUID{0xa}
	annID    = uint32(0x04030201)
	annSID   = binary.LittleEndian.AppendUint32([]byte{1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0}, annID)
	annHash  = []byte("sixteen of hash.")
	annStamp = credential.Stamp{Version: 3, Changed: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), Invocation: scoping.GUID{7}, USN: 1234}
)

// ann is Ann as a reply shows her.
func (f *fake) ann() row {
	set := binary.LittleEndian.AppendUint64(nil, uint64(annStamp.Changed.Unix()+11644473600)*1e7)
	return row{guid: annGUID, sid: annSID, attributes: []cell{
		{id: idDescription, values: [][]byte{[]byte("odd"), nil}},
		{id: idControl, values: [][]byte{{0, 2, 0, 0}}},
		{id: idPassword, values: [][]byte{sealed(f, f.rpc.Key, annHash, annID)}, stamp: annStamp},
		{id: idPasswordSet, values: [][]byte{set}},
		{id: idAccountName, values: [][]byte{ntlmtest.Wide("ann")}},
		{id: idDeleted},
	}}
}

// only answers every question with these rows.
func (f *fake) only(rows ...row) answer {
	return answer{invocation: f.controller.InvocationID, extended: 1, rows: rows}
}

func (f *fake) users() (got []drsr.User, err error) {
	f.Helper()
	err = f.session().Users(f.Context(), []scoping.GUID{annGUID}, drsr.WithHash, func(u drsr.User) error { got = append(got, u); return nil })
	return got, err
}

func TestWhatAReplySaysBecomesAUserWhateverTheControllersNumbers(t *testing.T) {
	f := newFake(t)
	f.changes = func(asked) []byte {
		return f.only(row{guid: scoping.GUID{1}}, f.ann(), row{guid: scoping.GUID{2}}).marshal()
	}
	got, err := f.users()
	if err != nil || len(got) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	u := got[0]
	if !u.Hash.Equal(secret.Take(bytes.Clone(annHash))) {
		t.Error("another hash")
	}
	u.Hash = nil
	if want := (drsr.User{GUID: annGUID, Name: "ann", AccountControl: 512, PasswordSet: annStamp.Changed, Stamp: annStamp, HasHash: true}); u != want {
		t.Errorf("%+v\ninstead of\n%+v", u, want)
	}
	if len(f.asked) != 1 || !slices.Contains(f.asked[0].ids, idPassword) || !slices.Contains(f.asked[0].ids, idDeleted) {
		t.Errorf("asked for %+v", f.asked)
	}
	if f.rpc.Accepted.Target != "ldap/dc1.contoso.test" {
		t.Errorf("the sign-in means %q", f.rpc.Accepted.Target)
	}
}

func TestAClearedPasswordHasItsStamp(t *testing.T) {
	f := newFake(t)
	cleared := f.ann()
	cleared.attributes[2].values = nil
	f.changes = func(asked) []byte { return f.only(cleared).marshal() }
	got, err := f.users()
	if err != nil || len(got) != 1 || got[0].HasHash || got[0].Stamp != annStamp || got[0].Lacks() != drsr.NoNTHash {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestEachCapabilityThatLacksHasItsCode(t *testing.T) {
	status := func(s uint32) func(f *fake) {
		return func(f *fake) { f.changes = func(asked) []byte { return refused(s) } }
	}
	for name, c := range map[string]struct {
		set  func(f *fake)
		want drsr.Code
	}{
		"read-only, said by replication": {status(statusDisabled), drsr.ReadOnly},
		"read-only, said by LDAP": {func(f *fake) {
			f.must(f.model.Modify("CN=NTDS Settings,CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration,"+f.model.Base(),
				labdirectory.Change{Kind: labdirectory.Replace, Attribute: "msDS-isRODC", Values: []string{"TRUE"}}))
		}, drsr.ReadOnly},
		"no strong encryption":      {func(f *fake) { f.flags = strongAndNew &^ 0x8000 }, drsr.Encryption},
		"no sealing":                {func(f *fake) { f.rpc.NTLM.Flags = ntlmtest.Flags &^ 0x20 }, drsr.Encryption},
		"no signed headers":         {func(f *fake) { f.rpc.NoHeaders = true }, drsr.Encryption},
		"a value of another length": {func(f *fake) { f.changed(func(v []byte) []byte { return v[:20] }) }, drsr.Encryption},
		"a value with a wrong sum":  {func(f *fake) { f.changed(func(v []byte) []byte { v[30] ^= 1; return v }) }, drsr.Encryption},
		"Kerberos only":             {func(f *fake) { f.rpc.Refuse = rpc.ReasonAuthentication }, drsr.Kerberos},
		"NTLM refused":              {func(f *fake) { f.rpc.Hash = make([]byte, 16) }, drsr.NTLMRefused},
		"no right":                  {status(statusDenied), drsr.Rights},
		"neither some nor all":      {status(0x57), drsr.PartialSet},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			c.set(f)
			s, err := drsr.Dial(t.Context(), f.config)
			if err == nil {
				err = s.Users(t.Context(), []scoping.GUID{annGUID}, drsr.WithHash, func(drsr.User) error { return nil })
				s.Close()
			}
			var e *drsr.Error
			if !errors.As(err, &e) || e.Code != c.want {
				t.Fatalf("%v", err)
			}
			contains(t, err, string(c.want), c.want.Advice(), f.controller.URL, f.config.Connection.User)
			secrettest.Absent(t, []byte(err.Error()), annHash, []byte(f.config.Connection.Password))
		})
	}
}

func TestWhatKeepsHashesFromBeingReadShowsWhenSigningIn(t *testing.T) {
	for status, want := range map[uint32]drsr.Code{statusDenied: drsr.Rights, statusDisabled: drsr.ReadOnly} {
		f := newFake(t)
		f.first = func(asked) []byte { return refused(status) }
		f.changes = f.first
		_, err := drsr.Dial(t.Context(), f.config)
		var e *drsr.Error
		if !errors.As(err, &e) || e.Code != want {
			t.Errorf("%#x: %v", status, err)
		}
	}
}

// A controller may number attributes by prefixes that are not those of every directory, or tell none.
func TestAControllerWithoutAPrefixTableIsAskedByTheUsualOne(t *testing.T) {
	f := newFake(t)
	f.first = func(asked) []byte { a := f.only(); a.prefixes = [][]byte{{0x55, 4}}; return a.marshal() }
	f.changes = func(asked) []byte { return f.only(f.ann()).marshal() }
	if got, err := f.users(); err != nil || len(got) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	if len(f.asked) != 1 || !slices.Contains(f.asked[0].ids, 9<<16|90) {
		t.Errorf("asked for %+v", f.asked)
	}
}

func (f *fake) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// changed answers with Ann, whose encrypted value is changed.
func (f *fake) changed(change func(value []byte) []byte) {
	f.changes = func(asked) []byte {
		r := f.ann()
		r.attributes[2].values[0] = change(r.attributes[2].values[0])
		return f.only(r).marshal()
	}
}

func TestAControllerThatGivesNoPartialSetIsAskedForAll(t *testing.T) {
	f := newFake(t)
	f.changes = func(q asked) []byte {
		if q.partial {
			return refused(0x2110)
		}
		return f.only(f.ann()).marshal()
	}
	s := f.session()
	for range 2 {
		read := 0
		f.must(s.Users(t.Context(), []scoping.GUID{annGUID}, drsr.WithHash, func(drsr.User) error { read++; return nil }))
		if read != 1 {
			t.Errorf("%d users", read)
		}
	}
	if found := s.Findings(); len(found) != 1 || found[0].Code != drsr.PartialSet {
		t.Errorf("%v", found)
	}
	var partial []bool
	for _, q := range f.asked {
		partial = append(partial, q.partial)
	}
	if !slices.Equal(partial, []bool{true, false, false}) {
		t.Errorf("partial sets asked for: %v", partial)
	}
}

func TestARenamedDomainIsBoundToWithItsEpoch(t *testing.T) {
	f := newFake(t)
	f.epoch = 5
	f.changes = func(asked) []byte { return f.only(f.ann()).marshal() }
	if got, err := f.users(); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestEveryoneGoesOnFromReplyToReply(t *testing.T) {
	f := newFake(t)
	f.changes = func(q asked) []byte {
		a := f.only(row{guid: scoping.GUID{byte(q.from) + 1}})
		a.to, a.more = q.from+1, q.from < 4
		return a.marshal()
	}
	var got []byte
	s := f.session()
	w, err := s.Everyone(t.Context(), func(scoping.GUID) drsr.Depth { return drsr.WithHash }, func(u drsr.User) error {
		got = append(got, u.GUID[0])
		return nil
	})
	f.must(err)
	if again, err := drsr.ParseWatermark(w.Encode()); err != nil || again != w || w.Invocation != s.Controller().InvocationID {
		t.Errorf("%v, read again %v (%v)", w, again, err)
	}
	if !bytes.Equal(got, []byte{1, 2, 3, 4, 5}) {
		t.Errorf("%v", got)
	}
}

func TestAHostileControllerIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		changes func(f *fake) []byte
		want    error
	}{
		"another controller": {func(f *fake) []byte { a := f.only(f.ann()); a.invocation = scoping.GUID{8}; return a.marshal() }, drsr.ErrOther},
		"a compressed reply": {func(f *fake) []byte { a := f.only(f.ann()); a.version = 7; return a.marshal() }, drsr.ErrProtocol},
		"another operation":  {func(f *fake) []byte { a := f.only(f.ann()); a.extended = 2; return a.marshal() }, drsr.ErrProtocol},
		"no stamp":           {func(f *fake) []byte { r := f.ann(); r.noStamps = true; return f.only(r).marshal() }, drsr.ErrProtocol},
		"no SID":             {func(f *fake) []byte { r := f.ann(); r.sid = nil; return f.only(r).marshal() }, drsr.ErrProtocol},
		"half a reply":       {func(f *fake) []byte { b := f.only(f.ann()).marshal(); return append(b[:len(b)/2], 0, 0, 0, 0) }, drsr.ErrProtocol},
		"nothing":            {func(*fake) []byte { return nil }, drsr.ErrProtocol},
		"an unknown status":  {func(*fake) []byte { return refused(0x1234) }, drsr.Status(0x1234)},
		"more without end": {func(f *fake) []byte {
			a := f.only()
			a.more = true
			return a.marshal()
		}, drsr.ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.changes = func(asked) []byte { return c.changes(f) }
			s := f.session()
			err := s.Users(t.Context(), []scoping.GUID{annGUID}, drsr.WithHash, func(drsr.User) error { return nil })
			if name == "more without end" {
				_, err = s.Everyone(t.Context(), func(scoping.GUID) drsr.Depth { return drsr.WithHash }, func(drsr.User) error { return nil })
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestASilentControllerIsGivenUp(t *testing.T) {
	f := newFake(t)
	f.config.Connection.Timeout = 100 * time.Millisecond
	f.changes = func(asked) []byte { return f.only(f.ann()).marshal() }
	s := f.session()
	f.rpc.Change = func([]byte) []byte { return nil }
	if err := s.Users(t.Context(), []scoping.GUID{annGUID}, drsr.WithHash, func(drsr.User) error { return nil }); !errors.Is(err, directory.ErrTimeout) {
		t.Errorf("%v", err)
	}
}

func TestAPanicInTheMiddleShowsNoHash(t *testing.T) {
	session := []byte("sixteen of key..")
	half := sealed(t, session, annHash, annID)
	for n := range 2 { // after each of the two layers
		t.Run(fmt.Sprint("layer ", n+1), func(t *testing.T) {
			out := secrettest.Crash(t, func() {
				drsr.PanicBetween(n + 1)
				_, err := drsr.Unwrap(secret.Take(session), annID, half)
				fmt.Println(err)
			})
			secrettest.Absent(t, out, annHash, session)
		})
	}
}

func TestStampsAreOrderedAsControllersOrderThem(t *testing.T) {
	base := annStamp
	version, time2, controller, usn := base, base, base, base
	version.Version, version.Changed = 4, base.Changed.Add(-time.Hour)
	time2.Changed, time2.USN = base.Changed.Add(time.Second), 1
	controller.Invocation, controller.USN = scoping.GUID{7, 1}, 1
	usn.USN++
	for _, newer := range []credential.Stamp{version, time2, controller, usn} {
		if newer.Compare(base) != 1 || base.Compare(newer) != -1 || newer.Compare(newer) != 0 {
			t.Errorf("%v and %v", newer, base)
		}
	}
	if !(credential.Stamp{}).IsZero() || base.IsZero() || (credential.Stamp{}).String() != "never set" || base.String() == "" {
		t.Error("zero stamp")
	}
}

func FuzzReply(f *testing.F) {
	fake := &fake{TB: f, controller: directory.Controller{InvocationID: scoping.GUID{1}}}
	fake.rpc.Key = []byte("sixteen of key..")
	f.Add(fake.only(row{guid: scoping.GUID{1}}, fake.ann()).marshal())
	f.Add(fake.only().marshal())
	f.Add(refused(0))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := drsr.ParseReply(b)
		if err != nil && n != 0 || n > len(b)/32 {
			t.Errorf("%d objects of %d bytes, %v", n, len(b), err)
		}
	})
}

func FuzzUnwrap(f *testing.F) {
	session := []byte("sixteen of key..")
	f.Add(sealed(f, session, annHash, annID), annID)
	f.Fuzz(func(t *testing.T, value []byte, id uint32) {
		v, err := drsr.Unwrap(secret.Take(bytes.Clone(session)), id, value)
		if (v == nil) != (err != nil) {
			t.Errorf("%v, %v", v, err)
		}
	})
}
