package host

import (
	"slices"
	"strconv"
)

func sorted[V any](m map[string]V) []string {
	ks := make([]string, 0, len(m))
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}

// waveID makes the name of a wave from 64 bits of its plan's fingerprint and its place in the plan: names of different plans do not meet.
func waveID(fingerprint string, i int) string {
	return "w" + fingerprint[:16] + "-" + strconv.Itoa(i+1)
}

// shortWaveID is how earlier plan files named their waves.
func shortWaveID(fingerprint string, i int) string {
	return "w" + fingerprint[:6] + "-" + strconv.Itoa(i+1)
}
