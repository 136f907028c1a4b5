package simulation

import "slices"

// Kind is a kind of failure that is known and not mended yet. Which kind a violation is of is decided by what was found and by what had happened to the object
// before, so that it can be said of any seed. testdata/known.txt lists the seeds of the usual run that show one.
type Kind struct {
	Row  string // of the findings of 28 November 2026
	Says string
	is   func(*Violation) bool
}

// Kinds lists the known kinds. The first that fits counts, so what says more stands before what says less.
//
//	row  what is lost
//	T1   one who was deleted because he left, and is chosen again
//	T2   what a target wants, when the host is killed between cutover and catch-up
//	T3   a reference that waits, when a wave's target judged the group in shadow
//	T4   one who came back while the tenant's view was older than his delete
//	T5   whom a group chooses that emptied or vanished and came back
//	T6   the order of writers, when an object moves and dies while a write is admitted
//	T7   a link whose end dies during the run
//	T8   what a target judged while the log was read for what changed since verify
//	V1   (not among the findings) an object that its engine saw before the host did
//	T9   rest: an object that nobody has to be asked for stays owed
//	T10  whose an object is, if its create was in doubt when it moved
//	T11  the time in which an earlier attempt may still take effect, when a doubt is repeated
//	T12  the same, when the tenant showed the wish for another reason
func Kinds() []Kind {
	return []Kind{
		{"T12", "a doubt ends because the tenant showed the wish for another reason, while the request may still take effect", all(shape(mayTakeEffect), had(DoubtSeen))},
		{"T11", "a doubt is repeated by the host, and a different write goes out while an attempt may still take effect", all(shape(mayTakeEffect), had(DoubtRepeated))},
		{"T7", "a link is cut whose end died in the directory during the run", all(shape(linkCut), had(EndDied))},
		{"T6", "an object moves and dies while a write of its new owner is admitted", all(shape(strangerKills, strangerSends), had(Dead), had(Moved))},
		{"T5", "a group that emptied or vanished comes back, and those it chooses are what they were", all(shape(chosenOther, notThere, stillOwed, notRemoved, notDisabled), had(GroupThawed))},
		{"T4", "one who comes back within the tenant's delay of his delete is taken for deleted by others", all(shape(notThere), had(Undeleted), had(DeletedByUs))},
		{"T1", "one who was removed because he left stays deleted although he is chosen again", all(shape(notThere), had(LeftDeleted), had(DeletedByUs))},
		{"T2", "what the target of a wave wants is forgotten when the host is killed between cutover and catch-up", all(shape(valueDiffers, notThere, linkMissing, linkTooMuch, deadLives), had(KilledAfterCut))},
		{"T10", "an object whose create is in doubt moves, and the transfer leaves it to its old owner", all(shape(keptByOld, notRemoved, notDisabled, valueDiffers), had(Doubted), had(Moved))},
		{"T3", "a reference that waits is forgotten when a wave's target judged its holder in shadow", all(shape(linkMissing, linkTooMuch), had(ShadowRefs))},
		{"T8", "what a wave's target judged late is forgotten", all(shape(valueDiffers, notThere, restSends), had(ShadowJudged))},
		{"V1", "an engine that saw an object before the host did is put off, and nobody asks it again", all(shape(notThere), had(NotSeen))},
		{"T9", "an object that nobody has to be asked for stays owed for ever", all(shape(stillOwed), one(had(Dead), had(LeftOut), had(Moved)))},
	}
}

// Kind gives the row of the known kind that a violation is of, or "".
func (v *Violation) Kind() string {
	for _, k := range Kinds() {
		if k.is(v) {
			return k.Row
		}
	}
	return ""
}

func all(fs ...func(*Violation) bool) func(*Violation) bool {
	return func(v *Violation) bool {
		return !slices.ContainsFunc(fs, func(f func(*Violation) bool) bool { return !f(v) })
	}
}

func one(fs ...func(*Violation) bool) func(*Violation) bool {
	return func(v *Violation) bool {
		return slices.ContainsFunc(fs, func(f func(*Violation) bool) bool { return f(v) })
	}
}

func shape(shapes ...string) func(*Violation) bool {
	return func(v *Violation) bool { return slices.Contains(shapes, v.Shape) }
}

func had(f Fact) func(*Violation) bool {
	return func(v *Violation) bool { return slices.Contains(v.Facts, f) }
}
