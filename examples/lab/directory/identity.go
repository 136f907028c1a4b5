package directory

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// identity is who asks. The zero identity is an anonymous one.
type identity struct {
	account    *object
	admin      bool // may do everything
	replicates bool // may use DirSync with all rights and see tombstones
}

var self = identity{admin: true, replicates: true} // the model's own methods

func (id identity) anonymous() bool { return id.account == nil && !id.admin }

// mayWrite refuses who is no administrator. A password change is judged on its own.
func (id identity) mayWrite(dn string) error {
	if id.admin {
		return nil
	}
	return refuse(ldap.LDAPResultInsufficientAccessRights, "00002098: Object %s has no write property access", dn)
}

// signIn checks a simple bind by DN, user principal name or DOMAIN\account.
func (m *Model) signIn(name, password string) (identity, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.findAccount(name)
	if o != nil && o.locked() {
		return identity{}, signInRefused("775")
	}
	if o == nil || password == "" || !o.password.matches(password) {
		m.countWrong(o)
		return identity{}, signInRefused("52e")
	}
	if flags, err := strconv.ParseInt(o.first("useraccountcontrol"), 10, 64); err == nil && flags&2 != 0 {
		return identity{}, signInRefused("533")
	}
	if expires := o.first("accountexpires"); expires != "0" && compareNumbers(expires, fileTime(m.opts.Clock())) <= 0 {
		return identity{}, signInRefused("701")
	}
	if o.first("pwdlastset") == "0" {
		return identity{}, signInRefused("773")
	}
	admin := m.isAdmin(o)
	return identity{account: o, admin: admin, replicates: admin || m.replicators[o]}, nil
}

// signInRefused carries the sub-code by which clients tell the reasons apart.
func signInRefused(data string) error {
	return refuse(ldap.LDAPResultInvalidCredentials, "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data %s, v1db1", data)
}

func (m *Model) findAccount(name string) *object {
	if domain, account, ok := strings.Cut(name, `\`); ok && strings.EqualFold(domain, m.netBIOSName()) {
		return m.accounts[fold(account)]
	}
	if o := m.principals[fold(name)]; o != nil {
		return o
	}
	// The implicit principal name: account at domain.
	if account, domain, ok := strings.Cut(name, "@"); ok && (strings.EqualFold(domain, m.opts.Domain) || strings.EqualFold(domain, m.netBIOSName())) {
		return m.accounts[fold(account)]
	}
	if o, err := m.resolveLive(name); err == nil && o.class.account() {
		return o
	}
	return nil
}

func (m *Model) netBIOSName() string {
	label, _, _ := strings.Cut(m.opts.Domain, ".")
	return strings.ToUpper(label[:min(len(label), 15)])
}

// isAdmin follows memberships up to the built-in Administrators.
func (m *Model) isAdmin(o *object) bool {
	admins, err := m.resolve("CN=Administrators,CN=Builtin," + m.Base())
	return err == nil && slices.Contains(upwards(o, "member"), admins)
}

// upwards collects the objects that hold o by the linked attribute key, directly or through others.
func upwards(o *object, key string) []*object {
	seen := map[*object]bool{}
	queue := slices.Clone(o.backs[key])
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		if !seen[next] {
			seen[next] = true
			queue = append(queue, next.backs[key]...)
		}
	}
	return slices.SortedFunc(maps.Keys(seen), bySeq)
}

// downwards collects the objects that o holds by the linked attribute key, directly or through others.
func downwards(o *object, key string) []*object {
	seen := map[*object]bool{}
	queue := o.links[key].targets()
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		if !seen[next] {
			seen[next] = true
			queue = append(queue, next.links[key].targets()...)
		}
	}
	return slices.SortedFunc(maps.Keys(seen), bySeq)
}
