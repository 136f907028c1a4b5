package drsr_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/samba"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/drsr"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
	"github.com/tandem-sync/tandem/scoping"
)

func TestAPasswordSetByLDAPIsReadWithItsStamp(t *testing.T) {
	w, there := onSamba(t)
	if !there {
		return
	}
	dn, g := w.user("Ann", "First-Passw0rd!")
	s := w.session(w.config())
	first := w.one(s, g)
	w.sees(first, "First-Passw0rd!")
	if want := w.stampOverLDAP(dn); first.Stamp != want || want.IsZero() {
		t.Errorf("stamp %v, LDAP says %v", first.Stamp, want)
	}
	if first.Name != "Ann"+w.suffix || first.AccountControl != 512 || time.Since(first.PasswordSet).Abs() > time.Hour || first.Deleted || first.Lacks() != "" {
		t.Errorf("%+v", first)
	}
	if first.Stamp.Invocation != s.Controller().InvocationID {
		t.Errorf("set at %s, not at %s", first.Stamp.Invocation, s.Controller().InvocationID)
	}
	w.set(dn, "unicodePwd", quoted("Second-Passw0rd!"))
	second := w.one(s, g)
	w.sees(second, "Second-Passw0rd!")
	if second.Stamp.Version != first.Stamp.Version+1 || second.Stamp.Compare(first.Stamp) != 1 || first.Stamp.Compare(second.Stamp) != -1 || second.Stamp != w.stampOverLDAP(dn) {
		t.Errorf("%v, then %v", first.Stamp, second.Stamp)
	}
	w.set(dn, "unicodePwd", quoted("Second-Passw0rd!"))
	same := w.one(s, g)
	if same.Stamp.Compare(second.Stamp) != 1 || !same.Hash.Equal(second.Hash) {
		t.Errorf("the same password again: %v, then %v", second.Stamp, same.Stamp)
	}
	w.set(dn, "pwdLastSet", "0")
	temporary := w.one(s, g)
	w.sees(temporary, "Second-Passw0rd!")
	if !temporary.PasswordSet.IsZero() || temporary.Stamp != same.Stamp {
		t.Errorf("after 'must change': set %v, stamp %v instead of %v", temporary.PasswordSet, temporary.Stamp, same.Stamp)
	}
	if found := s.Findings(); len(found) != 0 {
		t.Errorf("%v", found)
	}
}

func TestUsersWithoutPasswordDeletedAndAbsent(t *testing.T) {
	w, there := onSamba(t)
	if !there {
		return
	}
	_, none := w.user("Nopass", "")
	disabledDN, disabled := w.user("Disabled", "Some-Passw0rd!")
	w.set(disabledDN, "userAccountControl", "514")
	goneDN, gone := w.user("Gone", "Some-Passw0rd!")
	w.ok(w.ldap.Del(ldap.NewDelRequest(goneDN, nil)))
	s := w.session(w.config())
	got := map[scoping.GUID]drsr.User{}
	absent := scoping.GUID{1, 2, 3}
	w.ok(s.Users(t.Context(), []scoping.GUID{none, absent, disabled, gone}, drsr.WithHash, func(u drsr.User) error { got[u.GUID] = u; return nil }))
	if u := got[none]; u.Hash != nil || u.HasHash || u.Lacks() != "" || u.Name != "Nopass"+w.suffix {
		t.Errorf("without password: %+v", u)
	}
	if u := got[disabled]; u.AccountControl != 514 {
		t.Errorf("disabled: %+v", u)
	}
	w.sees(got[disabled], "Some-Passw0rd!")
	if u, there := got[gone]; there && !u.Deleted {
		t.Errorf("deleted: %+v", u)
	}
	if _, there := got[absent]; there {
		t.Error("who is not there was read")
	}
	stop := errors.New("enough")
	if err := s.Users(t.Context(), []scoping.GUID{none}, drsr.WithHash, func(drsr.User) error { return stop }); err != stop {
		t.Errorf("%v", err)
	}
	w.one(s, disabled).Hash.Wipe() // the session goes on
}

