package provisioning

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// The codes of answers, in addition to those of the gate and of package provision.
const (
	CodeExcluded    gate.Code = "excluded"         // the engine's mapping leaves it out
	CodeUnmapped    gate.Code = "unmapped"         // the engine cannot tell what it should be
	CodePlanted     gate.Code = "link-planted"     // the directory shows a link that Tandem did not write
	CodeDoubled     gate.Code = "link-doubled"     // two objects show one link
	CodeLinkChanged gate.Code = "link-changed"     // the link of an object was removed or changed by others
	CodeJoin        gate.Code = "join"             // an account in the domain may be this person's
	CodeRelink      gate.Code = "re-link"          // the account of a person who left may be this person's
	CodeLinked      gate.Code = "linked-elsewhere" // the account found belongs to another object of the tenant
	CodeProtected   gate.Code = "protected"
	CodeNamesTaken  gate.Code = "names-taken" // every candidate for a name is taken
	CodeDeletedIn   gate.Code = "deleted-in-directory"
	CodeUndeleted   gate.Code = "undeleted" // an account that Tandem deleted was undeleted in the directory
	CodeDisabledIn  gate.Code = "disabled-in-directory"
	CodeMovedAway   gate.Code = "moved-away"
	CodeNoContainer gate.Code = "no-container"
	CodeDisabling   gate.Code = "disabling"   // an account is disabled since its person left
	CodePurged      gate.Code = "purged"      // the object of the tenant was deleted for good
	CodeNoPurge     gate.Code = "no-evidence" // … but that is only known from not finding it, so it is looked up again a day later
	CodePurging     gate.Code = "purging"     // … and the tenant reported it, so it is looked up again after the tenant's delay
	CodeFrozenFrom  gate.Code = "from-frozen"
	CodeJoinOutside gate.Code = "join-outside" // an account that may be the person's is outside the container: nothing is joined or made
	CodeUnmatched   gate.Code = "match-unmapped"
	CodeLookAlike   gate.Code = "look-alike" // an unlinked account has the name that this person would get, and the same display name
)

// Why is why a source is brought by an assignment or not.
type Why uint8

// The reasons.
const (
	Taken  Why = iota
	Left       // no assignment selects it any more, or it is in the tenant's deleted items
	Purged     // the tenant does not have it any more
)

// Purge is what is known of an object that the tenant does not have any more.
type Purge struct {
	Code gate.Code // CodeNoPurge or CodePurging: not enough yet; empty: it was deleted for good
	Text string
}

// Case is everything that the answer for one source depends on.
type Case struct {
	Without    gate.Safeguard   // for simulations only
	Object     scoping.ObjectID // the source
	CloudID    string
	Kind       scoping.Kind
	Assignment scoping.Assignment
	Leaving    scoping.Leaving
	Why        Why
	Purge      Purge // with Why Purged: whether that may be acted on
	Link       provision.Link
	Row        *ledger.Row // with the tenant as authority; nil: it was never brought
	Mapping    *engine.Mapping
	Ends       ends
	Known      func(scoping.GUID) bool // for references: the directory's object is linked with one of the tenant

	Found    *provision.Found  // the object of Row, as the controller shows it, or nil
	ByLink   []provision.Found // objects that show the link, possibly Found
	ByPerson []Person
	// Unmatched are the attributes by which the assignment looks for persons that the engine does not write: no person would be found by them.
	Unmatched []string
	ByName    []provision.Found              // objects with the first candidate of one of its names
	Reading   uint64                         // the census's reading that changed the object of Row last
	Lives     bool                           // the census sees the object of Row, not deleted
	Fresh     bool                           // Tandem's last write to it may not be at every controller yet
	Outside   bool                           // the object of Row is outside the assignment's container, by the census
	Below     func(scoping.GUID) bool        // an object that was found is below the container
	Owned     func(scoping.GUID) string      // the cloud id that the ledger links a directory's object with; ""
	Parted    func(scoping.GUID) bool        // … and whose person left, so that it may belong to another object of the same person
	Rival     string                         // another object of the tenant that is the same person and gets an account now, or ""
	Free      func(attribute, v string) bool // the value is not used in the domain, and not reserved

	Roots     []scoping.GUID // containers of the engine's other assignments, which it may come from
	Container scoping.GUID   // where the mapping wants it; zero: the container was not found
	FirstLeft bool           // this assignment has disabled no account yet
	Answered  func(ledger.Grave) ledger.HoldState
}

