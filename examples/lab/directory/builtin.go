package directory

import (
	"strings"
)

// protectedFlags are the systemFlags of objects that can be neither renamed, moved nor deleted.
const protectedFlags = "-1946157056"

// build makes the objects that every domain has.
func (m *Model) build() {
	m.domain = m.buildRoot("domainDNS", m.Base(), m.firstLabel())
	if m.opts.Own != nil {
		delete(m.byGUID, m.domain.guid)
		seq := m.opts.Rand
		m.opts.Rand = m.opts.Own
		m.domain.guid = m.newGUID()
		m.opts.Rand = seq
		m.byGUID[m.domain.guid] = m.domain
	}
	m.config = m.buildRoot("configuration", "CN=Configuration,"+m.Base(), "Configuration")
	m.domain.sid = m.domainSID
	m.buildContainers()
	m.buildGroups()
	m.buildAccounts()
	m.buildSite()
}

func (m *Model) firstLabel() string {
	label, _, _ := strings.Cut(m.opts.Domain, ".")
	return label
}

// buildRoot makes the head of a naming context, which has instanceType 5 (MS-ADTS 3.1.1.1.4).
func (m *Model) buildRoot(className, dn, name string) *object {
	c := classes[strings.ToLower(className)]
	o := &object{class: c, attr: c.rdn, name: name, rootDN: dn, attrs: map[string]*attribute{}, links: map[string]*linkSet{}}
	e := m.edit(o, true)
	e.defaults()
	e.values["instancetype"] = []string{"5"}
	m.insert(e, nil)
	m.protect(o, protectedFlags)
	return o
}

// must makes a built-in object below the domain, or below the configuration if dn says so.
func (m *Model) must(dn string, attrs Attributes) *object {
	o, err := m.add(self, dn+","+m.Base(), attrs)
	if err != nil {
		panic("directory: a built-in object is refused: " + err.Error())
	}
	return o
}

// protect marks a built-in object as critical.
func (m *Model) protect(o *object, flags string) {
	o.set("iscriticalsystemobject", []string{"TRUE"}, o.usnLast)
	if flags != "" {
		o.set("systemflags", []string{flags}, o.usnLast)
	}
}

func (m *Model) buildContainers() {
	for _, c := range []struct{ dn, class string }{
		{"CN=Users", "container"}, {"CN=Computers", "container"}, {"OU=Domain Controllers", "organizationalUnit"},
		{"CN=System", "container"}, {"CN=LostAndFound", "lostAndFound"}, {"CN=ForeignSecurityPrincipals", "container"},
		{"CN=Builtin", "builtinDomain"}, {"CN=Deleted Objects", "container"},
	} {
		o := m.must(c.dn, Attributes{"objectClass": {c.class}})
		m.protect(o, protectedFlags)
		if c.dn == "CN=Deleted Objects" {
			m.deletedBox = o
			o.deleted = true
			o.set("isdeleted", []string{"TRUE"}, o.usnLast)
		}
	}
	for _, name := range []string{"CN=Program Data", "CN=Managed Service Accounts"} {
		m.must(name, Attributes{"objectClass": {"container"}})
	}
}

func (m *Model) buildGroups() {
	const global, local, builtin = "-2147483646", "-2147483644", "-2147483643"
	for _, g := range []struct {
		name, kind string
		rid        uint32
	}{
		{"Domain Admins", global, 512}, {"Domain Users", global, 513}, {"Domain Guests", global, 514},
		{"Domain Computers", global, 515}, {"Domain Controllers", global, 516}, {"Cert Publishers", local, 517},
		{"Schema Admins", "-2147483640", 518}, {"Enterprise Admins", "-2147483640", 519},
		{"Group Policy Creator Owners", global, 520},
	} {
		o := m.must("CN="+g.name+",CN=Users", Attributes{"objectClass": {"group"}, "sAMAccountName": {g.name}, "groupType": {g.kind}})
		o.sid = m.sidOf(g.rid)
		m.protect(o, "")
	}
	for _, g := range []struct {
		name string
		rid  byte
	}{{"Administrators", 0x20}, {"Users", 0x21}, {"Guests", 0x22}} {
		o := m.must("CN="+g.name+",CN=Builtin", Attributes{"objectClass": {"group"}, "sAMAccountName": {g.name}, "groupType": {builtin}})
		o.sid = string([]byte{1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, g.rid, 2, 0, 0})
		m.protect(o, protectedFlags)
	}
}

