package policy

import (
	"strings"

	"github.com/tandem-sync/tandem/scoping"
)

func nearest(key string, entries []entry) string {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.key
	}
	return Nearest(key, names)
}

// Nearest is the hint for an unknown key: the known one that needs the fewest changes, if it is near enough to be meant,
// else all of them.
func Nearest(key string, names []string) string {
	best, least := "", len(key)/2+1
	for _, n := range names {
		if d := scoping.EditDistance(strings.ToLower(key), strings.ToLower(n), least); d < least {
			best, least = n, d
		}
	}
	if best != "" {
		return "did you mean \"" + best + "\"?"
	}
	return "the keys are " + strings.Join(names, ", ")
}