// Person is an account in the domain that may belong to the source's person.
type Person struct {
	provision.Found
	By    string // the attribute that suggests it
	Value string // … and its value: one of the candidates that the source may get
}

// Verdict is the answer. If it neither writes, nor holds, nor settles, the code is why nothing can be done.
type Verdict struct {
	Outcome  engine.Outcome
	Code     gate.Code
	Reason   string
	Write    *ledger.Provisioned
	Holds    []ledger.HeldEntry // wait for a person, in a set of the class
	Class    ledger.Class
	Always   string // why it is held whatever the number; empty: only over the threshold
	Findings []Finding
	Settles  bool // the key has no debt
	Parks    bool // with Settles: it is not written any more
}

// Finding is what a person should know and Tandem does not change.
type Finding struct {
	Code gate.Code
	Text string
}

func refused(o engine.Outcome, code gate.Code, format string, args ...any) Verdict {
	return Verdict{Outcome: o, Code: code, Reason: fmt.Sprintf(format, args...)}
}

// Decide answers for one source. It is pure.
func Decide(c Case) Verdict {
	if c.Row == nil {
		return c.arrive()
	}
	if v, bad := c.missing(); bad {
		return v
	}
	found := c.evidence()
	if len(found) > 0 && !c.Without.LedgerDecides() {
		return refused(engine.Held, found[0].Code, "%s", found[0].Text)
	}
	v := c.linked()
	v.Findings = append(found, v.Findings...)
	return v
}

// linked answers for an object that the ledger links, whatever its link shows.
func (c Case) linked() Verdict {
	switch {
	case c.Why != Taken:
		return c.leave()
	case c.Mapping.Want == engine.Unknown:
		return refused(engine.Failed, CodeUnmapped, "its engine cannot say what it should be: %s", c.Mapping.Reason)
	case c.Mapping.Want == engine.Excluded:
		return c.leave()
	}
	return c.converge()
}

// evidence returns findings about links that others changed. Links in the directory are only evidence: the ledger's links decide, so that a person
// who may write the attribute can neither take over an account nor keep one from being disabled.
func (c Case) evidence() (out []Finding) {
	if c.altered() {
		out = append(out, Finding{CodeLinkChanged, fmt.Sprintf("somebody changed its %s, which was %s and is %q: put it back. It is known by its objectGUID meanwhile, and only what deletes it waits", c.Link.Attribute, c.Link.Value, first(c.shown()))})
	}
	return append(out, c.doubled()...)
}

// doubled returns the finding that another object shows the link.
func (c Case) doubled() []Finding {
	for _, f := range c.ByLink {
		if !f.Deleted && f.Object != c.Row.Object.GUID {
			return []Finding{{CodeDoubled, fmt.Sprintf("%s shows its link too, and is not written: take the value of %s away there", f.DN, c.Link.Attribute)}}
		}
	}
	return nil
}

func (c Case) shown() []string { return value(*c.Found, c.Link.Attribute) }

// altered reports whether the linked object does not show its link any more.
func (c Case) altered() bool { return !slices.Contains(c.shown(), c.Link.Value) }

// missing answers for a linked object that does not exist, or that must not be written.
func (c Case) missing() (Verdict, bool) {
	switch {
	case c.Found == nil && c.Lives:
		return refused(engine.Deferred, gate.CodeNotSeen, "the controller does not show it, and it was not seen to be deleted: nothing follows from that"), true
	case c.Found == nil, c.Found.Deleted:
		if c.Why != Taken {
			return Verdict{Outcome: engine.Unchanged, Settles: true, Parks: true}, true
		}
		v := refused(engine.Held, CodeDeletedIn, "somebody deleted it in the directory: restore it there, or take it out of the groups that bring it")
		v.Findings = c.doubled()
		return v, true
	case c.Found.Protected != "":
		return refused(engine.Failed, CodeProtected, "%s", c.Found.Protected), true
	}
	return Verdict{}, false
}

