package expression

// reasons say for people why an object is left out, by the code with which the engines do it.
var reasons = map[string]string{
	"critical-system-object": "the directory's own (`isCriticalSystemObject`)",
	DistributionGroup:        "not security-enabled: Graph does not make distribution groups",
	HiddenMSOL:               "made by an earlier directory synchronization, and hidden",
	"linked-mailbox":         "the account of a linked mailbox",
	MailEnabledGroup:         "it has addresses: Graph does not make mail-enabled groups",
	"no-account-name":        "it has no `sAMAccountName`",
	"no-account-state":       "`userAccountControl` is not readable",
	NoAddress:                "the contact has neither a primary address nor a `mail`",
	"no-anchor":              "no source anchor can be made",
	"no-display-name":        "it has neither `displayName` nor a name to make one of",
	"no-mail-nickname":       "no nickname can be made of its names",
	"no-rule":                "the engine has no rule for this kind",
	"no-upn":                 "no sign-in name can be made",
	NotMailEnabled:           "the contact has no `proxyAddresses`",
	"replication-victim":     "the loser of a replication conflict (`CNF:` in its name)",
	"reserved-account":       "an account of Microsoft's own synchronization (`MSOL_`, `AAD_`, …)",
	"role-group":             "an Exchange role group",
	"system-mailbox":         "a mailbox of Exchange's own",
	TooManyMembers:           "more members than the engine synchronizes",
	"written-back":           "it was written into the directory from a tenant (`adminDescription`)",
}

// Reason says for people why an object is left out; "" of a code that is not the engines' own, such as that of a rule which somebody wrote.
func Reason(code string) string { return reasons[code] }
