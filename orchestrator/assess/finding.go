package assess

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// Severity is the effect of a finding on a migration.
type Severity string

// The severities, the gravest first.
const (
	Blocker Severity = "blocker" // a wave of these objects cannot begin, or would not end
	Warning Severity = "warning" // a wave can move them, but an administrator should know or do something first
	Info    Severity = "info"    // nothing has to be done
)

// Readiness sums up the findings about a part of a directory, a feature or a wave.
type Readiness string

// The readiness, the best first.
const (
	Ready        Readiness = "ready"
	WithWarnings Readiness = "warnings"
	Blocked      Readiness = "blocked"
)

var readiness = []Readiness{Ready, WithWarnings, Blocked}

// worse returns the worse one.
func worse(a, b Readiness) Readiness {
	return readiness[max(slices.Index(readiness, a), slices.Index(readiness, b))]
}

// readiness returns the readiness of something with one finding of this severity.
func (s Severity) readiness() Readiness {
	switch s {
	case Blocker:
		return Blocked
	case Warning:
		return WithWarnings
	}
	return Ready
}

// Code is the kind of a finding.
type Code string

// The codes. The first ones are about objects; those from NoTarget on are about everything.
const (
	AnchorInvalid   Code = "anchor-invalid"
	AnchorDuplicate Code = "duplicate-anchor"
	AnchorChanged   Code = "anchor-changed"
	AnchorElsewhere Code = "anchor-elsewhere" // the tenant user with its sign-in name has another anchor
	SignInDuplicate Code = "duplicate-sign-in"
	SignInMade      Code = "made-sign-in" // the directory has none
	SignInSuffix    Code = "unverified-suffix"
	SignInTaken     Code = "sign-in-taken"
	AddressTwice    Code = "duplicate-address"
	AddressTaken    Code = "address-taken"
	LookAlike       Code = "look-alike"
	InDeletedItems  Code = "in-deleted-items"
	Existing        Code = "existing" // the tenant has an object with its anchor
	CannotJoin      Code = "cannot-join"
	Synced          Code = "synced"
	LeftOut         Code = "left-out"
	GroupKind       Code = "group-kind" // distribution and mail-enabled groups
	GroupTooLarge   Code = "group-too-large"
	GroupNested     Code = "nested-groups"
	Unreachable     Code = "unreachable-references"
	CrossesParts    Code = "references-cross"
	NotCarried      Code = "not-carried"
	GuidAnchors     Code = "guid-anchors" // mS-DS-ConsistencyGuid is empty
	ServiceAccounts Code = "service-accounts"
	Chosen          Code = "chosen"  // one by one, by a group, filter or sample
	Brought         Code = "brought" // into the directory, from the tenant
	Doubtful        Code = "in-doubt"
	Held            Code = "held"
	Unsettled       Code = "unsettled"
	WaveRunning     Code = "wave-running"

	NoTarget        Code = "no-target"
	NoAccount       Code = "no-account"
	CannotShadow    Code = "cannot-shadow"
	Unhealthy       Code = "engine-unhealthy"
	Stopped         Code = "stopped"
	ContainerDrift  Code = "container-drift"
	ContainerGone   Code = "container-gone"
	SelectorFrozen  Code = "selector-frozen"
	TenantUnread    Code = "tenant-unread"
	PowerUnread     Code = "roles-unread"
	WritebackFollow Code = "writeback"
)

// kindOf is what all findings of a code have in common.
type kindOf struct {
	severity Severity
	feature  scoping.Feature // that it is about; empty: the base feature of the objects
	message  string          // %s is the detail
	fix      string          // what to do; empty: nothing has to be done
}