// write begins a write of the case.
func (c Case) write(op provision.Op) *ledger.Provisioned {
	w := &ledger.Provisioned{Assignment: c.Assignment.Name}
	w.Target = provision.Target{Op: op, Kind: c.Kind, Root: c.Assignment.Under.GUID, Roots: c.Roots, Link: c.Link}
	if c.Row != nil {
		w.Object, w.Seen = c.Row.Object.GUID, c.Found.USN
		if c.altered() && op != provision.Delete {
			w.Altered, w.WasLink = true, first(c.shown())
		}
	}
	return w
}

// converge answers for an existing object: enabled or disabled, name, values, container, references, with one write at a time. Disabling comes first,
// and writes that wait for a person come last.
func (c Case) converge() Verdict {
	was, before := agreedOf(c.Row, scoping.ProvisioningOf(c.Kind))
	v := Verdict{Outcome: engine.Unchanged, Settles: true}
	turn, findings := c.account(was, before)
	v.Findings = findings
	var off Verdict
	if turn != nil && turn.To {
		if off = c.disable(); off.Write != nil && off.Always == "" {
			return off
		}
		turn = nil
	}
	rest := c.values(v, was, before, turn)
	if rest.Write != nil || off.Outcome == "" {
		return rest
	}
	if off.Findings = append(off.Findings, rest.Findings...); !rest.Settles {
		off.Findings = append(off.Findings, Finding{rest.Code, rest.Reason})
	}
	return off
}

// disable disables the account, wherever it is and whatever its link shows.
func (c Case) disable() Verdict {
	w := c.write(provision.Modify)
	w.Disabled = &provision.Switch{Was: false, To: true}
	if c.Outside || w.Altered {
		w.ByGUID, w.Altered, w.WasLink = true, false, ""
	}
	v := c.weigh(Verdict{Outcome: engine.Applied, Code: CodeDisabling, Write: w})
	if c.FirstLeft && len(v.Holds) > 0 {
		v.Always = fmt.Sprintf("the first accounts that assignment %q disables in the directory: tenant → directory", c.Assignment.Name)
	}
	return v
}

// values answers for everything except disabling; turn enables the account together with its values, or is nil.
func (c Case) values(v Verdict, was agreed, before bool, turn *provision.Switch) Verdict {
	if c.Outside {
		out := refused(engine.Held, CodeMovedAway, "somebody moved it to %s, outside the container of the policy: but for being disabled it is not written until it is back there", c.Found.DN)
		out.Findings = v.Findings
		return out
	}
	named, renames := c.rename()
	if renames && c.fresh() {
		return named
	}
	w := c.write(provision.Modify)
	for _, name := range slices.Sorted(maps.Keys(c.Mapping.Desired)) {
		f := c.Mapping.Desired[name]
		if f.Once || f.Unique || name == engine.CommonName || name == engine.AccountDisabled {
			continue
		}
		if is := value(*c.Found, name); !same(is, f.Text) {
			w.Set = append(w.Set, provision.Set{Attribute: name, Was: is, To: f.Text})
		}
	}
	w.Disabled = turn
	if len(w.Set) > 0 || w.Disabled != nil {
		return c.weigh(Verdict{Outcome: engine.Applied, Write: w, Findings: v.Findings})
	}
	if refs := c.references(v); refs.Write != nil || !refs.Settles {
		return refs
	}
	switch {
	case c.Container.IsZero():
		return refused(engine.Failed, CodeNoContainer, "container %s is not there", c.Mapping.Container)
	case c.Found.Parent == c.Container:
	case before && was.Container == c.Container:
		v.Findings = append(v.Findings, Finding{CodeMovedAway, "somebody moved it to " + c.Found.DN + "; it goes back only when what is wanted of it changes"})
	default:
		w := c.write(provision.Move)
		w.Container, w.From = c.Container, c.Found.Parent
		return c.grave(Verdict{Outcome: engine.Applied, Write: w, Findings: v.Findings}, ledger.Destructive, string(provision.Move), nil, c.Container.String())
	}
	if renames { // the last write, since it may wait for a person
		named.Findings = v.Findings
		return named
	}
	return v
}

// fresh reports whether the object still has the name that it was made under.
func (c Case) fresh() bool { return first(value(*c.Found, "cn")) == c.Link.Value }

