package expression

import (
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/scoping"
)

// How many members a group may have that each product synchronizes (Microsoft Learn, "Prerequisites for Microsoft Entra Cloud Sync" and "Topologies for
// Microsoft Entra Connect"): a larger one is not created, or stays as it is until it shrinks.
const (
	MostMembersConnect   = 250_000
	MostMembersCloudSync = 50_000
)

// ExcludedBy are the directory's attributes that [Excluded] reads.
var ExcludedBy = []string{"isCriticalSystemObject", "name", "sAMAccountName", "adminDescription", "mailNickname",
	"msExchRecipientTypeDetails", "groupType", "proxyAddresses", "mail", "displayName", "msExchHideFromAddressLists"}

// The bits of msExchRecipientTypeDetails that exclusions look at, and what stands in the name of the losing object of a replication conflict.
const (
	systemMailboxTypes  = 0x21C07000 // arbitration, discovery, system and monitoring mailboxes
	roleGroupType       = 0x40000000
	replicationConflict = "\nCNF:"
)

// Facts is a living object of the directory. A directory.Entry is one.
type Facts interface {
	Kind() scoping.Kind
	Bool(attribute string) bool
	Text(attribute string) string
	Texts(attribute string) []string
}

// Excluded returns the code with which both engines leave a living object out, or "". members is how many a group has, most how many it may have.
func Excluded(f Facts, members, most int) string {
	switch {
	case f.Bool("isCriticalSystemObject"):
		return "critical-system-object"
	case strings.Contains(f.Text("name"), replicationConflict):
		return "replication-victim"
	case f.Kind() == scoping.Contact:
		return excludedContact(f)
	case f.Text("sAMAccountName") == "":
		return "no-account-name"
	case f.Kind() == scoping.Group:
		return excludedGroup(f, members, most)
	}
	return excludedUser(f)
}

func excludedUser(f Facts) string {
	account, nickname := f.Text("sAMAccountName"), f.Text("mailNickname")
	switch {
	case startsWith(f.Text("adminDescription"), "User_"):
		return "written-back"
	case strings.EqualFold(account, "SUPPORT_388945a0"), startsWith(account, "AAD_"), startsWith(account, "MSOL_"), startsWith(account, "CAS_{"):
		return "reserved-account"
	case startsWith(nickname, "SystemMailbox{"), startsWith(nickname, "CAS_{"), hasBits(f, systemMailboxTypes):
		return "system-mailbox"
	case LinkedMailbox(f.Text("msExchRecipientTypeDetails")):
		return "linked-mailbox"
	}
	return ""
}

func excludedContact(f Facts) string {
	switch {
	case startsWith(f.Text("mailNickname"), "CAS_{"):
		return "system-mailbox"
	case Hidden(f.Text("displayName"), f.Text("msExchHideFromAddressLists")):
		return HiddenMSOL
	case f.Text("proxyAddresses") == "":
		return NotMailEnabled
	case ContactAddress(f.Texts("proxyAddresses"), f.Text("mail")) == "":
		return NoAddress
	}
	return ""
}

func excludedGroup(f Facts, members, most int) string {
	switch {
	case startsWith(f.Text("adminDescription"), "Group_"):
		return "written-back"
	case strings.EqualFold(f.Text("sAMAccountName"), "MSOL_AD_Sync_RichCoexistence"):
		return "reserved-account"
	case hasBits(f, roleGroupType):
		return "role-group"
	case members > most:
		return TooManyMembers
	case !SecurityGroup(f.Text("groupType")):
		return DistributionGroup
	case MailEnabled(f.Texts("proxyAddresses"), f.Text("mail")):
		return MailEnabledGroup
	}
	return ""
}

// hasBits reports whether an object's msExchRecipientTypeDetails has any of the bits.
func hasBits(f Facts, mask int64) bool {
	n, _ := strconv.ParseInt(f.Text("msExchRecipientTypeDetails"), 10, 64)
	return n&mask != 0
}

func startsWith(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
