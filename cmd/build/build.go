// Package build tells what a program was built of: version, commit and its date. Releases set them by the linker (.ci/build); else Go's own stamps of the
// version control are read, as far as the build has them.
package build

import (
	"cmp"
	"runtime"
	"runtime/debug"
)

// The linker sets these: -X github.com/tandem-sync/tandem/cmd/build.version=1.2.3.
var (
	version  = "0.1.0-dev"
	commit   string
	date     string // of the commit, RFC 3339
	modified string // "true": the files were not those of the commit
)

// Info is what a program was built of. Commit and Date are empty where the build did not know them.
type Info struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Date     string `json:"date"`     // of the commit, RFC 3339
	Modified bool   `json:"modified"` // the files were not those of the commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Version returns the program's version.
func Version() string { return version }

// Of returns what this program was built of.
func Of() Info {
	info, _ := debug.ReadBuildInfo()
	return of(info)
}

func of(info *debug.BuildInfo) Info {
	b := Info{Version: version, Commit: commit, Date: date, Modified: modified == "true", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info == nil || commit != "" { // what the linker set is whole
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// Text returns what people read of it, for the program of a name.
func (i Info) Text(program string) string {
	note := ""
	if i.Modified {
		note = ", changed since"
	}
	return program + " " + i.Version + "\ncommit   " + cmp.Or(i.Commit, "not known") + note + "\ndate     " + cmp.Or(i.Date, "not known") + "\nbuilt    " + i.Go + ", " + i.Platform + "\n"
}
