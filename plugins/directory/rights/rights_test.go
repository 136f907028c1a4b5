package rights_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/drsr"
	setting "github.com/tandem-sync/tandem/plugins/directory/password"
	"github.com/tandem-sync/tandem/plugins/directory/rights"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
	"github.com/tandem-sync/tandem/scoping"
)

var allOfReset = []string{"missing-right:" + rights.ResetPassword, "missing-right:" + rights.PwdLastSet, "missing-right:" + rights.LockoutTime}

func TestEachRightThatResettingNeedsIsNamedWhenItIsMissing(t *testing.T) {
	for right, guid := range map[string]string{"Reset Password": rights.ResetPassword, "pwdLastSet": rights.PwdLastSet, "lockoutTime": rights.LockoutTime} {
		t.Run(right, func(t *testing.T) {
			everywhere(t, func(w *world) {
				w.delegated(w.ou, right)
				found := rights.Reset(w.Context(), w.connection, []string{w.ou})
				w.wants("without", found, "missing-right:"+guid)
				at := slices.IndexFunc(found, func(f rights.Finding) bool { return f.Code == rights.Missing })
				if at < 0 {
					return
				}
				for _, part := range []string{right, guid, w.connection.User, w.ou, "dsacls ", "samba-tool dsacl set"} {
					if f := found[at]; !strings.Contains(f.Text+f.Hint, part) || len(f.Grant) != 2 {
						w.Errorf("%q is not in %+v", part, f)
					}
				}
				w.grant(w.ou, delegation.Reset[right])
				w.wants("with", rights.Reset(w.Context(), w.connection, []string{w.ou}))
			})
		})
	}
}

func TestAnAccountWithNothingLacksAllAndTooMuchOfNothing(t *testing.T) {
	everywhere(t, func(w *world) {
		w.wants("in an OU", rights.Reset(w.Context(), w.connection, []string{w.ou}), allOfReset...)
		w.wants("everywhere", rights.Reset(w.Context(), w.connection, nil), allOfReset...)
		w.delegated(w.base)
		w.wants("delegated everywhere", rights.Reset(w.Context(), w.connection, nil))
	})
}

// What the findings say to type is enough: afterwards nothing is missing, nothing is too much, and it works.
func TestTheCommandsThatTheFindingsNameGrantTheRights(t *testing.T) {
	onSamba(t, func(w *world) {
		for _, f := range rights.Reset(w.Context(), w.connection, []string{w.ou}) {
			if f.Code == rights.Missing {
				w.run(f.Grant[1])
			}
		}
		w.wants("granted", rights.Reset(w.Context(), w.connection, []string{w.ou}))
		g, err := scoping.GUIDFromBytes(w.read("CN=ann"+w.suffix+","+w.ou, "objectGUID"))
		w.ok(err)
		s := setting.Setter{Session: w.signedIn()}
		for what, r := range map[string]setting.Result{
			"reset": s.Reset(w.Context(), g, secret.Take([]byte("Second-Passw0rd!")), true), "unlock": s.Unlock(w.Context(), g),
		} {
			if r.Code != setting.OK {
				w.Errorf("%s: %+v", what, r)
			}
		}
		for _, f := range rights.Replicate(w.Context(), w.replication()) {
			if f.Code == rights.Missing {
				w.run(f.Grant[1])
			}
		}
		w.wants("granted to read hashes", rights.Replicate(w.Context(), w.replication()))
	})
}

func (w *world) run(line string) {
	w.Helper()
	out, err := exec.CommandContext(w.Context(), "sh", "-c", line+` --configfile=/dev/null -H "$0" --simple-bind-dn="$1" --password="$2" --option="tls verify peer = no_check"`,
		w.dc.URL(), w.dc.AdminUser(), w.dc.AdminPassword()).CombinedOutput()
	if err != nil {
		w.Fatalf("%s: %v\n%s", line, err, out)
	}
}

func TestAnAdministratorIsRefusedForEveryPurposeThatWrites(t *testing.T) {
	everywhere(t, func(w *world) {
		inner, outer := "CN=inner,"+w.other, "CN=outer,"+w.other
		w.add(inner, "objectClass", "group", "sAMAccountName", "inner"+w.suffix)
		w.add(outer, "objectClass", "group", "sAMAccountName", "outer"+w.suffix)
		w.join(inner, w.svcDN)
		w.join(outer, inner)
		w.delegated(w.ou)
		w.wants("no administrator", rights.Reset(w.Context(), w.connection, []string{w.ou}))
		w.join("CN=Domain Admins,CN=Users,"+w.base, outer)
		w.Cleanup(func() { w.ok(w.admin.Del(ldap.NewDelRequest(outer, nil))) })
		w.wants("reset", rights.Reset(w.Context(), w.connection, []string{w.ou}), rights.Administrator)
		if found := rights.Provision(w.Context(), w.connection, nil); found[0].Code != rights.Administrator || found[0].Level != rights.Failure {
			w.Errorf("%+v", found)
		}
	})
}