// rename writes the common name. A name that is set only once is written only while the object has the name that it was made under.
func (c Case) rename() (Verdict, bool) {
	cn, is := c.Mapping.Desired[engine.CommonName], first(value(*c.Found, "cn"))
	if len(cn.Text) == 0 || is == "" || (cn.Once || cn.Unique) && !c.fresh() {
		return Verdict{}, false
	}
	want := cn.Text[0]
	if cn.Unique {
		i := slices.IndexFunc(cn.Text, func(v string) bool { return c.Free(engine.CommonName, v) })
		if i < 0 {
			return refused(engine.Failed, CodeNamesTaken, "every candidate for its name is somebody else's: %s", strings.Join(cn.Text, ", ")), true
		}
		want = cn.Text[i]
	}
	if want == is {
		return Verdict{}, false
	}
	w := c.write(provision.Rename)
	w.Name, w.WasName = want, is
	v := Verdict{Outcome: engine.Applied, Write: w}
	if !c.fresh() {
		v = c.grave(v, ledger.Destructive, string(provision.Rename), []ledger.Change{{Attribute: engine.CommonName, Old: []string{is}, New: []string{want}}}, "")
	}
	return v, true
}

// account returns whether the account is to be disabled or enabled. It is enabled after it was made, or if the tenant's state changed since, and
// never because others disabled it.
func (c Case) account(was agreed, before bool) (*provision.Switch, []Finding) {
	f := c.Mapping.Desired[engine.AccountDisabled]
	if c.Kind != scoping.User || len(f.Text) == 0 || f.Once && before {
		return nil, nil
	}
	is, want := disabled(*c.Found), f.Text[0] == "true"
	switch {
	case is == want:
		return nil, nil
	case want:
		return &provision.Switch{Was: false, To: true}, nil
	case c.othersDisabled(was, before) && c.Without.EnablesBySource():
		return nil, []Finding{{CodeDisabledIn, "somebody disabled it in the directory; it is enabled only when the tenant disables and enables it"}}
	}
	return &provision.Switch{Was: true, To: false}, nil
}

// othersDisabled reports whether the account, which is disabled and should not be, was disabled by others. Where the answer to its disabling was lost,
// that is unknown: who comes back is enabled by that, and another person who gets the account is not [security had disabled it, and the disabling never
// arrived].
func (c Case) othersDisabled(was agreed, before bool) bool {
	switch {
	case c.switched(ledger.Enabled):
		return true
	case !before || c.switched(ledger.Disabled) || c.switched(ledger.ShownDisabled):
		return false
	}
	return was.Disabled == "false" || was.Disabled == byWhoever && c.switched(ledger.Relinked)
}

// switched reports whether Tandem enabled or disabled the account after the last agreement.
func (c Case) switched(how string) bool {
	l := c.Row.Features[scoping.ProvisioningOf(c.Kind)]
	return l != nil && slices.Contains(l.Attrs, how)
}

// references adds missing references, and removes those to objects of the tenant.
func (c Case) references(v Verdict) Verdict {
	for _, name := range slices.Sorted(maps.Keys(c.Mapping.Refs)) {
		want, told := c.Ends[c.Mapping.Refs[name]]
		if !told {
			continue
		}
		is := referred(*c.Found, name)
		r := provision.Ref{Attribute: name, Add: without(want, is), Remove: without(is, want)}
		if name == "member" {
			r.Remove = slices.DeleteFunc(r.Remove, func(g scoping.GUID) bool { return !c.Known(g) }) // members without an object of the tenant were added by others
		}
		if len(r.Add) > 0 && name == "member" { // additions do not wait for removals
			r.Remove = nil
		}
		r.Add, r.Remove = r.Add[:min(len(r.Add), provision.MaxRefs)], r.Remove[:min(len(r.Remove), provision.MaxRefs)]
		if len(r.Add)+len(r.Remove) == 0 {
			continue
		}
		w := c.write(provision.Modify)
		w.Refs = []provision.Ref{r}
		out := Verdict{Outcome: engine.Applied, Write: w, Findings: v.Findings}
		if name == "member" && len(r.Remove) > 0 {
			return c.grave(out, ledger.Memberships, "remove-members", nil, strconv.Itoa(len(r.Remove)))
		}
		return out
	}
	return v
}

// referred returns the objects in a reference of an object that was found.
func referred(f provision.Found, name string) (out []scoping.GUID) {
	for _, t := range value(f, name) {
		if g, err := scoping.ParseGUID(t); err == nil {
			out = append(out, g)
		}
	}
	return out
}

