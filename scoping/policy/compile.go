package policy

import (
	"context"
	"errors"

	"github.com/tandem-sync/tandem/scoping"
)

// Compile reads a policy file's text, resolves its names and compiles it. engines is asked what the configured engines can do, once there is
// something to judge. The error is of type [scoping.Mistakes] and holds the mistakes of all stages, unless a directory or an engine
// could not be asked.
func Compile(ctx context.Context, file string, text []byte, directories []string, r Resolver,
	engines func(context.Context) (map[string]scoping.EngineCaps, error)) (*scoping.Partition, error) {
	p, err := Parse(file, text)
	form := mistakesOf(err)
	if err != nil && (len(p.Features) == 0 || len(p.Assignments) == 0) {
		return nil, err // there is nothing to judge
	}
	pinned, err := Pin(ctx, p, directories, r)
	places := mistakesOf(err)
	if schema, is := r.(SchemaReader); is && (err == nil || places != nil) {
		missing, failed := lacking(ctx, pinned, schema)
		if failed != nil {
			return nil, failed
		}
		if len(missing) > 0 {
			places = append(places, missing...)
			err = places
		}
	}
	switch {
	case err == nil || places != nil:
		p = pinned
	case form == nil:
		return nil, err // the directory could not be asked
	}
	caps, err := engines(ctx)
	if err != nil {
		return nil, err
	}
	if form != nil || places != nil {
		return nil, together(form, places, scoping.Check(p, caps))
	}
	return scoping.Compile(p, caps)
}

func mistakesOf(err error) (ms scoping.Mistakes) {
	errors.As(err, &ms)
	return ms
}

// together gives the mistakes of all stages; of one place only the first stage's, since the others follow from it.
func together(stages ...scoping.Mistakes) error {
	var all scoping.Mistakes
	taken := map[scoping.Pos]bool{}
	for _, ms := range stages {
		for _, m := range ms {
			if !taken[m.Pos] {
				all = append(all, m)
			}
		}
		for _, m := range ms {
			taken[m.Pos] = true
		}
	}
	return all.Err()
}
