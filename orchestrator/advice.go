package orchestrator

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/tenant"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/state"
)

// Advice returns an error's message and, separately, its hint. Without a hint the message is the whole text.
func Advice(err error) (message, hint string) {
	message = err.Error()
	var d *directory.DialError
	var g *tenant.GraphError
	var o *state.OwnerError
	switch {
	case errors.As(err, &o):
		return message, fmt.Sprintf("run it as that user: runuser -u %s -- tandem …; or with the service running, which does for root what root asks", o.Owner)
	case errors.As(err, &d) && d.Hint != "":
		return strings.Replace(message, " ("+d.Hint+")", "", 1), d.Hint
	case errors.As(err, &g) && g.Hint != "":
		return strings.Replace(message, "; "+g.Hint, "", 1), g.Hint
	}
	return message, ""
}

// IsDirectory reports whether an error means that a controller could not be used.
func IsDirectory(err error) bool {
	var d *directory.DialError
	return errors.As(err, &d)
}

// IsTenant reports whether an error is a refusal by Graph, or a failure on the way to it.
func IsTenant(err error) bool {
	var g *tenant.GraphError
	return errors.As(err, &g)
}
