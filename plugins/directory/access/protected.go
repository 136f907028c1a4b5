package access

// Group is one whose members are powerful.
type Group struct {
	SID  SID
	Name string // as Windows calls it in English
}

// builtinGroups are the powerful groups that every domain has under the same SID, domainGroups those that a domain has by the last part of theirs
// (MS-DTYP 2.4.2.4; the list that SDProp protects, with those that reach as far: Microsoft's "Appendix C: Protected Accounts and Groups in Active
// Directory", and "Active Directory security groups").
var (
	builtinGroups = []Group{
		{Administrators, "Administrators"}, {must("S-1-5-32-548"), "Account Operators"}, {must("S-1-5-32-549"), "Server Operators"},
		{must("S-1-5-32-550"), "Print Operators"}, {must("S-1-5-32-551"), "Backup Operators"}, {must("S-1-5-32-552"), "Replicator"},
		{must("S-1-5-32-557"), "Incoming Forest Trust Builders"}, {must("S-1-5-32-569"), "Cryptographic Operators"},
		{must("S-1-5-9"), "Enterprise Domain Controllers"},
	}
	domainGroups = []struct {
		rid  uint32
		name string
	}{
		{512, "Domain Admins"}, {516, "Domain Controllers"}, {517, "Cert Publishers"}, {518, "Schema Admins"}, {519, "Enterprise Admins"},
		{520, "Group Policy Creator Owners"}, {521, "Read-only Domain Controllers"}, {498, "Enterprise Read-only Domain Controllers"},
		{526, "Key Admins"}, {527, "Enterprise Key Admins"}, {522, "Cloneable Domain Controllers"},
	}
)

// Protected reports whether sid is a powerful group, and which. DnsAdmins has no well-known SID and is not among them. Groups of other domains of the forest count by the last part of their SID: an Enterprise Admin
// of the root domain is one everywhere.
func Protected(sid SID) (Group, bool) {
	for _, g := range builtinGroups {
		if g.SID == sid {
			return g, true
		}
	}
	domain, rid, ok := sid.RID()
	if !ok || !isDomain(domain) {
		return Group{}, false
	}
	for _, g := range domainGroups {
		if g.rid == rid {
			return Group{sid, g.name}, true
		}
	}
	return Group{}, false
}

// isDomain reports whether a SID is a domain's, S-1-5-21 and three numbers.
func isDomain(sid SID) bool {
	return len(sid) == 24 && sid[1] == 4 && sid[2:12] == must("S-1-5-21")[2:]
}

// FirstProtected returns the first powerful group among sids.
func FirstProtected(sids []SID) (Group, bool) {
	for _, s := range sids {
		if g, ok := Protected(s); ok {
			return g, true
		}
	}
	return Group{}, false
}

// BuiltIn reports whether sid is an account that is powerful or strange by itself, whatever groups it is in, and which: the built-in Administrator (500), Guest (501),
// and krbtgt (502), whose password encrypts every ticket of the domain.
func BuiltIn(sid SID) (string, bool) {
	domain, rid, ok := sid.RID()
	if !ok || !isDomain(domain) {
		return "", false
	}
	switch rid {
	case 500:
		return "the built-in Administrator", true
	case 501:
		return "the built-in Guest", true
	case 502:
		return "krbtgt", true
	}
	return "", false
}
