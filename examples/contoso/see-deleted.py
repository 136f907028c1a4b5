#!/usr/bin/python3
"""Lets an account see what was deleted, on Samba: see-deleted.py --sid=SID, as root on a controller.

It is what `dsacls "CN=Deleted Objects,DC=…" /G account:LCRP` does on Windows. samba-tool cannot do it: the container counts as deleted itself, and
samba-tool does not look there. Over LDAP its access list is not shown to administrators either.
"""
import optparse

import ldb
import samba.getopt
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
from samba.samdb import SamDB

parser = optparse.OptionParser("see-deleted.py --sid=SID [options]")
options = samba.getopt.SambaOptions(parser)
parser.add_option_group(options)
parser.add_option("-H", "--URL", help="of the database, instead of the usual one", metavar="URL")
parser.add_option("--sid", help="of the account, as `samba-tool user show NAME --attributes=objectSid` says it")
given, rest = parser.parse_args()
if not given.sid or rest:
    parser.error("name the account by --sid")

lp = options.get_loadparm()
db = SamDB(url=given.URL, session_info=system_session(), lp=lp)
domain = security.dom_sid(db.get_domain_sid())
dn = "CN=Deleted Objects," + str(db.domain_dn())
shown = ["show_deleted:1", "sd_flags:1:4"]
found = db.search(base=dn, scope=ldb.SCOPE_BASE, attrs=["nTSecurityDescriptor"], controls=shown)
old = ndr_unpack(security.descriptor, found[0]["nTSecurityDescriptor"][0]).as_sddl(domain)
ace = "(A;;RPLC;;;%s)" % security.dom_sid(given.sid)
if ace in old:
    print("%s sees %s already" % (given.sid, dn))
else:
    at = old.index("(")
    new = security.descriptor.from_sddl(old[:at] + ace + old[at:], domain)
    change = ldb.Message(ldb.Dn(db, dn))
    change["nTSecurityDescriptor"] = ldb.MessageElement(ndr_pack(new), ldb.FLAG_MOD_REPLACE, "nTSecurityDescriptor")
    db.modify(change, controls=shown)
    print("%s sees %s" % (given.sid, dn))
