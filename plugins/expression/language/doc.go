// Package language reads and evaluates the expressions of attribute mappings: the language in which Microsoft Entra provisioning says what a
// target attribute is made of, such as
//
//	Append(Append(Left(Trim([displayName]),51),"_"),Mid([objectId],25,12))
//
// Its meaning is Microsoft's where Microsoft documents it; each function names its page. Where the pages are silent the choice is said at the
// function. The life of an expression: [Parse] reads the text and knows nothing of names; [Expression.Compile] checks it against a [Schema], all
// of it, and reports every mistake with its place; [Program.Value] evaluates it over the [Facts] of one object, as often as wanted and by several
// goroutines at once.
//
// Evaluation is a function of the facts: there is no clock, no randomness and no state, so that the same object always gives the same values. It is
// bounded: depth and size of expressions, the length of texts and lists, and what a regular expression may cost. A bound that is reached is an error
// and never a shorter value.
package language

// Revision is raised whenever a function gives another value for the same facts: what engines made by it has to be looked at anew.
const Revision = 1
