package main

import (
	"flag"
	"strings"

	"github.com/urfave/cli/v2"
)

// dnList is a flag that may be repeated. The library's own lists split values at commas, which every DN has.
type dnList struct {
	cli.StringFlag
	values dnValues
}

type dnValues []string

// Set adds a value.
func (v *dnValues) Set(s string) error {
	*v = append(*v, s)
	return nil
}

// String joins the values, for help.
func (v *dnValues) String() string { return strings.Join(*v, "; ") }

// Apply implements cli.Flag.
func (f *dnList) Apply(set *flag.FlagSet) error {
	for _, n := range f.Names() {
		set.Var(&f.values, n, f.Usage)
	}
	return nil
}

// excepts gives what --except named.
func excepts(c *cli.Context) []string {
	for _, f := range c.Command.Flags {
		if l, ok := f.(*dnList); ok {
			return l.values
		}
	}
	return nil
}
