package expression

import "github.com/tandem-sync/tandem/scoping/attribute"

// Extensions returns the values of the extensions of a user by the tenant's names, "" where the directory has none: of each the first value of the directory's
// attribute of which it is made, trimmed and cut to what the tenant takes. value reads an attribute's first value.
func Extensions(names []string, value func(attribute string) string) map[string]string {
	out := make(map[string]string, len(names))
	for _, n := range names {
		out[n] = Fit(n, value(attribute.Source(n)))
	}
	return out
}

// ExtensionSources returns the directory's attributes of which extensions are made.
func ExtensionSources(names []string) []string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		if s := attribute.Source(n); s != "" {
			out = append(out, s)
		}
	}
	return out
}
