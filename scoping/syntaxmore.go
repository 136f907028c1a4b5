package scoping

import "strings"

// moreAttributes are attributes that products add to the schema: Exchange, the Entra connectors and Windows LAPS. They are
// from Microsoft's published schema documents, not read out of a directory.
var moreAttributes = buildMore()

func buildMore() map[string]attributeRow {
	all := map[string]attributeRow{}
	define := func(s Syntax, f attributeFlag, names string) {
		for n := range strings.FieldsSeq(names) {
			all[strings.ToLower(n)] = attributeRow{n, s, f}
		}
	}
	define(SyntaxText, single, `extensionAttribute1 extensionAttribute2 extensionAttribute3 extensionAttribute4 extensionAttribute5
		extensionAttribute6 extensionAttribute7 extensionAttribute8 extensionAttribute9 extensionAttribute10 extensionAttribute11
		extensionAttribute12 extensionAttribute13 extensionAttribute14 extensionAttribute15 mailNickname targetAddress
		msExchHomeServerName msExchResourceDisplay msDS-ExternalDirectoryObjectId msDS-preferredDataLocation`)
	define(SyntaxText, 0, `msExchArchiveName msExchExtensionCustomAttribute1 msExchExtensionCustomAttribute2
		msExchExtensionCustomAttribute3 msExchExtensionCustomAttribute4 msExchExtensionCustomAttribute5 msExchPoliciesIncluded
		msExchPoliciesExcluded msExchResourceMetaData msExchResourceSearchProperties msExchSenderHintTranslations
		msExchUserHoldPolicies msExchUMDtmfMap`)
	define(SyntaxInteger, single, `msExchRecipientDisplayType msExchModerationFlags msExchArchiveStatus msExchGroupDepartRestriction
		msExchGroupJoinRestriction msExchResourceCapacity msExchELCMailboxFlags msExchMailboxAuditEnable`)
	define(SyntaxLargeInteger, single, `msExchRecipientTypeDetails msExchRemoteRecipientType msExchVersion msExchUserAccountControl
		msLAPS-PasswordExpirationTime ms-Mcs-AdmPwdExpirationTime`)
	define(SyntaxBoolean, single, `msExchHideFromAddressLists msExchRequireAuthToSendTo msExchEnableModeration msExchBypassAudit
		mAPIRecipient mDBUseDefaults deliverAndRedirect hideDLMembership oOFReplyToOriginator reportToOriginator reportToOwner`)
	define(SyntaxTime, single, `msExchLitigationHoldDate msExchWhenMailboxCreated`)
	define(SyntaxOctets, single, `msExchMailboxGuid msExchArchiveGUID msExchBlockedSendersHash msExchSafeSendersHash
		msExchSafeRecipientsHash msExchImmutableId`)
	define(SyntaxSID, single, `msExchMasterAccountSid`)
	define(SyntaxName, single|linked, `altRecipient homeMDB homeMTA msExchArchiveDatabaseLink msExchCoManagedByLink`)
	define(SyntaxName, linked, `authOrig unauthOrig dLMemSubmitPerms dLMemRejectPerms publicDelegates publicDelegatesBL
		msExchDelegateListLink msExchDelegateListBL msExchModeratedByLink msExchBypassModerationLink altRecipientBL`)
	define(SyntaxNameData, linked, `msDS-KeyCredentialLink`)
	define(SyntaxDescriptor, single, `msExchMailboxSecurityDescriptor msDS-GroupMSAMembership`)
	return all
}

// unsteady are attributes that differ between domain controllers, or change without anybody having decided anything: what
// they say must not decide who owns an object. The values say why.
var unsteady = buildUnsteady()

func buildUnsteady() map[string]string {
	all := map[string]string{}
	define := func(why, names string) {
		for n := range strings.FieldsSeq(names) {
			all[strings.ToLower(n)] = why
		}
	}
	define("is kept by each domain controller for itself", `lastLogon lastLogoff logonCount badPwdCount badPasswordTime uSNChanged
		uSNCreated uSNDSALastObjRemoved uSNLastObjRem uSNSource USNIntersite whenChanged modifyTimeStamp replPropertyMetaData
		replUpToDateVector repsFrom repsTo dSCorePropagationData msDS-Cached-Membership msDS-Cached-Membership-Time-Stamp
		partialAttributeSet partialAttributeDeletionList subRefs`)
	define("changes when people sign in or change their password", `lastLogonTimestamp lockoutTime pwdLastSet
		msDS-LastSuccessfulInteractiveLogonTime msDS-LastFailedInteractiveLogonTime msDS-FailedInteractiveLogonCount
		msDS-FailedInteractiveLogonCountAtLastSuccessfulLogon msLAPS-PasswordExpirationTime ms-Mcs-AdmPwdExpirationTime
		msDS-AuthenticatedAtDC msDS-AuthenticatedToAccountlist msDS-RevealedUsers msDS-RevealedDSAs msPKIRoamingTimeStamp
		msPKIDPAPIMasterKeys msPKIAccountCredentials msPKI-CredentialRoamingTokens`)
	return all
}

// secrets are attributes that no search ever finds (MS-ADTS 3.1.1.4.4).
var secrets = map[string]bool{
	"unicodepwd": true, "dbcspwd": true, "lmpwdhistory": true, "ntpwdhistory": true, "supplementalcredentials": true,
	"msds-executescriptpassword": true,
}
