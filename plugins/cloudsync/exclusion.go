package cloudsync

import (
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
)

// maxGroupMembers is cloud sync's limit (Microsoft Learn, "Prerequisites for Microsoft Entra Cloud Sync").
const maxGroupMembers = 50000

// excludedBy are the attributes that exclusions read.
var excludedBy = []string{"isCriticalSystemObject", "name", "sAMAccountName", "adminDescription", "mailNickname",
	"msExchRecipientTypeDetails", "groupType", "proxyAddresses", "mail", "displayName", "msExchHideFromAddressLists"}

// The bits of groupType and msExchRecipientTypeDetails that exclusions look at.
const (
	groupTypeSecurity   = 0x80000000 // GROUP_TYPE_SECURITY_ENABLED, MS-ADTS 2.2.12
	systemMailboxTypes  = 0x21C07000 // arbitration, discovery, system and monitoring mailboxes
	roleGroupType       = 0x40000000
	replicationConflict = "\nCNF:" // stands in the name of the losing object of a replication conflict
)

// exclusion gives the code that leaves a living object out, or "". The codes are those of the other engine, so that handing
// an object over changes nothing.
func exclusion(e directory.Entry) string {
	switch {
	case e.Bool("isCriticalSystemObject"):
		return "critical-system-object"
	case strings.Contains(e.Text("name"), replicationConflict):
		return "replication-victim"
	case e.Kind() == scoping.Contact:
		return contactExclusion(e)
	case e.Text("sAMAccountName") == "":
		return "no-account-name"
	case e.Kind() == scoping.Group:
		return groupExclusion(e)
	}
	return userExclusion(e)
}

func userExclusion(e directory.Entry) string {
	account, nickname := e.Text("sAMAccountName"), e.Text("mailNickname")
	switch {
	case startsWith(e.Text("adminDescription"), "User_"):
		return "written-back"
	case strings.EqualFold(account, "SUPPORT_388945a0"), startsWith(account, "AAD_"), startsWith(account, "MSOL_"), startsWith(account, "CAS_{"):
		return "reserved-account"
	case startsWith(nickname, "SystemMailbox{"), startsWith(nickname, "CAS_{"), bits(e, "msExchRecipientTypeDetails", systemMailboxTypes):
		return "system-mailbox"
	case expression.LinkedMailbox(e.Text("msExchRecipientTypeDetails")):
		return "linked-mailbox"
	}
	return ""
}

func contactExclusion(e directory.Entry) string {
	switch {
	case startsWith(e.Text("mailNickname"), "CAS_{"):
		return "system-mailbox"
	case expression.Hidden(e.Text("displayName"), e.Text("msExchHideFromAddressLists")):
		return expression.HiddenMSOL
	case e.Text("proxyAddresses") == "":
		return expression.NotMailEnabled
	case expression.ContactAddress(e.Texts("proxyAddresses"), e.Text("mail")) == "":
		return expression.NoAddress
	}
	return ""
}

func groupExclusion(e directory.Entry) string {
	switch {
	case startsWith(e.Text("adminDescription"), "Group_"):
		return "written-back"
	case strings.EqualFold(e.Text("sAMAccountName"), "MSOL_AD_Sync_RichCoexistence"):
		return "reserved-account"
	case bits(e, "msExchRecipientTypeDetails", roleGroupType):
		return "role-group"
	case len(e.Links["member"].Targets) > maxGroupMembers:
		return expression.TooManyMembers
	case !bits(e, "groupType", groupTypeSecurity):
		return expression.DistributionGroup
	case expression.MailEnabled(e.Texts("proxyAddresses"), e.Text("mail")):
		return expression.MailEnabledGroup
	}
	return ""
}

func bits(e directory.Entry, attribute string, mask int64) bool {
	n, _ := strconv.ParseInt(e.Text(attribute), 10, 64)
	return n&mask != 0
}

func startsWith(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
