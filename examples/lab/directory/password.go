package directory

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"
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
	o.password = c
	m.usn++
	for _, key := range []string{"unicodepwd", "dbcspwd", "ntpwdhistory", "lmpwdhistory", "supplementalcredentials"} {
		o.set(key, nil, m.usn)
	}
	o.set("pwdlastset", []string{fileTime(m.opts.Clock())}, m.usn)
	m.touch(o)
}

// fileTime counts 100 ns since 1601 (MS-DTYP 2.3.3).
func fileTime(t time.Time) string {
	return strconv.FormatInt(t.UnixNano()/100+116444736000000000, 10)
}

// changePassword does the unicodePwd part of a modify: a replace is a reset, a delete of the old with an add of the new is a
// change by somebody who knows the old one.
func (m *Model) changePassword(id identity, o *object, changes []Change) error {
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
	if !o.class.account() || len(fresh) != 1 || len(old) > 1 {
		return refuse(ldap.LDAPResultUnwillingToPerform, "00002035: unicodePwd of %s: one replace, or one delete with one add", o.dn())
	}
	password, err := decodePassword(fresh[0].Values)
	if err != nil {
		return err
	}
	if len(old) == 0 && !id.admin {
		return refuse(ldap.LDAPResultInsufficientAccessRights, "00002098: Object %s: the password can only be changed by giving the old one", o.dn())
	}
	if len(old) == 1 {
		if given, err := decodePassword(old[0].Values); err != nil || !o.password.matches(given) {
			return refuse(ldap.LDAPResultConstraintViolation, "00000056: The old password specified doesn't match")
		}
	}
	m.setPassword(o, password)
	return nil
}
