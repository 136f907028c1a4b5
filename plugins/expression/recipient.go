package expression

import (
	"slices"
	"strconv"
	"strings"
)

// Codes with which both engines leave groups out that may be in the tenant all the same: a security group that got an address, was made a
// distribution group, or grew too large. Such a group stays linked.
const (
	MailEnabledGroup  = "mail-enabled-group"
	DistributionGroup = "distribution-group"
	TooManyMembers    = "too-many-members"
)

// KeepsMembers reports whether the members of a group that is left out with a code are proposed nevertheless: where the group is in the tenant
// from before, who leaves it must not stay in it there. A group that is too large stays as it is until it shrinks.
func KeepsMembers(code string) bool { return code == MailEnabledGroup || code == DistributionGroup }

// MailEnabled reports whether a group is mail-enabled: an SMTP value is among its proxyAddresses, or it has a mail and no proxyAddresses at all
// (https://learn.microsoft.com/entra/identity/hybrid/connect/concept-azure-ad-connect-sync-user-and-contacts). Other kinds of addresses, such as X500,
// make no mail-enabled group.
func MailEnabled(proxyAddresses []string, mail string) bool {
	addresses := slices.DeleteFunc(slices.Clone(proxyAddresses), func(a string) bool { return strings.TrimSpace(a) == "" })
	if len(addresses) == 0 {
		return strings.TrimSpace(mail) != ""
	}
	return slices.ContainsFunc(addresses, func(a string) bool {
		kind, address, typed := strings.Cut(a, ":")
		return typed && strings.EqualFold(strings.TrimSpace(kind), "smtp") && strings.TrimSpace(address) != ""
	})
}

// Codes with which both engines leave contacts out.
const (
	NotMailEnabled = "not-mail-enabled" // it has no proxyAddresses
	NoAddress      = "no-address"       // neither a primary address nor a mail with an @
	HiddenMSOL     = "hidden-msol"      // made by an earlier directory synchronization
)

// ContactAddress returns the address of a contact: its primary address among proxyAddresses, which is the one with the type in capitals, else its mail. Either needs
// an @; "" is no address. A contact without one, or without proxyAddresses at all, is not synchronized
// (https://learn.microsoft.com/entra/identity/hybrid/connect/concept-azure-ad-connect-sync-default-configuration, "Contact out-of-box rules").
func ContactAddress(proxyAddresses []string, mail string) string {
	for _, a := range proxyAddresses {
		if address, primary := strings.CutPrefix(strings.TrimSpace(a), "SMTP:"); primary && strings.Contains(address, "@") {
			return strings.TrimSpace(address)
		}
	}
	if mail = strings.TrimSpace(mail); strings.Contains(mail, "@") {
		return mail
	}
	return ""
}

// Hidden reports whether a contact is one that an earlier directory synchronization made and hid: "(MSOL)" stands in its display name, and lists do not show it.
func Hidden(displayName, hideFromAddressLists string) bool {
	return strings.Contains(displayName, "(MSOL)") && strings.EqualFold(strings.TrimSpace(hideFromAddressLists), "TRUE")
}

// linkedMailbox is the recipient type of a disabled account whose mailbox is used from another forest.
const linkedMailbox = 2

// LinkedMailbox reports whether a msExchRecipientTypeDetails value is a linked mailbox's: Connect gives it no source anchor, since the person is
// the account of the other forest. Shared mailboxes (4), rooms (16) and equipment (32) are none.
func LinkedMailbox(recipientTypeDetails string) bool {
	n, err := strconv.ParseInt(strings.TrimSpace(recipientTypeDetails), 10, 64)
	return err == nil && n == linkedMailbox
}
