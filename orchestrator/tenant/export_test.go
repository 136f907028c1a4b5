package tenant

// The seams that tests look through.
var (
	ParseEvents = parseEvents
	GuardBody   = guardBody
	Watch       = watch
)