func TestRightsOutsideOfTheContainersAreRefused(t *testing.T) {
	everywhere(t, func(w *world) {
		reset := delegation.Reset["Reset Password"]
		type try struct {
			dn    string
			entry delegation.Entry
			says  string
		}
		tries := map[string]try{
			"passwords of another OU":                 {w.other, reset, "reset passwords below " + w.other},
			"full control of another OU":              {w.other, delegation.Entry{Mask: delegation.FullControl}, "change permissions"},
			"objects in CN=Users":                     {"CN=Users," + w.base, delegation.Entry{Mask: delegation.CreateChild}, "create objects at CN=Users"},
			"the domain's access list":                {w.base, delegation.Entry{Mask: delegation.WriteDAC}, "change permissions at " + w.base},
			"all password hashes":                     {w.base, delegation.Entry{Mask: delegation.ControlAccess, About: drsr.GetChangesAll}, "read all password hashes"},
			"a property of every user of the domain":  {w.base, delegation.Entry{Mask: delegation.WriteProperty, For: delegation.Users}, "write properties below " + w.base},
			"every extended right over the domain":    {w.base, delegation.Entry{Mask: delegation.ControlAccess}, "use extended rights"},
			"controllers, whose OU is no place of it": {"OU=Domain Controllers," + w.base, delegation.Entry{Mask: delegation.WriteProperty}, "write properties at OU=Domain Controllers"},
		}
		w.provisions(w.ou)
		if w.dc != nil { // the embedded directory has no such template
			tries["what administrators are given"] = try{"CN=AdminSDHolder,CN=System," + w.base, delegation.Entry{Mask: delegation.ControlAccess, About: rights.ResetPassword}, "reset passwords at CN=AdminSDHolder"}
		}
		for name, c := range tries {
			before, err := delegation.Read(w.admin, c.dn)
			w.ok(err)
			w.grant(c.dn, c.entry)
			found := rights.Provision(w.Context(), w.connection, []string{w.ou})
			w.wants(name, found, rights.WritesOutside)
			if !strings.Contains(found[0].Text, c.says) {
				w.Errorf("%s: %s", name, found[0].Text)
			}
			w.ok(delegation.Write(w.admin, c.dn, before))
		}
		w.grant(w.ou, delegation.Entry{Mask: delegation.FullControl, Below: true})
		w.wants("inside", rights.Provision(w.Context(), w.connection, []string{w.ou}))
		below := "OU=Below," + w.ou
		w.add(below, "objectClass", "organizationalUnit")
		w.wants("above its container", rights.Provision(w.Context(), w.connection, []string{below}), rights.WritesOutside)
	})
}

func TestUsersWhoInheritNothingAreNamed(t *testing.T) {
	everywhere(t, func(w *world) {
		w.delegated(w.ou)
		bob := w.user("bob", w.ou)
		deny := delegation.Reset["Reset Password"]
		deny.Deny, deny.For = true, ""
		w.grant(bob, deny)
		found := rights.Reset(w.Context(), w.connection, []string{w.ou})
		w.wants("one user", found, rights.Uninherited)
		for _, f := range found {
			if f.Code == rights.Uninherited && (f.Level != rights.Warning || !strings.Contains(f.Text, bob) || strings.Contains(f.Text, "CN=ann")) {
				w.Errorf("%+v", f)
			}
		}
		r := ldap.NewModifyRequest(bob, nil)
		r.Replace("adminCount", []string{"1"})
		w.ok(w.admin.Modify(r))
		w.wants("one who is protected", rights.Reset(w.Context(), w.connection, []string{w.ou}))
	})
}

func TestContainersThatHideTheirPermissionsAreNamed(t *testing.T) {
	onSamba(t, func(w *world) { // reading is not decided by access lists in the embedded directory
		w.delegated(w.ou)
		hide := delegation.Entry{Mask: delegation.ReadControl, Deny: true}
		w.grant(w.other, hide)
		found := rights.Reset(w.Context(), w.connection, []string{w.ou})
		w.wants("one hides them", found)
		if !slices.ContainsFunc(found, func(f rights.Finding) bool {
			return f.Code == rights.Unknown && f.Level == rights.Note && strings.Contains(f.Text, w.other)
		}) {
			w.Errorf("%+v", found)
		}
		w.grant(w.ou, hide)
		w.wants("its own does", rights.Reset(w.Context(), w.connection, []string{w.ou}), rights.Unknown)
	})
}