func TestEveryoneIsReadAndOnlyWhoIsAskedForIsDecrypted(t *testing.T) {
	w, there := onSamba(t)
	if !there {
		return
	}
	depths, passwords := map[scoping.GUID]drsr.Depth{}, map[scoping.GUID]string{}
	for i := range 30 {
		password := fmt.Sprintf("Number-%d-Passw0rd!", i)
		_, g := w.user(fmt.Sprintf("U%d", i), password)
		depths[g], passwords[g] = []drsr.Depth{drsr.WithHash, drsr.StampOnly, drsr.Nothing}[i%3], password
	}
	for _, whole := range []bool{false, true} {
		s := w.session(w.config())
		drsr.AskForAll(s, whole)
		got := map[scoping.GUID]drsr.User{}
		_, err := s.Everyone(t.Context(), func(g scoping.GUID) drsr.Depth { return depths[g] }, func(u drsr.User) error { got[u.GUID] = u; return nil })
		w.ok(err)
		if len(got) != 20 {
			t.Errorf("%d users", len(got))
		}
		for g, d := range depths {
			u, told := got[g]
			if told != (d != drsr.Nothing) || told && (!u.HasHash || u.Stamp.IsZero()) || (u.Hash != nil) != (d == drsr.WithHash) {
				t.Errorf("depth %d: %+v", d, u)
			}
			if d == drsr.WithHash {
				w.sees(u, passwords[g])
				single := w.one(s, g)
				if single.Stamp != u.Stamp || !single.Hash.Equal(u.Hash) || single.PasswordSet != u.PasswordSet {
					t.Errorf("single %+v, among everyone %+v", single, u)
				}
			}
		}
	}
}

func TestAnAccountWithTheTwoRightsReadsAndEachIsNeeded(t *testing.T) {
	w, there := onSamba(t)
	if !there {
		return
	}
	_, g := w.user("Ann", "First-Passw0rd!")
	c, sid := w.service("svc")
	for _, try := range []struct{ given, missing []string }{
		{[]string{drsr.GetChanges, drsr.GetChangesAll}, nil},
		{[]string{drsr.GetChanges}, []string{drsr.GetChangesAll}},
		{[]string{drsr.GetChangesAll}, []string{drsr.GetChanges, drsr.GetChangesAll}},
		{nil, []string{drsr.GetChanges, drsr.GetChangesAll}},
	} {
		t.Run(strings.Join(try.given, " and "), func(t *testing.T) {
			w := &world{TB: t, dc: w.dc, ldap: w.ldap, ou: w.ou, suffix: w.suffix}
			w.rights(sid, drsr.GetChanges, drsr.GetChangesAll)
			s := w.session(c)
			w.sees(w.one(s, g), "First-Passw0rd!")
			if try.missing == nil {
				return
			}
			w.rights(sid, try.given...) // taken away in the middle
			_, dial := drsr.Dial(t.Context(), c)
			_, everyone := s.Everyone(t.Context(), func(scoping.GUID) drsr.Depth { return drsr.WithHash }, func(drsr.User) error { return nil })
			for name, err := range map[string]error{
				"sign-in":  dial,
				"single":   s.Users(t.Context(), []scoping.GUID{g}, drsr.WithHash, func(drsr.User) error { return nil }),
				"everyone": everyone,
			} {
				var e *drsr.Error
				if !errors.As(err, &e) || e.Code != drsr.Rights || !slices.Equal(e.Missing, try.missing) || len(e.Grant) != 2*len(try.missing) {
					t.Errorf("%s: %v (missing %v)", name, err, e)
					continue
				}
				contains(t, err, "drs-rights", c.Connection.User, "dsacls", "samba-tool dsacl set", try.missing[0])
			}
		})
	}
}

