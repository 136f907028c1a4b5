package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/api"
)

func historyCommand() *cli.Command {
	return &cli.Command{Name: "history", Usage: "runs of the engines, newest first", Flags: []cli.Flag{
		&cli.StringFlag{Name: "engine", Usage: "only runs of `NAME`"},
		&cli.IntFlag{Name: "limit", Usage: "at most `N` runs; 0: all that are kept", Value: 20},
	}, Action: func(c *cli.Context) error {
		if err := arguments(c); err != nil {
			return err
		}
		return ask(c, request{glance: true, command: "history", body: api.HistoryRequest{Engine: c.String("engine"), Limit: c.Int("limit")}, view: view(showHistory)})
	}}
}

func showHistory(w io.Writer, h api.History) {
	if len(h.Runs) == 0 {
		fmt.Fprintln(w, "no engine ran yet: tandem sync ENGINE --profile full")
		return
	}
	var rows [][]string
	for _, r := range h.Runs {
		profile, result := r.Profile, r.Result
		if r.Stream != "" {
			profile = string(r.Stream) + " " + profile
		}
		switch {
		case r.Message != "":
			result += ": " + r.Message
		case r.Stopped != "":
			result += ", wrote nothing: " + r.Stopped
		}
		row := []string{r.Start, r.Engine, profile, (time.Duration(r.Millis) * time.Millisecond).String()}
		for _, n := range []int{r.Read, r.Creates, r.Updates, r.Deletes, r.Restores, r.Held, r.Failed} {
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, append(row, r.By, result))
	}
	table(w, "START|ENGINE|PROFILE|TOOK|READ|CREATES|UPDATES|DELETES|RESTORES|HELD|FAILED|BY|RESULT", rows)
}
