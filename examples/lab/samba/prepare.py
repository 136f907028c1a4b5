"""Makes a freshly provisioned domain fit for the lab. Arguments: smb.conf, sam.ldb; the password comes on standard input."""
import sys
from samba import param
from samba.samdb import SamDB
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
import ldb

GET_CHANGES = "1131f6aa-9c07-11d1-f79f-00c04fc2dcd2"


def grant(db, dn, ace):
    """Puts one more entry at the head of the access list of dn, deleted or not."""
    shown = ["show_deleted:1", "sd_flags:1:4"]
    found = db.search(base=dn, scope=ldb.SCOPE_BASE, attrs=["nTSecurityDescriptor"], controls=shown)
    domain = security.dom_sid(db.get_domain_sid())
    old = ndr_unpack(security.descriptor, found[0]["nTSecurityDescriptor"][0]).as_sddl(domain)
    at = old.index("(")
    new = security.descriptor.from_sddl(old[:at] + ace + old[at:], domain)
    change = ldb.Message(ldb.Dn(db, dn))
    change["nTSecurityDescriptor"] = ldb.MessageElement(ndr_pack(new), ldb.FLAG_MOD_REPLACE, "nTSecurityDescriptor")
    db.modify(change, controls=shown)


def main(conf, path, name):
    lp = param.LoadParm()
    lp.load(conf)
    db = SamDB(url=path, session_info=system_session(), lp=lp)
    base = str(db.domain_dn())
    db.set_pwdProperties("0")
    db.set_minPwdLength("1")
    db.set_minPwdAge("0")
    db.set_maxPwdAge("0")
    db.newuser(name, sys.stdin.readline().rstrip("\n"), description="Reads the directory for Tandem")
    user = db.search(base=base, expression="(sAMAccountName=%s)" % name, attrs=["objectSid"])[0]
    sid = str(ndr_unpack(security.dom_sid, user["objectSid"][0]))
    grant(db, base, "(OA;;CR;%s;;%s)" % (GET_CHANGES, sid))
    grant(db, "CN=Deleted Objects," + base, "(A;;RPLCRC;;;%s)" % sid)


main(*sys.argv[1:])