// What the error says to type makes it work.
func TestTheCommandsThatTheErrorNamesGrantTheRights(t *testing.T) {
	w, there := onSamba(t)
	if !there {
		return
	}
	_, g := w.user("Ann", "First-Passw0rd!")
	c, _ := w.service("svc")
	w.rights(nil) // puts the access list back in the end
	var e *drsr.Error
	if _, err := drsr.Dial(t.Context(), c); !errors.As(err, &e) {
		t.Fatal(err)
	}
	for _, line := range e.Grant {
		if !strings.HasPrefix(line, "samba-tool ") {
			continue
		}
		out, err := exec.CommandContext(t.Context(), "sh", "-c", line+` --configfile=/dev/null -H "$0" --simple-bind-dn="$1" --password="$2" --option="tls verify peer = no_check"`,
			w.dc.URL(), w.dc.AdminUser(), w.dc.AdminPassword()).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	w.sees(w.one(w.session(c), g), "First-Passw0rd!")
}

func TestAWrongPasswordIsToldFromEverythingElse(t *testing.T) {
	w, there := onSamba(t)
	if !there {
		return
	}
	c := w.config()
	c.Connection.Password = "wrong but long enough"
	_, err := drsr.Dial(t.Context(), c)
	var e *drsr.Error
	if !errors.Is(err, directory.ErrCredentials) || errors.As(err, &e) {
		t.Errorf("%v", err)
	}
	secrettest.Absent(t, []byte(fmt.Sprintf("%v %+v %#v", err, err, err)), []byte(c.Connection.Password))
	_, err = drsr.Dial(t.Context(), drsr.Config{})
	contains(t, err, "no URL")
	c = w.config()
	c.Connection.Insecure = true
	_, err = drsr.Dial(t.Context(), c)
	contains(t, err, "certificate is verified")
}

func TestAControllerThatIsAwayIsPassedOverAndAWrongPasswordIsTriedOnce(t *testing.T) {
	w, there := onSamba(t)
	if !there {
		return
	}
	dn, g := w.user("Ann", "First-Passw0rd!")
	c := w.config()
	c.Connection.URLs = []string{"ldaps://127.0.0.1:1", w.dc.URL()}
	w.sees(w.one(w.session(c), g), "First-Passw0rd!")
	c.Connection.URLs = []string{w.dc.URL(), w.dc.URL(), w.dc.URL()}
	c.Connection.User, c.Connection.Password = "Ann"+w.suffix+"@"+w.dc.Domain(), "wrong but long enough"
	w.set(w.dc.Base(), "lockoutThreshold", "5") // without one, wrong passwords are not counted
	w.Cleanup(func() { w.set(w.dc.Base(), "lockoutThreshold", "0") })
	if _, err := drsr.Dial(t.Context(), c); !errors.Is(err, directory.ErrCredentials) {
		t.Errorf("%v", err)
	}
	if n := string(w.read(dn, "badPwdCount")); n != "1" {
		t.Errorf("%s wrong passwords", n)
	}
}

func TestTheAccountMayBeNamedInEveryWay(t *testing.T) {
	w, there := onSamba(t)
	if !there {
		return
	}
	dn, g := w.user("Svc", "Service-Passw0rd!")
	w.rights(w.read(dn, "objectSid"), drsr.GetChanges, drsr.GetChangesAll)
	w.set(dn, "userPrincipalName", "other"+w.suffix+"@elsewhere.example")
	for _, name := range []string{"other" + w.suffix + "@elsewhere.example", "Svc" + w.suffix + "@" + w.dc.Domain(), `CONTOSO\svc` + w.suffix, dn} {
		c := w.config()
		c.Connection.User, c.Connection.Password = name, "Service-Passw0rd!"
		w.sees(w.one(w.session(c), g), "Service-Passw0rd!")
	}
}

// As behind a firewall that lets one port through: nobody asks the endpoint mapper.
func TestAFixedPortIsEnough(t *testing.T) {
	w, there := onSamba(t)
	if !there {
		return
	}
	_, g := w.user("Ann", "First-Passw0rd!")
	c := w.config()
	c.Dial, c.Port = nil, w.dc.ReplicationPort()
	w.sees(w.one(w.session(c), g), "First-Passw0rd!")
}

func TestPortsThatCannotBeReachedAreNamed(t *testing.T) {
	w, there := onSamba(t)
	if !there {
		return
	}
	into := dialInto(w.dc)
	closed := func(only func(port string) bool) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, network, address string) (net.Conn, error) {
			if _, port, err := net.SplitHostPort(address); err != nil || only(port) {
				return nil, errors.New("filtered")
			}
			return into(ctx, network, address)
		}
	}
	for name, c := range map[string]struct {
		dial func(context.Context, string, string) (net.Conn, error)
		port int
		told string
	}{
		"the endpoint mapper":      {closed(func(p string) bool { return p == "135" }), 0, "TCP port 135"},
		"replication":              {closed(func(p string) bool { return p != "135" }), 0, "TCP port 5135"},
		"a port that is closed":    {into, 1, "TCP port 1"},
		"a port of something else": {into, 135, "does not offer the interface"},
	} {
		t.Run(name, func(t *testing.T) {
			config := w.config()
			config.Dial, config.Port = c.dial, c.port
			_, err := drsr.Dial(t.Context(), config)
			var e *drsr.Error
			if !errors.As(err, &e) || e.Code != drsr.Ports {
				t.Errorf("%v", err)
			}
			contains(t, err, c.told, "49152")
		})
	}
}