// weigh sets the class by which thresholds count a modification.
func (c Case) weigh(v Verdict) Verdict {
	var changes []ledger.Change
	for _, s := range v.Write.Set {
		if strings.EqualFold(s.Attribute, "userPrincipalName") || strings.EqualFold(s.Attribute, "sAMAccountName") || strings.EqualFold(s.Attribute, "mail") || len(s.To) == 0 {
			changes = append(changes, ledger.Change{Attribute: s.Attribute, Old: s.Was, New: s.To})
		}
	}
	if d := v.Write.Disabled; d != nil && d.To {
		changes = append(changes, ledger.Change{Attribute: engine.AccountDisabled, Old: []string{"false"}, New: []string{"true"}})
	}
	if len(changes) == 0 {
		return v
	}
	return c.grave(v, ledger.Destructive, string(v.Write.Op), changes, "")
}

// grave adds a class and a grave part to a write, or holds it.
func (c Case) grave(v Verdict, class ledger.Class, op string, changes []ledger.Change, detail string) Verdict {
	g := ledger.Grave{Op: op, Target: c.Row.Object.String(), Changes: changes, Detail: detail}
	v.Write.Class, v.Write.Grave, v.Class = class, g.Digest(), class
	v.Holds = []ledger.HeldEntry{c.entry(g, "")}
	switch c.Answered(g) {
	case ledger.HoldApproved:
		v.Write.Approved, v.Holds = true, nil
	case ledger.HoldRejected:
		return Verdict{Outcome: engine.Refused, Code: gate.CodeRejected, Reason: "a person rejected it", Findings: v.Findings}
	}
	return v
}

// leave answers for an account that no assignment selects any more: disabled, deleted if a person says so, or kept.
func (c Case) leave() Verdict {
	done := Verdict{Outcome: engine.Unchanged, Settles: true, Parks: true}
	disables := c.Kind == scoping.User && c.Leaving != scoping.Keep && !disabled(*c.Found)
	ends := c.Why == Purged && c.Leaving != scoping.Keep || c.Leaving == scoping.Remove
	switch {
	case disables:
		return c.disable()
	case c.Kind == scoping.User && c.Leaving != scoping.Keep && c.Fresh && c.switched(ledger.Enabled): // once parked, it would never be disabled
		return refused(engine.Deferred, gate.CodeNotSeen, "it was enabled a while ago and is shown disabled: somebody disabled it, or this controller does not have our write yet")
	case ends && c.altered():
		return refused(engine.Held, CodeLinkChanged, "it is not deleted while its %s is %q and not %s: put the value back", c.Link.Attribute, first(c.shown()), c.Link.Value)
	case ends && c.Outside: // an approval would have no effect: its assignment writes nothing there
		return refused(engine.Held, CodeMovedAway, "it is not deleted while it lies outside the container of the policy, at %s: move it back there, or delete it", c.Found.DN)
	case c.Why == Purged && ends && c.Purge.Code != "": // after other obstacles: the code remembers that it waits for evidence
		return refused(engine.Deferred, c.Purge.Code, "%s", c.Purge.Text)
	case ends:
		w := c.write(provision.Delete)
		v := c.grave(Verdict{Outcome: engine.Applied, Code: CodePurged, Write: w}, ledger.Deletes, string(provision.Delete), nil, "")
		v.Always = "objects of the directory whose objects of the tenant are gone: tenant → directory"
		return v
	}
	return done
}

// value returns the values of an attribute, ignoring the case of its name.
func value(f provision.Found, name string) []string {
	if v, ok := f.Values[name]; ok {
		return v
	}
	for n, v := range f.Values {
		if strings.EqualFold(n, name) {
			return v
		}
	}
	return nil
}

func first(v []string) string {
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

// same compares sets of values.
func same(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// without returns the elements of a that are not in b, in their order.
func without(a, b []scoping.GUID) []scoping.GUID {
	return slices.DeleteFunc(slices.Clone(a), func(g scoping.GUID) bool { return slices.Contains(b, g) })
}

// accountDisable is the bit of userAccountControl (MS-ADTS 2.2.16).
const accountDisable = 0x2

func disabled(f provision.Found) bool {
	n, err := strconv.ParseInt(first(value(f, "userAccountControl")), 10, 64)
	return err == nil && n&accountDisable != 0
}
