package gate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
)

const parkPrefix = "tandem-park-"

// NameChange is a change of one tenant object's sign-in name.
type NameChange struct {
	ID       string
	Old, New string
}

// Rings returns the cycles among changes of sign-in names, as indexes: each object wants the name that another of the ring has, so that the tenant
// accepts none of the changes first. A ring is in order of writing: its first object, the one with the lowest id, has to give up its name before;
// each of the others wants the name of the one before it. Rings are in order of their first.
func Rings(cs []NameChange) (rings [][]int) {
	holder := holders(cs)
	state := make([]int, len(cs)) // 0: not visited; else the walk that visited it
	for start := range cs {
		at := start
		for at >= 0 && state[at] == 0 {
			state[at] = start + 1
			at = holder[at]
		}
		if at < 0 || state[at] != start+1 {
			continue
		}
		ring := []int{at}
		for next := holder[at]; next != at; next = holder[next] {
			ring = append(ring, next)
		}
		slices.Reverse(ring) // from holder to the change that wants its name
		low := slices.IndexFunc(ring, func(i int) bool {
			return !slices.ContainsFunc(ring, func(j int) bool { return cs[j].ID < cs[i].ID })
		})
		rings = append(rings, slices.Concat(ring[low:], ring[:low]))
	}
	slices.SortFunc(rings, func(a, b []int) int { return cmp.Compare(cs[a[0]].ID, cs[b[0]].ID) })
	return rings
}

// holders returns for each change the index of the one whose object has the wanted name, or -1.
func holders(cs []NameChange) []int {
	has := map[string]int{}
	for i, c := range cs {
		has[strings.ToLower(c.Old)] = i
	}
	out := make([]int, len(cs))
	for i, c := range cs {
		h, taken := has[strings.ToLower(c.New)]
		if out[i] = h; !taken || h == i {
			out[i] = -1
		}
	}
	return out
}

// Turns returns for each change how many others have to be written before it, one after the other: the chain of those that have the wanted names. The
// first of each ring has given up its name.
func Turns(cs []NameChange, rings [][]int) []int {
	holder := holders(cs)
	for _, r := range rings {
		holder[r[1]] = -1
	}
	turns := make([]int, len(cs))
	for i := range cs {
		for h := holder[i]; h >= 0; h = holder[h] {
			turns[i]++
		}
	}
	return turns
}

// ParkName is the sign-in name of a user while the others of its ring get theirs. It contains the tenant's id of the user, which makes it unique and
// tells an administrator where it belongs.
func ParkName(id, domain, old string) string {
	if domain == "" {
		_, domain, _ = strings.Cut(old, "@")
	}
	return parkPrefix + id + "@" + domain
}

// isParked reports whether an object has the temporary name that Tandem gave it. Replacing such a name endangers no sign-in.
func isParked(id string, values cloud.Values) bool {
	local, _, _ := strings.Cut(values.First(cloud.UPN), "@")
	return strings.EqualFold(local, parkPrefix+id)
}
