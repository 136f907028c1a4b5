package password_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
	lab "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/plugins/directory/access"
	"github.com/tandem-sync/tandem/plugins/directory/password"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
	"github.com/tandem-sync/tandem/scoping"
)

func TestADelegatedAccountResetsAPasswordWithAndWithoutMustChange(t *testing.T) {
	everywhere(t, func(w *world) {
		ann := w.guid(w.user("ann"))
		s := w.setter()
		w.wants("reset", s.Reset(w.Context(), ann, value("Second-Passw0rd!"), false), password.OK)
		if old, now := w.signsIn("ann", first), w.signsIn("ann", "Second-Passw0rd!"); old != "52e" || now != "yes" {
			w.Errorf("the old password: %s, the new: %s", old, now)
		}
		w.wants("reset with must change", s.Reset(w.Context(), ann, value("Third-Passw0rd!"), true), password.OK)
		if now := w.signsIn("ann", "Third-Passw0rd!"); now != "773" {
			w.Errorf("after must change: %s", now)
		}
		if l, err := s.Look(w.Context(), ann); err != nil || !l.MustChange {
			w.Errorf("%+v, %v", l, err)
		}
		w.wants("reset without must change", s.Reset(w.Context(), ann, value("Fourth-Passw0rd! é😀"), false), password.OK)
		if now := w.signsIn("ann", "Fourth-Passw0rd! é😀"); now != "yes" {
			w.Errorf("after the second reset: %s", now)
		}
		if l, err := s.Look(w.Context(), ann); err != nil || l.MustChange || l.Protected != "" || l.DN != "CN=ann,"+w.ou || l.SID != access.SID(w.read(l.DN, "objectSid")) {
			w.Errorf("%+v, %v", l, err)
		}
	})
}

func TestTheDomainsRulesAreToldApartForResets(t *testing.T) {
	everywhere(t, func(w *world) {
		w.rules("minPwdLength", "7", "pwdProperties", "1", "pwdHistoryLength", "24", "minPwdAge", "-864000000000")
		ann := w.guid(w.user("ann"))
		s := w.setter()
		w.wants("short", s.Reset(w.Context(), ann, value("S-1x"), false), password.Length)
		w.wants("empty", s.Reset(w.Context(), ann, value(""), false), password.Length)
		w.wants("simple", s.Reset(w.Context(), ann, value("simplesimple"), false), password.Complexity)
		w.wants("not UTF-8", s.Reset(w.Context(), ann, value("\xff\xfe-Passw0rd"), false), password.Failed)
		w.wants("another", s.Reset(w.Context(), ann, value("Second-Passw0rd!"), false), password.OK) // a reset asks for no minimum age
		before := password.History
		if w.samba {
			before = password.OK // it does not know the control: the finding history-not-enforced
		}
		w.wants("used before", s.Reset(w.Context(), ann, value(first), false), before)
	})
}

func TestAChangeTellsEachRuleAndAWrongOldPassword(t *testing.T) {
	everywhere(t, func(w *world) {
		w.rules("minPwdLength", "7", "pwdProperties", "1", "pwdHistoryLength", "24")
		ann := w.guid(w.user("ann"))
		s := w.setter()
		change := func(old, fresh string) password.Result {
			return s.Change(w.Context(), ann, value(old), value(fresh))
		}
		w.wants("change", change(first, "Second-Passw0rd!"), password.OK)
		if now := w.signsIn("ann", "Second-Passw0rd!"); now != "yes" {
			w.Errorf("after the change: %s", now)
		}
		w.wants("wrong old", change(first, "Third-Passw0rd!"), password.WrongOld)
		w.wants("used before", change("Second-Passw0rd!", first), password.History)
		w.wants("short", change("Second-Passw0rd!", "S-1x"), password.Length)
		w.wants("simple", change("Second-Passw0rd!", "simplesimple"), password.Complexity)
		w.rules("minPwdAge", "-864000000000")
		w.wants("too soon", change("Second-Passw0rd!", "Third-Passw0rd!"), password.MinimumAge)
		if now := w.signsIn("ann", "Second-Passw0rd!"); now != "yes" {
			w.Errorf("after refusals: %s", now)
		}
	})
}

