package directory

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/scoping"
)

// credential is what is kept of a password: enough to check one.
type credential struct {
	salt [16]byte
	hash [32]byte
}

func (c *credential) matches(password string) bool {
	if c == nil {
		return false
	}
	got := hashPassword(c.salt, password)
	return subtle.ConstantTimeCompare(got[:], c.hash[:]) == 1
}

func hashPassword(salt [16]byte, password string) [32]byte {
	return sha256.Sum256(append(salt[:], password...))
}

// EncodePassword gives the form in which unicodePwd is written: UTF-16LE of the password in double quotes (MS-ADTS 3.1.1.3.1.5.1).
func EncodePassword(password string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + password + `"`)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

func decodePassword(values []string) (string, error) {
	bad := refuse(ldap.LDAPResultUnwillingToPerform, "00002035: unicodePwd takes one value, the password in double quotes in UTF-16LE")
	if len(values) != 1 || len(values[0])%2 != 0 {
		return "", bad
	}
	units := make([]uint16, len(values[0])/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16([]byte(values[0][2*i:]))
	}
	s := string(utf16.Decode(units))
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", bad
	}
	if s = s[1 : len(s)-1]; s == "" {
		return "", refuse(ldap.LDAPResultConstraintViolation, "0000052D: Constraint violation - check_password_restrictions: the password is too short. It should be equal to or longer than 1 character!")
	}
	return s, nil
}

// setPassword stores the password and marks the secrets as changed, which is how DirSync tells of a password change.
func (m *Model) setPassword(o *object, password string) {
	c := &credential{salt: [16]byte(m.random(16))}
	c.hash = hashPassword(c.salt, password)
	if o.password != nil {
		o.history = append([]*credential{o.password}, o.history...)
		o.history = o.history[:min(len(o.history), mostHistory)]
	}
	o.password = c
	m.usn++
	o.stamp = stamp{version: o.stamp.version + 1, changed: m.opts.Clock(), invocation: m.invocation, usn: m.usn}
	for _, key := range []string{"unicodepwd", "dbcspwd", "ntpwdhistory", "lmpwdhistory", "supplementalcredentials"} {
		o.set(key, nil, m.usn)
	}
	o.set("pwdlastset", []string{fileTime(m.opts.Clock())}, m.usn)
	m.touch(o)
}

// stamp is the replication stamp of a password (MS-DRSR 5.166, PROPERTY_META_DATA).
type stamp struct {
	version    uint32
	changed    time.Time
	invocation scoping.GUID
	usn        uint64
}

// metaData is replPropertyMetaData with the stamp of unicodePwd alone, since no other is modelled; empty without a password.
func (o *object) metaData() string {
	if o.stamp.version == 0 {
		return ""
	}
	b := binary.LittleEndian.AppendUint64(nil, 1)
	b = binary.LittleEndian.AppendUint64(b, 1)
	b = binary.LittleEndian.AppendUint32(b, 0x9005a) // unicodePwd
	b = binary.LittleEndian.AppendUint32(b, o.stamp.version)
	b = binary.LittleEndian.AppendUint64(b, uint64(o.stamp.changed.Unix()+11644473600))
	b = append(b, o.stamp.invocation[:]...)
	b = binary.LittleEndian.AppendUint64(b, o.stamp.usn)
	return string(binary.LittleEndian.AppendUint64(b, o.stamp.usn))
}

// mostHistory is the most that a domain remembers (MS-SAMR 3.1.1.7.1).
const mostHistory = 24

// fileTime counts 100 ns since 1601 (MS-DTYP 2.3.3).
func fileTime(t time.Time) string {
	return strconv.FormatInt(t.UnixNano()/100+116444736000000000, 10)
}

// changePassword does the unicodePwd part of a modify: a replace is a reset, a delete of the old with an add of the new is a
// change by somebody who knows the old one.
func (m *Model) changePassword(id identity, o *object, changes []Change, history bool) error {
	var old, fresh []Change
	for _, c := range changes {
		if !strings.EqualFold(c.Attribute, "unicodePwd") {
			continue
		}
		if c.Kind == Remove {
			old = append(old, c)
		} else {
			fresh = append(fresh, c)
		}
	}
	if len(fresh) == 0 && len(old) == 0 {
		return nil
	}
	if !o.class.account() || len(fresh) != 1 || len(old) > 1 || len(old) == 1 != (fresh[0].Kind == Add) {
		return refuse(ldap.LDAPResultUnwillingToPerform, "00002035: unicodePwd of %s: one replace, or one delete with one add", o.dn())
	}
	right := rightResetPassword
	if len(old) == 1 {
		right = rightChangePassword
	}
	if !m.may(id, o, control(right)) {
		return refuse(ldap.LDAPResultInsufficientAccessRights, "00002098: Object %s: the account may not set the password", o.dn())
	}
	if len(old) == 1 {
		if err := m.proveOld(o, old[0]); err != nil {
			return err
		}
	}
	password, err := decodePassword(fresh[0].Values)
	if err != nil {
		return err
	}
	if err := m.checkPassword(o, password, len(old) == 1, history); err != nil {
		return err
	}
	m.setPassword(o, password)
	return nil
}

