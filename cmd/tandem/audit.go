package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/scoping"
)

func auditCommand() *cli.Command {
	return &cli.Command{Name: "audit", Usage: "the journal", Subcommands: []*cli.Command{
		{Name: "list", Usage: "its records; JSON: one a line", Flags: []cli.Flag{&cli.StringFlag{Name: "object", Usage: "only of `REF`"}, &cli.StringFlag{Name: "wave", Usage: "only of wave `ID`"}},
			Action: func(c *cli.Context) error {
				if err := arguments(c); err != nil {
					return err
				}
				return ask(c, request{command: "audit/list", body: api.AuditRequest{Object: c.String("object"), Wave: c.String("wave")}, item: view(showRecord)})
			}},
		{Name: "archive", Usage: "end the part that is written, and export what DIR does not hold yet, with a signed head", ArgsUsage: "DIR", Action: archiveAudit},
		{Name: "prune", Usage: "remove what is older, and in an archive, and needed by nothing", Flags: []cli.Flag{
			&cli.StringFlag{Name: "before", Usage: "`WHEN`: a day such as 2026-06-01, a time of RFC 3339, or an age such as 90d or 36h"},
			&cli.PathFlag{Name: "archive", Usage: "the archive in `DIR`, which is read and checked first"},
		}, Action: pruneAudit},
		{Name: "verify", Usage: "check its chain; exit 4 when it is damaged", Flags: []cli.Flag{&cli.PathFlag{Name: "archive", Usage: "also the archive in `DIR`: the whole chain from record 1 on"}},
			Action: func(c *cli.Context) error {
				if err := arguments(c); err != nil {
					return err
				}
				return verifyAudit(c)
			}},
	}}
}

// verifyAudit checks the journal. One that is too damaged to be opened is a finding as well, not a failure.
func verifyAudit(c *cli.Context) error {
	show := func(w io.Writer, v api.Verified) {
		switch {
		case !v.OK:
			return
		case v.First > 1:
			fmt.Fprintf(w, "the journal is whole: records %d to %d, head %s\n", v.First, v.Records, v.Head)
		default:
			fmt.Fprintf(w, "the journal is whole: %d records, head %s\n", v.Records, v.Head)
		}
		if a := v.Archive; a != nil {
			fmt.Fprintf(w, "the archive is whole and of this journal: records 1 to %d, exported on %s, key %s\n", a.Records, a.At, a.Key)
		}
	}
	q := api.VerifyRequest{}
	if c.IsSet("archive") {
		var err error
		if q.Archive, err = filepath.Abs(c.Path("archive")); err != nil {
			return fmt.Errorf("the archive's folder: %w", err)
		}
	}
	err := ask(c, request{command: "audit/verify", body: q, view: view(show)})
	if v, o, damaged := api.DamagedJournal(err); damaged {
		return end(o, printResult(c, v, show))
	}
	return err
}

func showRecord(w io.Writer, r api.Record) {
	fmt.Fprintf(w, "%6d %s %-9s", r.Seq, r.At, r.Outcome)
	for _, s := range []*string{r.Engine, r.Wave, r.Phase, r.Feature} {
		if s != nil {
			fmt.Fprintf(w, " %s", *s)
		}
	}
	fmt.Fprintf(w, " %s", r.Op)
	switch {
	case r.Name != nil:
		fmt.Fprintf(w, " %s", *r.Name)
	case r.Object != nil:
		fmt.Fprintf(w, " %s", *r.Object)
	}
	if r.Code != nil {
		fmt.Fprintf(w, " %s", *r.Code)
	}
	if r.Reason != nil {
		fmt.Fprintf(w, ": %s", *r.Reason)
	}
	if r.By != nil {
		fmt.Fprintf(w, " (by %s)", *r.By)
	}
	fmt.Fprintln(w)
}

func archiveAudit(c *cli.Context) error {
	if err := arguments(c, "DIR"); err != nil {
		return err
	}
	dir, err := filepath.Abs(c.Args().First())
	if err != nil {
		return fmt.Errorf("the archive's folder: %w", err)
	}
	return ask(c, request{command: "audit/archive", body: api.ArchiveRequest{Dir: dir}, view: view(func(w io.Writer, a api.Archived) {
		fmt.Fprintf(w, "%s: records 1 to %d in %s, %d of them new; head %s, key %s\n", a.Dir, a.Records, scoping.Many(a.Segments, "segment", "segments"), a.Added, a.Head, a.Key)
	})})
}

func pruneAudit(c *cli.Context) error {
	if err := arguments(c); err != nil {
		return err
	}
	if !c.IsSet("archive") {
		return api.Usage("say which archive holds what is removed: --archive DIR; tandem audit archive DIR makes one")
	}
	before, err := parseBefore(c.String("before"), time.Now())
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(c.Path("archive"))
	if err != nil {
		return fmt.Errorf("the archive's folder: %w", err)
	}
	return ask(c, request{command: "audit/prune", body: api.PruneRequest{Before: before.UnixMilli(), Dir: dir}, view: view(func(w io.Writer, p api.Pruned) {
		switch {
		case p.Segments == 0:
			fmt.Fprintln(w, "nothing was pruned")
		default:
			fmt.Fprintf(w, "%s in %s pruned, %d bytes; the journal begins with record %d\n", scoping.Many(int(p.Records), "record", "records"), scoping.Many(p.Segments, "segment", "segments"), p.Bytes, p.First)
		}
		if p.Held != "" {
			fmt.Fprintf(w, "the rest stays: %s\n", p.Held)
		}
	})})
}

// parseBefore reads a day, a time, or an age.
func parseBefore(text string, now time.Time) (time.Time, error) {
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	if days, is := strings.CutSuffix(text, "d"); is {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	return time.Time{}, api.Usage("--before %q is no day such as 2026-06-01, no time of RFC 3339, and no age such as 90d or 36h", text)
}