func (m *Model) buildAccounts() {
	for _, a := range []struct {
		name, control, description string
		rid                        uint32
		password                   string
	}{
		{"Administrator", "512", "Built-in account for administering the computer/domain", 500, m.opts.AdminPassword},
		{"Guest", "66082", "Built-in account for guest access to the computer/domain", 501, ""},
		{"krbtgt", "514", "Key Distribution Center Service Account", 502, ""},
	} {
		o := m.must("CN="+a.name+",CN=Users", Attributes{
			"objectClass": {"user"}, "sAMAccountName": {a.name}, "userAccountControl": {a.control}, "description": {a.description},
		})
		o.sid = m.sidOf(a.rid)
		m.protect(o, "")
		if a.password != "" {
			m.setPassword(o, a.password)
		}
	}
	reader := m.must("CN="+ReadOnlyName+",CN=Users", Attributes{
		"objectClass": {"user"}, "sAMAccountName": {ReadOnlyName}, "userPrincipalName": {m.ReadOnlyUser()},
		"userAccountControl": {"512"}, "description": {"Reads the directory for Tandem"},
	})
	m.setPassword(reader, m.opts.AdminPassword)
	m.replicators[reader] = true
	dc := m.must("CN=DC1,OU=Domain Controllers", Attributes{
		"objectClass": {"computer"}, "sAMAccountName": {"DC1$"}, "userAccountControl": {"532480"}, "dNSHostName": {m.hostName()},
	})
	m.protect(dc, "")
	m.joinBuiltins()
}

func (m *Model) joinBuiltins() {
	users, builtin := ",CN=Users,"+m.Base(), ",CN=Builtin,"+m.Base()
	for _, g := range []struct {
		name    string
		members []string
	}{
		{"CN=Domain Admins" + users, []string{"CN=Administrator" + users}},
		{"CN=Enterprise Admins" + users, []string{"CN=Administrator" + users}},
		{"CN=Administrators" + builtin, []string{"CN=Administrator" + users, "CN=Domain Admins" + users, "CN=Enterprise Admins" + users}},
		{"CN=Users" + builtin, []string{"CN=Domain Users" + users}},
		{"CN=Guests" + builtin, []string{"CN=Guest" + users, "CN=Domain Guests" + users}},
	} {
		if err := m.modify(self, g.name, []Change{{Add, "member", g.members}}, modifyOptions{}); err != nil {
			panic("directory: a built-in membership is refused: " + err.Error())
		}
	}
}

// buildSite makes what leads a client from the root DSE to the database's invocationId.
func (m *Model) buildSite() {
	path := "CN=Configuration"
	for _, step := range []struct{ name, class string }{
		{"Sites", "sitesContainer"}, {"Default-First-Site-Name", "site"}, {"Servers", "serversContainer"}, {"DC1", "server"},
		{"NTDS Settings", "nTDSDSA"},
	} {
		path = "CN=" + step.name + "," + path
		m.dsa = m.must(path, Attributes{"objectClass": {step.class}})
	}
	m.dsa.set("invocationid", []string{string(m.invocation[:])}, m.dsa.usnLast)
	m.must("CN=Partitions,CN=Configuration", Attributes{"objectClass": {"crossRefContainer"}})
	ref := m.must("CN="+m.netBIOSName()+",CN=Partitions,CN=Configuration", Attributes{
		"objectClass": {"crossRef"}, "nETBIOSName": {m.netBIOSName()}, "dnsRoot": {m.opts.Domain},
	})
	ref.setLinks("ncname", []*object{m.domain}, ref.usnLast)
}

func (m *Model) hostName() string { return "dc1." + m.opts.Domain }
