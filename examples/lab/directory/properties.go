package directory

import (
	"crypto/sha256"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory/access"
	"github.com/tandem-sync/tandem/scoping"
)

// GUIDs of sets of properties (MS-ADTS 3.1.1.2.3.3).
const (
	setGeneral      = "59ba2f42-79a2-11d0-9020-00c04fc2d3cf"
	setMembership   = "bc0ac240-79a9-11d0-9020-00c04fc2d4cf"
	setPersonal     = "77b5b886-944a-11d1-aebd-0000f80367c1"
	setPublic       = "e48d0154-bcf8-11d1-8702-00c04fb96050"
	setRestrictions = "4c164200-20c0-11d0-a768-00aa006e0529" // User-Account-Restrictions
	setWeb          = "e45795b3-9455-11d1-aebd-0000f80367c1"
)

// properties are the attributes that somebody may be allowed to write singly, with their set (MS-ADA1 to MS-ADA3: schemaIDGUID and attributeSecurityGUID).
var properties = map[string]access.Right{
	"accountexpires":                 property("bf967915-0de6-11d0-a285-00aa003049e2", setRestrictions),
	"admindescription":               property("bf967919-0de6-11d0-a285-00aa003049e2", setGeneral),
	"c":                              property("bf967945-0de6-11d0-a285-00aa003049e2", setPersonal),
	"cn":                             property("bf96793f-0de6-11d0-a285-00aa003049e2", setPublic),
	"co":                             property("f0f8ffa7-1191-11d0-a060-00aa006c33ed", setPublic),
	"company":                        property("f0f8ff88-1191-11d0-a060-00aa006c33ed", setPublic),
	"countrycode":                    property("5fd42471-1262-11d0-a060-00aa006c33ed", setGeneral),
	"department":                     property("bf96794f-0de6-11d0-a285-00aa003049e2", setPublic),
	"description":                    property("bf967950-0de6-11d0-a285-00aa003049e2", setPublic),
	"displayname":                    property("bf967953-0de6-11d0-a285-00aa003049e2", setGeneral),
	"division":                       property("fe6136a0-2073-11d0-a9c2-00aa006c33ed", setPublic),
	"employeeid":                     property("bf967962-0de6-11d0-a285-00aa003049e2", ""),
	"employeenumber":                 property("a8df73ef-c5ea-11d1-bbcb-0080c76670c0", ""),
	"employeetype":                   property("a8df73f0-c5ea-11d1-bbcb-0080c76670c0", ""),
	"facsimiletelephonenumber":       property("bf967974-0de6-11d0-a285-00aa003049e2", setPersonal),
	"givenname":                      property("f0f8ff8e-1191-11d0-a060-00aa006c33ed", setPublic),
	"grouptype":                      property("9a9a021e-4a5b-11d1-a9c3-0000f80367c1", ""),
	"homephone":                      property("f0f8ffa1-1191-11d0-a060-00aa006c33ed", setPersonal),
	"info":                           property("bf96793e-0de6-11d0-a285-00aa003049e2", setPersonal),
	"initials":                       property("f0f8ff90-1191-11d0-a060-00aa006c33ed", setPublic),
	"ipphone":                        property("4d146e4a-48d4-11d1-a9c3-0000f80367c1", setPersonal),
	"l":                              property("bf9679a2-0de6-11d0-a285-00aa003049e2", setPersonal),
	"lockouttime":                    property("28630ebf-41d5-11d1-a9c1-0000f80367c1", ""),
	"mail":                           property("bf967961-0de6-11d0-a285-00aa003049e2", setPublic),
	"manager":                        property("bf9679b5-0de6-11d0-a285-00aa003049e2", setPublic),
	"member":                         property("bf9679c0-0de6-11d0-a285-00aa003049e2", setMembership),
	"mobile":                         property("f0f8ffa3-1191-11d0-a060-00aa006c33ed", setPersonal),
	"msds-externaldirectoryobjectid": property("bd29bf90-66ad-40e1-887b-10df070419a6", setPersonal),
	"ms-ds-consistencyguid":          property("23773dc2-b63a-11d2-90e1-00c04fd91ab1", ""),
	"name":                           property("bf967a0e-0de6-11d0-a285-00aa003049e2", setPublic),
	"pager":                          property("f0f8ffa6-1191-11d0-a060-00aa006c33ed", setPersonal),
	"physicaldeliveryofficename":     property("bf9679f7-0de6-11d0-a285-00aa003049e2", setPersonal),
	"postalcode":                     property("bf9679fd-0de6-11d0-a285-00aa003049e2", setPersonal),
	"preferredlanguage":              property("856be0d0-18e7-46e1-8f5f-7ee4d9020e0d", ""),
	"pwdlastset":                     property("bf967a0a-0de6-11d0-a285-00aa003049e2", setRestrictions),
	"samaccountname":                 property("3e0abfd0-126a-11d0-a060-00aa006c33ed", setGeneral),
	"serviceprincipalname":           property("f3a64788-5306-11d1-a9c5-0000f80367c1", setPublic),
	"sn":                             property("bf967a41-0de6-11d0-a285-00aa003049e2", setPublic),
	"st":                             property("bf967a39-0de6-11d0-a285-00aa003049e2", setPersonal),
	"street":                         property("bf967a3a-0de6-11d0-a285-00aa003049e2", setPersonal),
	"streetaddress":                  property("f0f8ff84-1191-11d0-a060-00aa006c33ed", setPersonal),
	"telephonenumber":                property("bf967a49-0de6-11d0-a285-00aa003049e2", setPersonal),
	"title":                          property("bf967a55-0de6-11d0-a285-00aa003049e2", setPublic),
	"useraccountcontrol":             property("bf967a68-0de6-11d0-a285-00aa003049e2", setRestrictions),
	"userprincipalname":              property("28630ebb-41d5-11d1-a9c1-0000f80367c1", setPublic),
	"wwwhomepage":                    property("bf967a7a-0de6-11d0-a285-00aa003049e2", setWeb),
}

// propertyOf is the right to write an attribute. One that has no entry above has a GUID of the lab's own and belongs to no set.
func propertyOf(attribute string) access.Right {
	key := strings.ToLower(attribute)
	if r, named := properties[key]; named {
		return r
	}
	hash := sha256.Sum256([]byte(key))
	return access.Right{Mask: access.WriteProperty, Object: scoping.GUID(hash[:16])}
}