var kindsOf = map[Code]kindOf{
	AnchorInvalid:   {Blocker, "", "mS-DS-ConsistencyGuid does not hold 16 bytes, so no source anchor can be made of it", "write 16 bytes into mS-DS-ConsistencyGuid, or clear it"},
	AnchorDuplicate: {Blocker, "", "two living objects carry one source anchor", "clear mS-DS-ConsistencyGuid of the copy; the one that the tenant knows keeps it"},
	AnchorChanged:   {Blocker, "", "the source anchor is not the one that the tenant object was joined with", "write the old anchor back into mS-DS-ConsistencyGuid: `tandem object REF` shows both"},
	AnchorElsewhere: {Blocker, "", "the tenant user with this sign-in name carries another source anchor", "write that user's anchor into mS-DS-ConsistencyGuid if they are one person, else change one of the sign-in names"},
	SignInDuplicate: {Blocker, "", "two users have one sign-in name", "give one of them another userPrincipalName"},
	SignInMade:      {Warning, "", "no userPrincipalName: engines make the sign-in name of sAMAccountName and the domain", "give them a userPrincipalName before the first run, or expect them under that name"},
	SignInSuffix:    {Warning, "", "sign-in names end in @%s, which the tenant has not verified", "verify the domain in the tenant, or change the suffix; until then they sign in under the initial domain, or are refused where defaults.upn.unverifiedSuffix is refuse"},
	SignInTaken:     {Warning, "", "the sign-in name is that of an object of the tenant which is not theirs", "rename one of the two; an object that is meant to be joined needs the source anchor, or a line in the file of matches"},
	AddressTwice:    {Warning, "", "another object of the directory has one of these mail addresses", "leave the address with one of them; the tenant takes it once"},
	AddressTaken:    {Warning, "", "the mail address is that of an object of the tenant which is not theirs", "remove it there, or expect `conflicts: refuse` or `quarantine` to decide"},
	LookAlike:       {Warning, "", "an object of the tenant looks like it and carries no source anchor: the first run asks before it makes another one", "name both in a file of matches if they are one, or set defaults.softMatch"},
	InDeletedItems:  {Warning, "", "the tenant's deleted items hold an object with its anchor or sign-in name", "`tandem restore REF` brings it back, where its anchor is there; else restore it in the tenant, or let it be purged"},
	Existing:        {Info, "", "the tenant has them already under their source anchor: the first run joins them, as one held set", ""},
	CannotJoin:      {Warning, "", "the tenant object that carries its source anchor may not be joined: %s", "take away what is in the way, or leave the object out"},
	Synced:          {Blocker, "", "Microsoft's engines own the tenant object: Graph refuses to write it", "end their synchronization of these objects first"},
	LeftOut:         {Info, "", "both engines leave them out (%s)", ""},
	GroupKind:       {Warning, scoping.Groups, "Graph makes no groups of this kind (%s): they are not brought into the tenant, and one that is there keeps its members alone", "leave them with what makes them today, or turn them into security groups without an address"},
	GroupTooLarge:   {Warning, scoping.Groups, "more members than %s synchronizes: a new one is not made, and one that is there stays as it is until it shrinks", "leave these groups with the other engine, or make them smaller"},
	GroupNested:     {Info, scoping.References, "groups that have groups as members: their memberships are kept as they are, and not resolved", ""},
	Unreachable:     {Warning, scoping.References, "members or managers that never come into the tenant (computers, principals of other forests, kinds that are not switched on): they are left out of the references", "nothing, if nobody needs that access in the cloud; else bring these objects in, or put people in their place"},
	CrossesParts:    {Info, scoping.References, "memberships and managers have their other end outside of this part of the directory: while two engines write the two ends they stay right", "move what belongs together in one wave: the order below crosses fewest"},
	NotCarried:      {Warning, "", "in use here, and not carried by engine %s", "leave these objects with the engine that carries it, or do without"},
	GuidAnchors:     {Info, "", "no mS-DS-ConsistencyGuid: the source anchor is the objectGUID, for both engines alike; an object that moves to another forest gets another one", ""},
	ServiceAccounts: {Info, scoping.Users, "accounts that look like services' and not like people's", "engine none may suit them better"},
	Chosen:          {Info, "", "assignments choose these objects one by one, by a group, a filter or a sample: a wave over the whole part moves the others", ""},
	Brought:         {Info, "", "they are made of objects of the tenant, and no wave hands them over", ""},
	Doubtful:        {Warning, "", "an earlier write had no answer; the object changes hands when the doubt ends", "wait for the end of the doubt: `tandem errors list`"},
	Held:            {Warning, "", "writes to these objects are held, and a cutover voids the set", "`tandem held list`, then approve or reject"},
	Unsettled:       {Warning, "", "what their engine wants is not in the tenant (%s)", "`tandem errors list` says why of each"},
	WaveRunning:     {Blocker, "", "wave %s on these objects is not over", "`tandem wave list`"},

	NoTarget:        {Info, "", "only one engine is configured, so there is nothing to move to", "add another one to engines in tandem.yaml"},
	NoAccount:       {Warning, "", "%s", "`tandem check` says what each account lacks"},
	CannotShadow:    {Blocker, "", "engine %s cannot be judged before it owns, so no wave to it can be verified", "use an engine that can, or none"},
	Unhealthy:       {Blocker, "", "engine %s", "`tandem check` and `tandem agent list` say what it needs"},
	Stopped:         {Blocker, "", "writing is %s", "`tandem start` ends it"},
	ContainerDrift:  {Warning, "", "the directory is no longer as the policy in force says: %s", "`tandem policy fmt --repin FILE`, then plan and apply it"},
	ContainerGone:   {Blocker, "", "the policy in force names what is gone from the directory, and nothing is deleted because of that: %s", "plan and apply a policy that does without it"},
	SelectorFrozen:  {Blocker, "", "%s", "restore the group, or plan a policy without it"},
	TenantUnread:    {Warning, "", "the tenant could not be read, so nothing is said of what it has already, nor of domains: %s", "`tandem check` says what is in the way"},
	PowerUnread:     {Warning, "", "it is not known which objects of the tenant hold directory roles, which are never joined: %s", "give the application the permission that `tandem check` names"},
	WritebackFollow: {Info, "", "%s follows users in every wave: what the target needs for it has to be there before", ""},
}