func TestAContextThatEndsEndsTheWork(t *testing.T) {
	w, there := onSamba(t)
	if !there {
		return
	}
	_, g := w.user("Ann", "First-Passw0rd!")
	s := w.session(w.config())
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Users(ctx, []scoping.GUID{g, g, g}, drsr.StampOnly, func(drsr.User) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := drsr.Dial(ctx, w.config()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// own starts a controller of the test's own, with settings.
func own(t *testing.T, global ...string) (*world, bool) {
	t.Helper()
	if samba.LeftOut() {
		t.Log("not checked: TANDEM_NO_SAMBA=1")
		return nil, false
	}
	dc, err := samba.Start(t.Context(), samba.Options{Global: global})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dc.Stop(); err != nil {
			t.Error(err)
		}
	})
	return newWorld(t, dc), true
}

func TestNTLMThatIsTurnedOffIsToldFromAWrongPassword(t *testing.T) {
	w, there := own(t, "ntlm auth = disabled")
	if !there {
		return
	}
	_, err := drsr.Dial(t.Context(), w.config())
	var e *drsr.Error
	if !errors.As(err, &e) || e.Code != drsr.NTLMRefused {
		t.Errorf("%v", err)
	}
	contains(t, err, "the password is right", "ntlm auth")
	c, _ := w.service("svc")
	r := ldap.NewModifyRequest("CN=Protected Users,CN=Users,"+w.dc.Base(), nil)
	r.Add("member", []string{"CN=svc," + w.ou})
	w.ok(w.ldap.Modify(r))
	_, err = drsr.Dial(t.Context(), c)
	if !errors.As(err, &e) || e.Code != drsr.Kerberos {
		t.Errorf("%v", err)
	}
	contains(t, err, "Protected Users")
}

func TestADirectoryThatKeepsNoNTHashesIsNamed(t *testing.T) {
	w, there := own(t, "nt hash store = never")
	if !there {
		return
	}
	_, g := w.user("Ann", "First-Passw0rd!")
	u := w.one(w.session(w.config()), g)
	if u.HasHash || u.Hash != nil || u.Lacks() != drsr.NoNTHash || u.Lacks().Advice() == "" {
		t.Errorf("%+v", u)
	}
}
