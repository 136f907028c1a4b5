package directory

import (
	"encoding/hex"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"github.com/tandem-sync/tandem/scoping"
)

func noSuchObject(dn string) error {
	return refuse(ldap.LDAPResultNoSuchObject, "00002030: No such Base DN: %s", dn)
}

// resolve finds the object, live or deleted, that a DN names. It takes <GUID=...> and <SID=...> too (MS-ADTS 3.1.1.3.1.2.4).
func (m *Model) resolve(dn string) (*object, error) {
	if strings.HasPrefix(dn, "<") {
		return m.resolveAngled(dn)
	}
	names, err := parseName(dn)
	if err != nil {
		return nil, err
	}
	o, rest := m.rootOf(names)
	if o == nil {
		return nil, noSuchObject(dn)
	}
	for i := len(rest) - 1; i >= 0; i-- {
		child := o.children[rest[i].key()]
		if child == nil {
			return nil, noSuchObject(dn)
		}
		o = child
	}
	return o, nil
}

// rootOf finds the naming context with the longest matching name, and what of names lies below it.
func (m *Model) rootOf(names []rdn) (*object, []rdn) {
	domain := strings.Split(m.opts.Domain, ".")
	n := len(names) - len(domain)
	if n < 0 {
		return nil, nil
	}
	for i, label := range domain {
		if names[n+i].attribute != "DC" || !sameText(names[n+i].value, label) {
			return nil, nil
		}
	}
	if n > 0 && names[n-1].attribute == "CN" && sameText(names[n-1].value, "Configuration") {
		return m.config, names[:n-1]
	}
	return m.domain, names[:n]
}

// resolveAngled takes the first <...> part, which names the object however it is called now.
func (m *Model) resolveAngled(dn string) (*object, error) {
	end := strings.IndexByte(dn, '>')
	kind, value, ok := strings.Cut(strings.TrimPrefix(dn[:max(end, 0)], "<"), "=")
	if end < 0 || !ok {
		return nil, refuse(ldap.LDAPResultInvalidDNSyntax, "00002032: invalid dn '%s'", dn)
	}
	switch strings.ToUpper(kind) {
	case "GUID":
		if g, err := readGUID(value); err == nil {
			if o := m.byGUID[g]; o != nil {
				return o, nil
			}
		}
	case "SID":
		for _, o := range m.byGUID {
			if o.sid != "" && !o.deleted && (strings.EqualFold(sidText(o.sid), value) || strings.EqualFold(hex.EncodeToString([]byte(o.sid)), value)) {
				return o, nil
			}
		}
	}
	return nil, refuse(ldap.LDAPResultNoSuchObject, "Base-DN '%s' not found", dn)
}

// readGUID takes the text form or 32 hexadecimal digits of the bytes.
func readGUID(s string) (scoping.GUID, error) {
	if g, err := scoping.ParseGUID(s); err == nil {
		return g, nil
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return scoping.GUID{}, err
	}
	return scoping.GUIDFromBytes(b)
}

// resolveLive is resolve for operations to which a tombstone does not exist.
func (m *Model) resolveLive(dn string) (*object, error) {
	o, err := m.resolve(dn)
	if err == nil && o.deleted {
		return nil, noSuchObject(dn)
	}
	return o, err
}