// Finding is one thing to know before a migration, about some objects or about everything.
type Finding struct {
	Severity Severity        `json:"severity"`
	Code     Code            `json:"code"`
	Feature  scoping.Feature `json:"feature,omitempty"` // that it is about; empty: all
	Message  string          `json:"message"`
	Objects  int             `json:"objects"`
	Examples []string        `json:"examples"`
	Fix      string          `json:"fix,omitempty"`
}

// findingKey identifies a finding: those with one key are one, which counts its objects.
type findingKey struct {
	code    Code
	detail  string
	feature scoping.Feature
}

// findings collects findings.
type findings struct {
	of   map[findingKey]*Finding
	most int // examples of each finding; 0: all
}

func newFindings(most int) *findings { return &findings{map[findingKey]*Finding{}, most} }

// add counts objects for a finding, and keeps name's result as an example unless there are enough. A nil name adds no example.
func (f *findings) add(k findingKey, objects int, name func() string) {
	of := kindsOf[k.code]
	switch {
	case of.feature != "":
		k.feature = of.feature
	case of.severity == Info: // it changes no feature's readiness, so it is shown once for all
		k.feature = ""
	}
	x := f.of[k]
	if x == nil {
		x = &Finding{Severity: of.severity, Code: k.code, Feature: k.feature, Message: message(of.message, k.detail), Fix: of.fix, Examples: []string{}}
		f.of[k] = x
	}
	x.Objects += objects
	if name != nil && (f.most == 0 || len(x.Examples) < f.most) {
		x.Examples = append(x.Examples, name())
	}
}

func message(format, detail string) string {
	if detail == "" {
		return format
	}
	return fmt.Sprintf(format, detail)
}

// list returns the findings: the gravest first, and of equally grave ones those about most objects.
func (f *findings) list() []Finding {
	out := []Finding{}
	for _, x := range f.of {
		slices.Sort(x.Examples)
		out = append(out, *x)
	}
	slices.SortFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(readiness, b.Severity.readiness()), slices.Index(readiness, a.Severity.readiness())), cmp.Compare(b.Objects, a.Objects),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Feature, b.Feature))
	})
	return out
}

// overall returns the readiness that findings leave to one feature; empty: to all features.
func overall(fs []Finding, of scoping.Feature) Readiness {
	r := Ready
	for _, f := range fs {
		if of == "" || f.Feature == of || f.Feature == "" {
			r = worse(r, f.Severity.readiness())
		}
	}
	return r
}
