package password

import "github.com/tandem-sync/tandem/plugins/directory"

// NotAPerson is for kinds of accounts that no directory lets be made over LDAP.
func NotAPerson(e directory.Entry) string { return notAPerson(e) }

// IsComplex is the rule by itself.
func IsComplex(password string, names ...string) bool { return isComplex([]byte(password), names) }

// PanicBetween lets every method panic while plain values are at hand.
func PanicBetween() { between = func() { panic("forced") } }
