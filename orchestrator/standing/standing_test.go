package standing_test

import (
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

const (
	mine  = "connect"
	other = "cloudsync"
)

var (
	attrs = []string{cloud.DisplayName, "department"}
	there = &cloud.Object{ID: "c1", Values: cloud.Values{cloud.DisplayName: {"Ann"}, "department": {"Sales"}, "jobTitle": {"Clerk"}}}
)

// settled are the facts of a linked user whose engine agreed with the tenant and nothing happened since.
func settled() standing.Facts {
	return standing.Facts{Kind: scoping.User, Feature: scoping.Users, Now: 1e9, Known: true, Expected: true, Changed: 7, Owner: mine, Last: mine, Ran: true,
		Row: &ledger.Row{Kind: scoping.User, CloudID: "c1", State: ledger.Live}, Record: mine, Recorded: true, Target: cloud.Digest(there, attrs),
		End:   func(scoping.ObjectID) standing.End { return standing.Left },
		Claim: &standing.Claim{Want: engine.Present, Agrees: true, Attrs: attrs, Target: cloud.Digest(there, attrs), Reading: 7}}
}

// Rules S2, S2a, S6: each debt is found by comparison, whoever did not tell of it, and nothing else is.
func TestDebts(t *testing.T) {
	refs := func(f *standing.Facts) { f.Feature = scoping.References }
	unlinked := func(f *standing.Facts) { f.Row, f.Target, f.Recorded, f.Record = nil, 0, false, "" }
	claim := func(change func(*standing.Claim)) func(*standing.Facts) {
		return func(f *standing.Facts) { c := *f.Claim; change(&c); f.Claim = &c }
	}
	state := func(s ledger.RowState) func(*standing.Facts) {
		return func(f *standing.Facts) { r := *f.Row; r.State = s; f.Row = &r }
	}
	end := func(e standing.End) func(*standing.Facts) {
		return func(f *standing.Facts) {
			claim(func(c *standing.Claim) { c.Waits = []scoping.ObjectID{{Directory: "d"}} })(f)
			f.End = func(scoping.ObjectID) standing.End { return e }
		}
	}
	unkept := func(said, remembered uint64) func(*standing.Facts) {
		return func(f *standing.Facts) {
			claim(func(c *standing.Claim) { c.Unkept = said })(f)
			f.Unkept = remembered
		}
	}
	renamed := there.Clone()
	renamed.Values[cloud.DisplayName] = []string{"Ann B."}
	promoted := there.Clone()
	promoted.Values["jobTitle"] = []string{"Head"}
	binned := there.Clone()
	binned.Deleted = true
	for name, x := range map[string]struct {
		change []func(*standing.Facts)
		code   standing.Code
		to     standing.Addressee
		engine string
	}{
		"nothing happened":                           {nil, standing.Settled, standing.OtherKey, ""},
		"the directory changed":                      {[]func(*standing.Facts){func(f *standing.Facts) { f.Changed = 8 }}, standing.Unasked, standing.Owner, mine},
		"its engine never spoke":                     {[]func(*standing.Facts){func(f *standing.Facts) { f.Claim = nil }}, standing.Unasked, standing.Owner, mine},
		"its engine never ran":                       {[]func(*standing.Facts){func(f *standing.Facts) { f.Claim, f.Ran = nil, false }}, standing.Settled, standing.OtherKey, ""},
		"it was not agreed, and waits for a person":  {[]func(*standing.Facts){claim(func(c *standing.Claim) { c.Agrees, c.Person = false, true })}, standing.Differs, standing.Person, mine},
		"… and the tenant changed since":             {[]func(*standing.Facts){claim(func(c *standing.Claim) { c.Agrees, c.Person, c.Target = false, true, 1 })}, standing.Differs, standing.Owner, mine},
		"it was not agreed":                          {[]func(*standing.Facts){claim(func(c *standing.Claim) { c.Agrees = false })}, standing.Differs, standing.Owner, mine},
		"only a dying end keeps it back":             {[]func(*standing.Facts){refs, claim(func(c *standing.Claim) { c.Agrees = false }), func(f *standing.Facts) { f.Partial = true }}, standing.EndWaits, standing.Owner, mine},
		"somebody changed what the engine manages":   {[]func(*standing.Facts){func(f *standing.Facts) { f.Target = cloud.Digest(&renamed, attrs) }}, standing.Foreign, standing.Owner, mine},
		"somebody changed what it does not":          {[]func(*standing.Facts){func(f *standing.Facts) { f.Target = cloud.Digest(&promoted, attrs) }}, standing.Settled, standing.OtherKey, ""},
		"somebody deleted it":                        {[]func(*standing.Facts){func(f *standing.Facts) { f.Target = cloud.Digest(&binned, attrs) }}, standing.Foreign, standing.Owner, mine},
		"another engine wrote it last":               {[]func(*standing.Facts){func(f *standing.Facts) { f.Record = other }}, standing.Moved, standing.Owner, mine},
		"it lay where no engine writes":              {[]func(*standing.Facts){state(ledger.ParkedRow)}, standing.Moved, standing.Owner, mine},
		"it died":                                    {[]func(*standing.Facts){func(f *standing.Facts) { f.Deleted = true }}, standing.Died, standing.Owner, mine},
		"it died, and who wrote it last has left":    {[]func(*standing.Facts){func(f *standing.Facts) { f.Deleted, f.Last = true, other }}, standing.Died, standing.Owner, other},
		"it died, and was nobody's":                  {[]func(*standing.Facts){func(f *standing.Facts) { f.Deleted, f.Last = true, scoping.None }}, standing.Settled, standing.OtherKey, ""},
		"it died, its references":                    {[]func(*standing.Facts){refs, func(f *standing.Facts) { f.Deleted = true }}, standing.Settled, standing.OtherKey, ""},
		"it died and is deleted":                     {[]func(*standing.Facts){state(ledger.DeletedByTandem), func(f *standing.Facts) { f.Deleted = true }}, standing.Settled, standing.OtherKey, ""},
		"it came back":                               {[]func(*standing.Facts){state(ledger.DeletedByTandem), func(f *standing.Facts) { f.Changed = 8 }}, standing.Returned, standing.Owner, mine},
		"it came back, and a person keeps it out":    {[]func(*standing.Facts){state(ledger.DeletedByTandem), func(f *standing.Facts) { f.Rejected = true }}, standing.Settled, standing.OtherKey, ""},
		"… and keeps it out, and it changed since":   {[]func(*standing.Facts){state(ledger.DeletedByTandem), func(f *standing.Facts) { f.Changed, f.Rejected = 8, true }}, standing.Returned, standing.Owner, mine},
		"new, and a person rejected its create":      {[]func(*standing.Facts){unlinked, func(f *standing.Facts) { f.Rejected = true }}, standing.Settled, standing.OtherKey, ""},
		"… and rejected its create, then it changed": {[]func(*standing.Facts){unlinked, func(f *standing.Facts) { f.Changed, f.Rejected = 8, true }}, standing.Unasked, standing.Owner, mine},
		"… and it was not answered with that":        {[]func(*standing.Facts){unlinked, claim(func(c *standing.Claim) { c.Agrees = false }), func(f *standing.Facts) { f.Rejected = true }}, standing.Differs, standing.Owner, mine},
		"it left for where no engine writes":         {[]func(*standing.Facts){func(f *standing.Facts) { f.Owner, f.Claim = scoping.None, nil }}, standing.Leaves, standing.Owner, mine},
		"it was seen off":                            {[]func(*standing.Facts){state(ledger.ParkedRow), func(f *standing.Facts) { f.Owner, f.Claim, f.Record = scoping.None, nil, scoping.None }}, standing.Settled, standing.OtherKey, ""},
		"a write of it has no answer":                {[]func(*standing.Facts){func(f *standing.Facts) { f.InFlight = true }}, standing.InFlight, standing.Time, mine},
		"nobody saw it":                              {[]func(*standing.Facts){func(f *standing.Facts) { f.Known = false }}, standing.Settled, standing.OtherKey, ""},
		"an end that it refers to came":              {[]func(*standing.Facts){refs, end(standing.There)}, standing.EndCame, standing.Owner, mine},
		"an end that it refers to will come":         {[]func(*standing.Facts){refs, end(standing.Waits)}, standing.EndWaits, standing.OtherKey, mine},
		"an end that it refers to may never come":    {[]func(*standing.Facts){refs, end(standing.Left)}, standing.Settled, standing.OtherKey, ""},
		"new": {[]func(*standing.Facts){unlinked, func(f *standing.Facts) { f.Claim = nil }}, standing.Unasked, standing.Owner, mine},
		"new, of a kind that nobody synchronizes":    {[]func(*standing.Facts){unlinked, func(f *standing.Facts) { f.Claim, f.Expected = nil, false }}, standing.Settled, standing.OtherKey, ""},
		"new, and its create did not work":           {[]func(*standing.Facts){unlinked, claim(func(c *standing.Claim) { c.Agrees, c.Target = false, 0 })}, standing.Differs, standing.Owner, mine},
		"new, its references":                        {[]func(*standing.Facts){unlinked, refs, func(f *standing.Facts) { f.Claim = nil }}, standing.Settled, standing.OtherKey, ""},
		"left out":                                   {[]func(*standing.Facts){unlinked, claim(func(c *standing.Claim) { c.Want, c.Attrs, c.Target = engine.Excluded, nil, 0 })}, standing.Settled, standing.OtherKey, ""},
		"left out and linked, its references":        {[]func(*standing.Facts){refs, func(f *standing.Facts) { f.Claim, f.Left = nil, true }}, standing.Settled, standing.OtherKey, ""},
		"its engine said nothing when it was asked":  {[]func(*standing.Facts){claim(func(c *standing.Claim) { *c = standing.Claim{Want: engine.Unknown, Reading: 7, At: 1e9} })}, standing.Unclaimed, standing.Person, mine},
		"… an hour ago":                              {[]func(*standing.Facts){claim(func(c *standing.Claim) { *c = standing.Claim{Want: engine.Unknown, Reading: 7, At: 1e9 - 3_600_000} })}, standing.Unasked, standing.Owner, mine},
		"its engine makes values by other rules now": {[]func(*standing.Facts){func(f *standing.Facts) { f.Rules = 5 }}, standing.Unasked, standing.Owner, mine},
		"… and by the same":                          {[]func(*standing.Facts){func(f *standing.Facts) { f.Rules = 5 }, claim(func(c *standing.Claim) { c.Rules = 5 })}, standing.Settled, standing.OtherKey, ""},
		"… and it changed since":                     {[]func(*standing.Facts){claim(func(c *standing.Claim) { *c = standing.Claim{Want: engine.Unknown, Reading: 6, At: 1e9} })}, standing.Unasked, standing.Owner, mine},
		"it does not last, and is left alone":        {[]func(*standing.Facts){unkept(9, 9)}, standing.Settled, standing.OtherKey, ""},
		"… and another engine wrote it since":        {[]func(*standing.Facts){unkept(9, 0)}, standing.Differs, standing.Owner, mine},
		"… and what that wrote does not last either": {[]func(*standing.Facts){unkept(9, 8)}, standing.Differs, standing.Owner, mine},
		"a person answered":                          {[]func(*standing.Facts){func(f *standing.Facts) { f.Answered = true }}, standing.Answered, standing.Owner, mine},
	} {
		f := settled()
		for _, change := range x.change {
			change(&f)
		}
		got := standing.Of(f)
		if got.Code != x.code || got.To != x.to || x.engine != "" && got.Engine != x.engine {
			t.Errorf("%s: %+v, want %s of %s", name, got, x.code, x.engine)
		}
		if got.Code != standing.Settled && got.Code.Sentence() == "" {
			t.Errorf("%s: no sentence tells people of %s", name, got.Code)
		}
	}
}
