package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// reorder puts flags where the parser wants them, so that they may stand before and after arguments: global flags first, then the command's words,
// its flags, and behind "--" its arguments.
func reorder(app *cli.App, args []string) []string {
	r := &reorderer{app: app, cmds: app.Commands}
	rest := args[1:]
	for len(rest) > 0 {
		word := rest[0]
		rest = rest[1:]
		switch {
		case word == "--":
			r.operands = append(r.operands, rest...)
			rest = nil
		case len(word) > 1 && word[0] == '-':
			rest = r.flag(word, rest)
		default:
			r.word(word)
		}
	}
	out := append([]string{args[0]}, r.globals...)
	out = append(append(out, r.path...), r.locals...)
	if len(r.operands) > 0 {
		out = append(append(out, "--"), r.operands...)
	}
	return out
}

type reorderer struct {
	app      *cli.App
	cmds     []*cli.Command // that the next word may name
	flags    []cli.Flag     // of the commands named so far
	globals  []string
	path     []string
	locals   []string
	operands []string
}

// word takes a command's name, or an argument.
func (r *reorderer) word(w string) {
	if len(r.operands) == 0 {
		for _, c := range r.cmds {
			if c.HasName(w) {
				r.path, r.cmds, r.flags = append(r.path, w), c.Subcommands, append(r.flags, c.Flags...)
				return
			}
		}
	}
	r.operands = append(r.operands, w)
}

// flag takes a flag, with its value where it has one, and gives what is left. Flags that stand before their command's name are looked up in all
// commands.
func (r *reorderer) flag(word string, rest []string) []string {
	name, _, assigned := strings.Cut(strings.TrimLeft(word, "-"), "=")
	taken := []string{word}
	global := find(r.app.Flags, name)
	f := global
	if f == nil {
		if f = find(r.flags, name); f == nil {
			f = findBelow(r.cmds, name)
		}
	}
	if _, isBool := f.(*cli.BoolFlag); f != nil && !isBool && !assigned && len(rest) > 0 {
		taken, rest = append(taken, rest[0]), rest[1:]
	}
	if global != nil {
		r.globals = append(r.globals, taken...)
	} else {
		r.locals = append(r.locals, taken...)
	}
	return rest
}

func find(fs []cli.Flag, name string) cli.Flag {
	for _, f := range fs {
		for _, n := range f.Names() {
			if n == name {
				return f
			}
		}
	}
	return nil
}

func findBelow(cs []*cli.Command, name string) cli.Flag {
	for _, c := range cs {
		if f := find(c.Flags, name); f != nil {
			return f
		}
		if f := findBelow(c.Subcommands, name); f != nil {
			return f
		}
	}
	return nil
}
