package directory

import (
	"slices"
	"strconv"
	"strings"
)

// rootDSE describes the server (MS-ADTS 3.1.1.3.2). Names outside "all attributes" are not distinguished.
func (m *Model) rootDSE(id identity, names []string) entry {
	m.mu.RLock()
	defer m.mu.RUnlock()
	base, config := m.Base(), m.config.rootDN
	all := []namedValues{
		{"objectClass", []string{"top"}},
		{"configurationNamingContext", []string{config}},
		{"currentTime", []string{generalizedTime(m.opts.Clock())}},
		{"defaultNamingContext", []string{base}},
		{"dnsHostName", []string{m.hostName()}},
		{"domainControllerFunctionality", []string{"7"}},
		{"domainFunctionality", []string{"7"}},
		{"dsServiceName", []string{m.dsa.dn()}},
		{"forestFunctionality", []string{"7"}},
		{"highestCommittedUSN", []string{strconv.FormatUint(m.usn, 10)}},
		{"isGlobalCatalogReady", []string{"TRUE"}},
		{"isSynchronized", []string{"TRUE"}},
		{"ldapServiceName", []string{m.opts.Domain + ":dc1$@" + strings.ToUpper(m.opts.Domain)}},
		{"namingContexts", []string{base, config, "CN=Schema," + config}},
		{"rootDomainNamingContext", []string{base}},
		{"schemaNamingContext", []string{"CN=Schema," + config}},
		{"serverName", []string{m.dsa.parent.dn()}},
		{"subschemaSubentry", []string{"CN=Aggregate,CN=Schema," + config}},
		// Active Directory; Windows 2000 extensions; LDAP integration; V51; V60; V61 R2.
		{"supportedCapabilities", []string{"1.2.840.113556.1.4.800", "1.2.840.113556.1.4.1670", "1.2.840.113556.1.4.1791",
			"1.2.840.113556.1.4.1935", "1.2.840.113556.1.4.2080"}},
		{"supportedControl", supportedControls},
		{"supportedExtension", []string{oidStartTLS}},
		{"supportedLDAPVersion", []string{"3"}},
		{"vendorName", []string{"Tandem lab directory"}},
	}
	if id.account != nil && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, "tokenGroups") }) {
		var who []string
		for _, sid := range m.token(id.account) {
			who = append(who, string(sid))
		}
		all = append(all, namedValues{"tokenGroups", who})
	}
	return entry{attrs: pick(all, names)}
}

func pick(all []namedValues, names []string) []namedValues {
	if len(names) == 0 {
		return all
	}
	var out []namedValues
	for _, a := range all {
		for _, n := range names {
			if n == "*" || strings.EqualFold(n, a.name) {
				out = append(out, a)
				break
			}
		}
	}
	return out
}