// "User cannot change password" on one user is meant; where nobody may, changes cannot work.
func TestChangePasswordIsMissedWhereNoUserHasIt(t *testing.T) {
	everywhere(t, func(w *world) {
		w.delegated(w.ou)
		deny := delegation.Entry{Mask: delegation.ControlAccess, About: rights.ChangePassword, Deny: true}
		bob := w.user("bob", w.ou)
		w.grant(bob, deny)
		w.wants("one user", rights.Reset(w.Context(), w.connection, []string{w.ou}))
		w.grant("CN=ann"+w.suffix+","+w.ou, deny)
		w.wants("all users", rights.Reset(w.Context(), w.connection, []string{w.ou}), "missing-right:"+rights.ChangePassword)
	})
}

func TestAContainerWithoutUsersIsJudgedByWhatItGives(t *testing.T) {
	everywhere(t, func(w *world) {
		w.wants("nothing given", rights.Reset(w.Context(), w.connection, []string{w.other}), allOfReset...)
		w.delegated(w.other)
		w.wants("given", rights.Reset(w.Context(), w.connection, []string{w.other}))
		w.wants("not there", rights.Reset(w.Context(), w.connection, []string{w.other, "OU=Nowhere," + w.base}), rights.NoContainer)
	})
}

func TestTheHistoryIsEnforcedWhereTheControllerKnowsHow(t *testing.T) {
	everywhere(t, func(w *world) {
		found := rights.Reset(w.Context(), w.connection, []string{w.ou})
		told := slices.ContainsFunc(found, func(f rights.Finding) bool { return f.Code == rights.HistoryNotEnforced && f.Level == rights.Warning })
		if told != (w.dc != nil) {
			w.Errorf("%+v", found)
		}
	})
}

func TestAReaderThatCouldReadAllHashesIsAWarning(t *testing.T) {
	everywhere(t, func(w *world) {
		w.wants("a plain account", append(rights.Bind(w.Context(), w.signedIn(), w.connection.User), rights.Finding{Code: rights.Ready}))
		w.grant(w.base, delegation.Entry{Mask: delegation.ControlAccess, About: drsr.GetChanges})
		if found := rights.Bind(w.Context(), w.signedIn(), w.connection.User); len(found) != 0 {
			w.Errorf("with Get-Changes: %+v", found)
		}
		group := "CN=replicators," + w.other
		w.add(group, "objectClass", "group", "sAMAccountName", "replicators"+w.suffix)
		w.join(group, w.svcDN)
		w.ok(delegation.Grant(w.admin, w.base, w.read(group, "objectSid"), delegation.Entry{Mask: delegation.ControlAccess, About: drsr.GetChangesAll}))
		found := rights.Bind(w.Context(), w.signedIn(), w.connection.User)
		if len(found) != 1 || found[0].Code != rights.ReadsPasswords || found[0].Level != rights.Warning || !strings.Contains(found[0].Text, drsr.GetChangesAll) {
			w.Errorf("with Get-Changes-All by a group: %+v", found)
		}
	})
}

func TestEachRightThatReadingHashesNeedsIsNamedWhenItIsMissing(t *testing.T) {
	onSamba(t, func(w *world) {
		const one, all = "missing-right:" + drsr.GetChanges, "missing-right:" + drsr.GetChangesAll
		w.wants("nothing", rights.Replicate(w.Context(), w.replication()), one, all)
		w.grant(w.base, delegation.Entry{Mask: delegation.ControlAccess, About: drsr.GetChanges})
		found := rights.Replicate(w.Context(), w.replication())
		w.wants("the first", found, all)
		for _, part := range []string{"Replicating Directory Changes All", drsr.GetChangesAll, "dsacls", "samba-tool dsacl set", w.base} {
			if !strings.Contains(found[0].Text+found[0].Hint, part) {
				w.Errorf("%q is not in %+v", part, found[0])
			}
		}
		w.grant(w.base, delegation.Entry{Mask: delegation.ControlAccess, About: drsr.GetChangesAll})
		found = rights.Replicate(w.Context(), w.replication())
		w.wants("both", found)
		if !slices.ContainsFunc(found, func(f rights.Finding) bool { return f.Code == rights.TierZero && f.Level == rights.Note }) {
			w.Errorf("%+v", found)
		}
	})
}