func TestWrongOldPasswordsLockOutAndUnlockLetsIn(t *testing.T) {
	everywhere(t, func(w *world) {
		w.rules("lockoutThreshold", "3", "lockoutDuration", "-18000000000", "lockOutObservationWindow", "-18000000000")
		ann := w.guid(w.user("ann"))
		s := w.setter()
		for range 3 {
			w.wants("wrong old", s.Change(w.Context(), ann, value("wrong"), value("Second-Passw0rd!")), password.WrongOld)
		}
		w.wants("locked out", s.Change(w.Context(), ann, value(first), value("Second-Passw0rd!")), password.LockedOut)
		if now := w.signsIn("ann", first); now != "775" {
			w.Errorf("a locked user: %s", now)
		}
		if l, err := s.Look(w.Context(), ann); err != nil || !l.Locked {
			w.Errorf("%+v, %v", l, err)
		}
		w.wants("unlock", s.Unlock(w.Context(), ann), password.OK)
		if now := w.signsIn("ann", first); now != "yes" {
			w.Errorf("an unlocked user: %s", now)
		}
		w.wants("unlock again", s.Unlock(w.Context(), ann), password.OK)
		w.wants("change", s.Change(w.Context(), ann, value(first), value("Second-Passw0rd!")), password.OK)
	})
}

// protectedUsers are users of the OU whose passwords must not be set, by what makes them so.
func protectedUsers(w *world) map[string]string {
	add := func(name string) string { return w.user(name) }
	out := map[string]string{}
	admins := "CN=Domain Admins,CN=Users," + w.base

	out["an administrator by nested groups"] = add("nested")
	w.join(admins, w.group("outer", w.group("inner", out["an administrator by nested groups"])))

	out["an administrator by the primary group"] = add("primary")
	w.join(admins, out["an administrator by the primary group"])
	w.put(out["an administrator by the primary group"], "primaryGroupID", "512")

	out["a member of Administrators"] = add("direct")
	w.join("CN=Administrators,CN=Builtin,"+w.base, out["a member of Administrators"])

	out["a schema admin"] = add("schema")
	w.join("CN=Schema Admins,CN=Users,"+w.base, out["a schema admin"])

	out["one who was an administrator"] = add("former")
	w.put(out["one who was an administrator"], "adminCount", "1")

	head, err := delegation.Read(w.admin, w.base)
	w.ok(err)
	w.Cleanup(func() { w.ok(delegation.Write(w.admin, w.base, head)) })
	grant := func(dn string, e delegation.Entry) {
		w.ok(delegation.Grant(w.admin, w.base, w.read(dn, "objectSid"), e))
	}
	replicate := delegation.Entry{Mask: delegation.ControlAccess, About: "1131f6ad-9c07-11d1-f79f-00c04fc2dcd2"}
	out["a holder of Get-Changes-All"] = add("replicator")
	grant(out["a holder of Get-Changes-All"], replicate)
	out["a holder of Get-Changes-All by a group"] = add("member")
	grant(w.group("replicators", w.group("more", out["a holder of Get-Changes-All by a group"])), replicate)
	out["a holder of every extended right on the domain"] = add("extended")
	grant(out["a holder of every extended right on the domain"], delegation.Entry{Mask: delegation.ControlAccess})
	out["one who may change the domain's access list"] = add("owner")
	grant(out["one who may change the domain's access list"], delegation.Entry{Mask: delegation.WriteDAC})

	out["the built-in Administrator"] = w.builtin
	out["krbtgt"] = "CN=krbtgt,CN=Users," + w.base
	out["an account of Tandem's own"] = "CN=svc," + w.ou

	out["a computer"] = "CN=computer," + w.ou
	w.add(out["a computer"], "objectClass", "computer", "sAMAccountName", "pc"+w.suffix+"$")
	out["a group"] = w.group("plain")
	out["an OU"] = w.ou
	if !w.samba { // Samba lets nobody write it over LDAP
		for name, sid := range map[string]string{"one who was an administrator elsewhere": "S-1-5-21-1-2-3-519", "one who was the Administrator elsewhere": "S-1-5-21-1-2-3-500"} {
			former, err := access.ParseSID(sid)
			w.ok(err)
			out[name] = add("former" + sid[len(sid)-3:])
			w.put(out[name], "sIDHistory", string(former))
		}
	}
	if w.samba { // the embedded directory does not have the class
		out["a managed service account"] = "CN=msa," + w.ou
		w.add(out["a managed service account"], "objectClass", "msDS-ManagedServiceAccount", "sAMAccountName", "msa"+w.suffix+"$")
	}
	return out
}

