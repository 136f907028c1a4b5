package password_test

import (
	"testing"

	"github.com/tandem-sync/tandem/plugins/directory/password"
)

// What Windows says was not seen by these authors but is written down: [MS-ADTS] 3.1.1.3.1.5, Microsoft's pages and published logs. What Samba says was seen.
func TestAnswersBecomeCodes(t *testing.T) {
	for _, a := range []struct {
		result     uint16
		diagnostic string
		want       password.Code
	}{
		{53, "0000052D: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n\x00", password.Policy},
		{19, "0000052D: AtrErr: DSID-03191083, #1:\n\t0: 0000052D: DSID-03191083, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)\n", password.Policy},
		{19, "00000056: AtrErr: DSID-03191083, #1:\n\t0: 00000056: DSID-03191083, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)\n", password.WrongOld},
		{50, "00000005: SecErr: DSID-031A11E8, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0\n", password.NoRights},
		{50, "00002098: SecErr: DSID-03150F94, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0\n", password.NoRights},
		{32, "0000208D: NameErr: DSID-03100238, problem 2001 (NO_OBJECT), data 0, best match of:\n\t''\n", password.Gone},
		{53, "00000269: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n", password.History},
		{53, "00000267: SvcErr: x", password.Length},
		{53, "00000268: SvcErr: x", password.MinimumAge},
		{53, "0000052c: SvcErr: x", password.Complexity},
		{53, "00000775: SvcErr: x", password.LockedOut},
		{53, "0000001F: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n", password.Failed}, // not over TLS
		{10, "0000202B: RefErr: DSID-03100781, data 0, 1 access points", password.Failed},

		{19, "0000052D: Constraint violation - check_password_restrictions: the password is too short. It should be equal or longer than 7 characters!", password.Length},
		{19, "0000052D: Constraint violation - check_password_restrictions: the password does not meet the complexity criteria!", password.Complexity},
		{19, "0000052D: Constraint violation - check_password_restrictions: the password was already used (in history)!", password.History},
		{19, "0000052D: Constraint violation - check_password_restrictions: the password was already used (previous password)!", password.History},
		{19, "0000052D: Constraint violation - check_password_restrictions: password is too young to change!", password.MinimumAge},
		{19, "00000056: Constraint violation - check_password_restrictions: The old password specified doesn't match!", password.WrongOld},
		{19, "00000775: Password change not permitted, account locked out! at ../../source4/dsdb/samdb/ldb_modules/password_hash.c:3929:setup_io", password.LockedOut},
		{50, "error in module acl: insufficient access rights during LDB_MODIFY (50)", password.NoRights},
		{50, "00002098: Object CN=x has no write property access\n", password.NoRights},
		{32, "Base-DN '<GUID=x>' not found", password.Gone},
		{53, "00002035: setup_io: it's not allowed to set the NT hash password directly", password.Failed},
		{1, "", password.Failed},
	} {
		if got := password.Classify(a.result, a.diagnostic); got != a.want {
			t.Errorf("%d %q: %s, want %s", a.result, a.diagnostic, got, a.want)
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add(uint16(19), "0000052D: Constraint violation - check_password_restrictions: password is too young to change!")
	f.Add(uint16(53), "00000056")
	f.Fuzz(func(t *testing.T, result uint16, diagnostic string) {
		code := password.Classify(result, diagnostic)
		if code == password.OK || code == password.InDoubt || code == password.NotAllowed || code.Told() == "" {
			t.Errorf("%d %q: %s", result, diagnostic, code)
		}
	})
}

func TestComplexityIsThatOfTheDirectory(t *testing.T) {
	for p, want := range map[string]bool{
		"Abc1": true, "abc1!": true, "Abc!": true, "abc1": false, "ABCDEF": false, "12345678!": false, "": false,
		"Passw0rd-annika": false, "ANNIKA-passw0rd": false, "Svensson1!": false, "Sven1!x": true, "al-Passw0rd": true, "日本語1a": true,
	} {
		if got := password.IsComplex(p, "annika", "Al Svensson"); got != want {
			t.Errorf("%q: %v", p, got)
		}
	}
}