func TestASignInThatFailsNamesTheAccountThatIsMeant(t *testing.T) {
	everywhere(t, func(w *world) {
		c := w.connection
		c.Password = "Wrong-Passw0rd!"
		for purpose, found := range map[string][]rights.Finding{
			"reset": rights.Reset(w.Context(), c, nil), "provision": rights.Provision(w.Context(), c, nil), "replicate": rights.Replicate(w.Context(), drsr.Config{Connection: c}),
		} {
			w.wants(purpose, found, rights.SignIn)
			if f := found[0]; !strings.Contains(f.Text, c.User) || !strings.Contains(f.Hint, purpose+".user") || strings.Contains(f.Text+f.Hint, "bind.") {
				w.Errorf("%s: %+v", purpose, f)
			}
			secrettest.Absent(t, []byte(found[0].Text+found[0].Hint), []byte(c.Password))
		}
		c = directory.Connection{Name: "contoso", URLs: []string{"ldaps://127.0.0.1:1"}, Base: c.Base, User: c.User, Password: password}
		w.wants("unreachable", rights.Reset(w.Context(), c, nil), rights.Unreachable)
	})
}

func TestAReplicationThatIsNotThereIsToldByItsCode(t *testing.T) {
	onSamba(t, func(w *world) {
		c := w.replication()
		c.Port = 1
		found := rights.Replicate(w.Context(), c)
		w.wants("a closed port", found, string(drsr.Ports))
		if found[0].Hint != drsr.Ports.Advice() {
			w.Errorf("%+v", found)
		}
	})
}

// Of each right that is taken away check says which it is and how it is given; that nothing works without it is tested beside package provision.
func TestEachRightThatProvisioningNeedsIsNamedWhenItIsMissing(t *testing.T) {
	everywhere(t, func(w *world) {
		before, err := delegation.Read(w.admin, w.ou)
		w.ok(err)
		for _, all := range []map[string]delegation.Entry{delegation.Provision, delegation.Link(w.link())} {
			for name, entry := range all {
				w.provisions(w.ou, name)
				found := rights.Provision(w.Context(), w.connection, []string{w.ou})
				w.wants("without "+name, found, "missing-right:"+entry.About)
				right, class, _ := strings.Cut(name, " of ")
				for _, f := range found {
					for _, part := range []string{right, entry.About, w.connection.User, w.ou, "dsacls ", "samba-tool dsacl set", class} {
						if f.Code == rights.Missing && !strings.Contains(f.Text+f.Hint, part) {
							w.Errorf("%s: %q is not in %+v", name, part, f)
						}
					}
				}
				w.ok(delegation.Write(w.admin, w.ou, before))
			}
		}
		w.provisions(w.ou)
		w.wants("with all of them", rights.Provision(w.Context(), w.connection, []string{w.ou}))
	})
}

func TestAnAccountThatProvisionsOneClassAloneIsToldSo(t *testing.T) {
	everywhere(t, func(w *world) {
		var without []string
		for _, all := range []map[string]delegation.Entry{delegation.Provision, delegation.Link(w.link())} {
			for name, e := range all {
				if e.For == delegation.Groups || e.About == delegation.Groups {
					without = append(without, name)
				}
			}
		}
		w.provisions(w.ou, without...)
		found := rights.Provision(w.Context(), w.connection, []string{w.ou})
		w.wants("users alone", found, rights.NotFor)
		if !slices.ContainsFunc(found, func(f rights.Finding) bool { return f.Code == rights.NotFor && strings.Contains(f.Text, "groups") }) {
			w.Errorf("%+v", found)
		}
	})
}

func TestTheLinksAttributeIsLookedForInTheSchema(t *testing.T) {
	everywhere(t, func(w *world) {
		found := rights.Provision(w.Context(), w.connection, []string{w.ou})
		lacks := slices.ContainsFunc(found, func(f rights.Finding) bool {
			return f.Code == rights.NoLinkAttribute && strings.Contains(f.Hint, "adminDescription")
		})
		if lacks != (w.dc != nil) {
			w.Errorf("%+v", found)
		}
	})
}

// Also where nothing was deleted yet that would show it: an account that may replicate sees tombstones by DirSync, and cannot prove one by looking.
func TestAnAccountThatMayReplicateAndIsShownNoDeletedObjectsLacksThatRight(t *testing.T) {
	onSamba(t, func(w *world) {
		w.grant(w.base, delegation.Entry{Mask: delegation.ControlAccess, About: drsr.GetChanges})
		for _, deleted := range []bool{false, true} {
			if deleted {
				w.ok(w.admin.Del(ldap.NewDelRequest(w.user("gone", w.ou), nil)))
			}
			found := rights.Deleted(w.Context(), w.signedIn(), w.connection.User)
			w.wants("without", found, "missing-right:LCRP")
			for _, part := range []string{w.connection.User, "CN=Deleted Objects," + w.base, "List Contents", "dsacls"} {
				if len(found) != 1 || !strings.Contains(found[0].Text+found[0].Hint, part) {
					w.Errorf("%q is not in %+v", part, found)
				}
			}
		}
	})
}
