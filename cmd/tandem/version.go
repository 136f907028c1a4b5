package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// version is the program's; releases set it by the linker.
var version = "0.1.0-dev"

// build is what this program was made of. Commit and Date are empty where the build did not know them.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Date     string `json:"date"`     // of the commit, RFC 3339
	Modified bool   `json:"modified"` // the files were not those of the commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func buildOf(info *debug.BuildInfo, known bool) build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if !known {
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

func versionCommand() *cli.Command {
	return &cli.Command{Name: "version", Usage: "what this program was built of", Action: func(c *cli.Context) error {
		if err := arguments(c); err != nil {
			return err
		}
		return printResult(c, buildOf(debug.ReadBuildInfo()), func(w io.Writer, b build) {
			note := ""
			if b.Modified {
				note = ", changed since"
			}
			fmt.Fprintf(w, "tandem %s\ncommit   %s%s\ndate     %s\nbuilt    %s, %s\n", b.Version, cmp.Or(b.Commit, "not known"), note, cmp.Or(b.Date, "not known"), b.Go, b.Platform)
		})
	}}
}