func TestProtectedUsersAreRefusedWhateverTheDirectoryAllows(t *testing.T) {
	everywhere(t, func(w *world) {
		users := protectedUsers(w)
		s := w.setter()
		for name, dn := range users {
			w.Run(name, func(t *testing.T) {
				w := *w
				w.T = t
				g, before := w.guid(dn), string(w.read(dn, "pwdLastSet"))
				w.wants("reset", s.Reset(w.Context(), g, value("Second-Passw0rd!"), true), password.NotAllowed)
				w.wants("change", s.Change(w.Context(), g, value(first), value("Second-Passw0rd!")), password.NotAllowed)
				w.wants("unlock", s.Unlock(w.Context(), g), password.NotAllowed)
				if l, err := s.Look(w.Context(), g); err != nil || l.Protected == "" {
					w.Errorf("%+v, %v", l, err)
				}
				if after := string(w.read(dn, "pwdLastSet")); after != before {
					w.Errorf("pwdLastSet was %s and is %s", before, after)
				}
			})
		}
		// The directory alone would let svc do it: that is why it is refused here.
		svc := w.dial(w.connection.User, first)
		r := ldap.NewModifyRequest(users["an administrator by nested groups"], nil)
		r.Replace("unicodePwd", []string{lab.EncodePassword("Taken-0ver!")})
		w.ok(svc.Modify(r))
	})
}

// Groups that are nobody's business make nobody protected.
func TestOrdinaryGroupsProtectNobody(t *testing.T) {
	everywhere(t, func(w *world) {
		dn := w.user("ann")
		w.group("outer", w.group("inner", dn))
		w.join("CN=Users,CN=Builtin,"+w.base, dn)
		w.wants("reset", w.setter().Reset(w.Context(), w.guid(dn), value("Second-Passw0rd!"), false), password.OK)
	})
}

func TestEachRightIsNeededForWhatItIsFor(t *testing.T) {
	everywhere(t, func(w *world) {
		s := w.setter()
		for right, lost := range map[string]map[string]bool{
			"Reset Password": {"reset": true, "must change": true},
			"pwdLastSet":     {"must change": true},
			"lockoutTime":    {"unlock": true},
		} {
			name := "u" + fmt.Sprint(len(right))
			dn := w.user(name)
			g, e := w.guid(dn), delegation.Reset[right]
			e.Deny, e.For = true, ""
			w.ok(delegation.Grant(w.admin, dn, w.svc, e))
			for what, r := range map[string]password.Result{
				"reset":       s.Reset(w.Context(), g, value("Second-Passw0rd!"), false),
				"must change": s.Reset(w.Context(), g, value("Third-Passw0rd!"), true),
				"unlock":      s.Unlock(w.Context(), g),
			} {
				want := password.OK
				if lost[what] {
					want = password.NoRights
				}
				w.wants(what+" without "+right, r, want)
			}
		}
		outside := "CN=outside" + w.suffix + ",CN=Users," + w.base
		w.add(outside, "objectClass", "user", "sAMAccountName", "outside"+w.suffix, "userAccountControl", "512", "unicodePwd", lab.EncodePassword(first))
		g := w.guid(outside)
		w.wants("reset outside", s.Reset(w.Context(), g, value("Second-Passw0rd!"), false), password.NoRights)
		w.wants("unlock outside", s.Unlock(w.Context(), g), password.NoRights)
	})
}

func TestWhoIsNotThereIsGone(t *testing.T) {
	everywhere(t, func(w *world) {
		dn := w.user("ann")
		g := w.guid(dn)
		w.ok(w.admin.Del(ldap.NewDelRequest(dn, nil)))
		s := w.setter()
		w.wants("deleted", s.Reset(w.Context(), g, value("Second-Passw0rd!"), false), password.Gone)
		w.wants("never there", s.Unlock(w.Context(), scoping.GUID{1, 2, 3}), password.Gone)
	})
}

