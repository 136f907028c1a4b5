package policy

import (
	"strings"
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
		if d := distance(strings.ToLower(key), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	if best != "" {
		return "did you mean \"" + best + "\"?"
	}
	return "the keys are " + strings.Join(names, ", ")
}

// distance is the number of bytes to insert, remove or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
