package scoping

import "strconv"

// Many says how many there are: "1 object", "3 objects". Where a verb belongs to the noun, both hold it: "object waits", "objects wait".
func Many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + more
}