// By objectGUID, a user that was moved and renamed after it was looked up is still the same one.
func TestAUserIsFoundWhereverItWasMoved(t *testing.T) {
	everywhere(t, func(w *world) {
		dn := w.user("ann")
		g := w.guid(dn)
		w.add("OU=Below,"+w.ou, "objectClass", "organizationalUnit")
		w.ok(w.admin.ModifyDN(ldap.NewModifyDNRequest(dn, "CN=Ann Other", true, "OU=Below,"+w.ou)))
		w.wants("reset", w.setter().Reset(w.Context(), g, value("Second-Passw0rd!"), false), password.OK)
	})
}

// Windows says 0000052D for every rule; what can be worked out is, and the rest is not guessed.
func TestRefusalsWithoutAReasonAreWorkedOutAsFarAsTheyCan(t *testing.T) {
	w := embedded(t, lab.Options{Terse: true})
	w.rules("minPwdLength", "7", "pwdProperties", "1", "pwdHistoryLength", "24")
	ann := w.guid(w.user("annika"))
	s := w.setter()
	w.wants("short", s.Reset(w.Context(), ann, value("S-1x"), false), password.Length)
	w.wants("simple", s.Reset(w.Context(), ann, value("simplesimple"), false), password.Complexity)
	w.wants("used before", s.Reset(w.Context(), ann, value(first), false), password.Policy)
	w.wants("changed to one used before", s.Change(w.Context(), ann, value(first), value(first)), password.Policy)
	w.rules("minPwdAge", "-864000000000")
	w.wants("too soon", s.Change(w.Context(), ann, value(first), value("Second-Passw0rd!")), password.MinimumAge)
	w.wants("wrong old", s.Change(w.Context(), ann, value("wrong"), value("Second-Passw0rd!")), password.WrongOld)
}

func TestAClosedSessionSendsNothing(t *testing.T) {
	everywhere(t, func(w *world) {
		ann := w.guid(w.user("ann"))
		s := w.setter()
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		w.wants("cancelled before", s.Reset(ctx, ann, value("Second-Passw0rd!"), false), password.Unreachable)
		s.Session.Close()
		w.wants("closed", s.Reset(w.Context(), ann, value("Second-Passw0rd!"), false), password.Unreachable)
		if now := w.signsIn("ann", first); now != "yes" {
			w.Errorf("the old password: %s", now)
		}
	})
}

func TestResultsShowNoPassword(t *testing.T) {
	everywhere(t, func(w *world) {
		ann := w.guid(w.user("ann"))
		w.rules("minPwdLength", "30")
		s := w.setter()
		const old, fresh = "Secret-0ld-Passw0rd", "Secret-New-Passw0rd"
		var shown []byte
		for _, r := range []password.Result{
			s.Reset(w.Context(), ann, value(fresh), false), s.Change(w.Context(), ann, value(old), value(fresh)), s.Change(w.Context(), ann, value(first), value(fresh)),
			s.Reset(w.Context(), scoping.GUID{1}, value(fresh), true),
		} {
			if r.Code == password.OK || r.Err() == nil {
				w.Errorf("%+v", r)
			}
			shown = fmt.Appendf(shown, "%v %+v %#v %v %+v", r, r, r, r.Err(), r.Code.Told())
		}
		secrettest.Absent(t, shown, []byte(fresh))
		secrettest.Absent(t, shown, []byte(old))
	})
}

func TestAPanicWhileAPasswordIsAtHandDoesNotShowIt(t *testing.T) {
	const old, fresh = "Secret-0ld-Passw0rd", "Secret-New-Passw0rd"
	for name, do := range map[string]func(w *world, s password.Setter, g scoping.GUID) password.Result{
		"Reset": func(w *world, s password.Setter, g scoping.GUID) password.Result {
			return s.Reset(w.Context(), g, value(fresh), true)
		},
		"Change": func(w *world, s password.Setter, g scoping.GUID) password.Result {
			return s.Change(w.Context(), g, value(old), value(fresh))
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := secrettest.Crash(t, func() {
				w := embedded(t, lab.Options{})
				g := w.guid(w.user("ann"))
				password.PanicBetween()
				fmt.Println(do(w, w.setter(), g))
			})
			secrettest.Absent(t, out, []byte(old), []byte(fresh))
		})
	}
}
