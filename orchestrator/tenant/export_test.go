package tenant

// The seams that tests look through.
var (
	GuardBody = guardBody
	Watch     = watch
)