// proveOld refuses a change whose old password is wrong, which counts towards the lock-out.
func (m *Model) proveOld(o *object, old Change) error {
	if o.locked() {
		return refuse(ldap.LDAPResultConstraintViolation, "00000775: Password change not permitted, account locked out!")
	}
	if given, err := decodePassword(old.Values); err != nil || !o.password.matches(given) {
		m.countWrong(o)
		return refuse(ldap.LDAPResultConstraintViolation, "00000056: Constraint violation - check_password_restrictions: The old password specified doesn't match!")
	}
	return nil
}

// checkPassword refuses what the domain's rules forbid (MS-SAMR 3.1.1.7): the history and the minimum age count for changes, the history for
// resets only where it was asked for. Rules that the domain's head does not have do not count. There are no password settings objects.
func (m *Model) checkPassword(o *object, password string, change, history bool) error {
	rule := func(key string) int64 {
		n, err := strconv.ParseInt(m.domain.first(key), 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	bad := func(text string, args ...any) error {
		if m.opts.Terse {
			if change {
				return refuse(ldap.LDAPResultConstraintViolation, "0000052D: AtrErr: DSID-03191083, #1:\n\t0: 0000052D: DSID-03191083, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)\n")
			}
			return refuse(ldap.LDAPResultUnwillingToPerform, "0000052D: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n")
		}
		return refuse(ldap.LDAPResultConstraintViolation, "0000052D: Constraint violation - check_password_restrictions: "+text, args...)
	}
	if least := rule("minpwdlength"); int64(utf8.RuneCountInString(password)) < least {
		return bad("the password is too short. It should be equal or longer than %d characters!", least)
	}
	if rule("pwdproperties")&1 != 0 && !mixed(password) {
		return bad("the password does not meet the complexity criteria!")
	}
	remembered := slices.Concat([]*credential{o.password}, o.history)
	remembered = remembered[:min(int64(len(remembered)), rule("pwdhistorylength"))]
	if (change || history) && len(remembered) > 0 && o.password.matches(password) {
		return bad("the password was already used (previous password)!")
	}
	if (change || history) && slices.ContainsFunc(remembered, func(c *credential) bool { return c.matches(password) }) {
		return bad("the password was already used (in history)!")
	}
	if set := o.first("pwdlastset"); change && set != "0" && set != "" {
		at, err := strconv.ParseInt(set, 10, 64)
		now, err2 := strconv.ParseInt(fileTime(m.opts.Clock()), 10, 64)
		if err == nil && err2 == nil && now-at < -rule("minpwdage") {
			return bad("password is too young to change!")
		}
	}
	return nil
}

// mixed reports whether a password has three of four kinds of characters. Names in it are not looked for, as in Samba.
func mixed(password string) bool {
	var kinds [4]bool
	for _, r := range password {
		switch {
		case unicode.IsUpper(r):
			kinds[0] = true
		case unicode.IsLower(r):
			kinds[1] = true
		case unicode.IsDigit(r):
			kinds[2] = true
		default:
			kinds[3] = true
		}
	}
	n := 0
	for _, k := range kinds {
		if k {
			n++
		}
	}
	return n >= 3
}

// locked reports whether wrong passwords have locked the account. It lasts until somebody unlocks it: lockoutDuration is not modelled.
func (o *object) locked() bool { return compareNumbers(o.first("lockouttime"), "0") > 0 }

// countWrong counts a wrong password and locks the account at the domain's threshold; 0 is none.
func (m *Model) countWrong(o *object) {
	threshold := m.domain.first("lockoutthreshold")
	if o == nil || compareNumbers(threshold, "0") <= 0 {
		return
	}
	n, err := strconv.Atoi(o.first("badpwdcount"))
	if err != nil {
		n = 0
	}
	o.set("badpwdcount", []string{strconv.Itoa(n + 1)}, o.usnLast)
	if compareNumbers(strconv.Itoa(n+1), threshold) >= 0 {
		m.usn++
		o.set("lockouttime", []string{fileTime(m.opts.Clock())}, m.usn)
		m.touch(o)
	}
}

// unlock forgets wrong passwords when lockoutTime was written (MS-SAMR 3.1.1.8.6).
func (m *Model) unlock(o *object, changes []Change) {
	for _, c := range changes {
		if strings.EqualFold(c.Attribute, "lockoutTime") && !o.locked() {
			o.set("badpwdcount", []string{"0"}, o.usnLast)
		}
	}
}
