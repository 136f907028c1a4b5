package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/scoping"
)

func suggestCommand() *cli.Command {
	return &cli.Command{Name: "suggest", Usage: "propose a first policy and an order of waves from the directory as it is; writes nothing but FILE",
		Flags: []cli.Flag{&cli.StringFlag{Name: "o", Usage: "write the policy to `FILE`, which must not be there yet"}}, Action: suggestPolicy}
}

func suggestPolicy(c *cli.Context) error {
	if err := arguments(c); err != nil {
		return err
	}
	file := c.String("o")
	if _, err := os.Lstat(file); file != "" && err == nil {
		e := api.Usage("%s is there already", file)
		e.Hint = "name a new file, or look at the suggestion without -o"
		return e
	}
	var s api.Suggested
	if _, err := call(c, "policy/suggest", api.None{}, &s); err != nil {
		return err
	}
	if file != "" {
		if err := writeFile(file, []byte(s.Text)); err != nil {
			return err
		}
	}
	return printResult(c, s, func(w io.Writer, s api.Suggested) { showSuggested(w, s, file) })
}

func showSuggested(w io.Writer, s api.Suggested, file string) {
	showUnits(w, s)
	if file == "" {
		fmt.Fprintf(w, "\n%s\n\n%s", bold("The policy"), s.Text)
	} else {
		fmt.Fprintf(w, "\nThe policy is in %s.\n", file)
	}
	if len(s.Waves) > 0 {
		fmt.Fprintf(w, "\n%s\n", bold(fmt.Sprintf("Then, from %s to %s, %s in this order", s.From, s.To, scoping.Many(len(s.Waves), "wave", "waves"))))
	}
	for i, x := range s.Waves {
		showSuggestedWave(w, i+1, x)
	}
	if len(s.Notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, n := range s.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
}

// showUnits tells what lies where.
func showUnits(w io.Writer, s api.Suggested) {
	var rows [][]string
	for _, u := range s.Units {
		use := make([]string, len(u.InUse))
		for i, x := range u.InUse {
			use[i] = fmt.Sprintf("%s %d", x.Name, x.Objects)
		}
		rows = append(rows, []string{unitName(u), number(u.Objects["user"]), number(u.Objects["group"]),
			number(u.Objects["contact"] + u.Objects["device"]), number(u.Disabled), number(u.Service), number(u.Critical), strings.Join(use, ", ")})
	}
	table(w, "IN|USERS|GROUPS|OTHERS|DISABLED|SERVICE|CRITICAL|IN USE", rows)
}

func unitName(u api.SuggestedUnit) string {
	if len(u.Except) > 0 {
		return u.Under + ", by itself"
	}
	return u.Under
}

// number leaves zero out, so that what is there can be seen.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func showSuggestedWave(w io.Writer, n int, x api.SuggestedWave) {
	fmt.Fprintf(w, "%3d. %s; references that cross engines afterwards: %d\n", n, kinds(x.Objects), x.Crossing)
	for _, u := range x.Units {
		fmt.Fprintf(w, "     under %s\n", u.Under)
		for _, e := range u.Except {
			fmt.Fprintf(w, "       except %s\n", e)
		}
	}
	for _, y := range x.Why {
		fmt.Fprintf(w, "     %s\n", y)
	}
	for _, l := range x.Lost {
		fmt.Fprintf(w, "     %s %s: the target cannot write that (feature %s)\n", bold("warning"), l.Name, l.Feature)
	}
}
