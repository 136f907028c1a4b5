package protection

import "github.com/tandem-sync/tandem/plugins/directory"

// NotAPerson is for kinds of accounts that no directory lets be made over LDAP.
func NotAPerson(e directory.Entry) string { return notAPerson(e) }
