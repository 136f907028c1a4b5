package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/examples/lab"
	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/scoping"
)

func labFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "users", Usage: "people in the directory", Value: 200},
		&cli.StringFlag{Name: "directory", Usage: "embedded, samba or none", Value: lab.Embedded},
		&cli.StringFlag{Name: "domain", Usage: "the AD domain", Value: lab.DefaultDomain},
		&cli.Uint64Flag{Name: "seed", Usage: "the same number gives the same people", Value: 1},
	}
}

func labOptions(c *cli.Context, dir string) (lab.Options, error) {
	o := lab.Options{Dir: dir, Users: c.Int("users"), Directory: c.String("directory"), Domain: c.String("domain"), Seed: c.Uint64("seed")}
	switch o.Directory {
	case lab.Embedded, lab.Samba, lab.NoDirectory:
	default:
		return o, api.Usage("--directory %q is none of embedded, samba, none", o.Directory)
	}
	if o.Users < 0 {
		return o, api.Usage("--users %d is negative", o.Users)
	}
	return o, nil
}

func labCommand() *cli.Command {
	return &cli.Command{Name: "lab", Usage: "a throw-away directory and tenant", Subcommands: []*cli.Command{{
		Name: "up", Usage: "run a lab in the foreground until interrupted", Action: labUp,
		Flags: append([]cli.Flag{&cli.BoolFlag{Name: "hires", Usage: "with what brings people whom HR hires into the directory: the OU, its account, the group, the assignment"}, &cli.StringFlag{Name: "dir", Usage: "`DIR` for tandem.yaml, policy.yaml, lab.json", Value: "lab"}}, labFlags()...),
	}}}
}

func labUp(c *cli.Context) error {
	if err := arguments(c); err != nil {
		return err
	}
	o, err := labOptions(c, c.String("dir"))
	if err != nil {
		return err
	}
	o.Hires = c.Bool("hires")
	noteInterrupt("ending the lab")
	l, err := lab.Up(c.Context, o)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "tandem: the lab is up: %s, %s in %s\ntandem: → in another terminal: export TANDEM_CONFIG=%s; tandem import %s; tandem sync connect --profile full\n",
		scoping.Many(len(l.World.Users), "user", "users"), scoping.Many(len(l.World.Groups), "group", "groups"), l.Base(), l.ConfigFile, l.PolicyFile)
	<-c.Context.Done()
	return l.Close()
}
