package policy

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// SchemaReader is what a [Resolver] may be as well: it knows which attributes the directories and the tenant have.
type SchemaReader interface {
	// Lacks returns which of the names a directory's schema does not have.
	Lacks(ctx context.Context, directory string, names []string) ([]string, error)
	// Unregistered returns which of the extensions of users the tenant does not have.
	Unregistered(ctx context.Context, names []string) ([]string, error)
}

var extensionName = regexp.MustCompile(extensionPattern)

// attributeMistakes judges the names of attributes in a policy's defaults, as far as that takes neither a directory nor the tenant.
func attributeMistakes(p scoping.Policy) (ms scoping.Mistakes) {
	d := p.Defaults
	for i, name := range d.Extensions {
		pos := posOf(p.ExtensionPos, i, p.Pos)
		switch {
		case !extensionName.MatchString(name):
			ms.Add(pos, fmt.Sprintf("extensions: %q is no extension of a user", name),
				"write extensionAttribute1 to extensionAttribute15, or a registered one as extension_<application id without hyphens>_<name of the directory's attribute>")
		case slices.Contains(d.Extensions[:i], name):
			ms.Add(pos, fmt.Sprintf("extensions: %s stands twice", name), "remove one")
		case !slices.Contains(p.Features, scoping.Extensions):
			ms.Add(pos, fmt.Sprintf("extensions: %s is written by the feature extensions, which is not switched on", name), "add \"extensions\" to \"features\" at the top of the file")
		}
	}
	if i := slices.Index(p.Features, scoping.Extensions); i >= 0 && len(d.Extensions) == 0 && slices.Contains(p.Features, scoping.Users) {
		ms.Add(posOf(p.FeaturePos, i, p.Pos), "feature \"extensions\" is switched on, and no extension is named", "add \"extensions: [extensionAttribute1]\" to \"defaults\", with those that are to be written")
	}
	for i, name := range d.Attributes.LeaveOut {
		pos := posOf(p.LeaveOutPos, i, p.Pos)
		if slices.Contains(d.Attributes.LeaveOut[:i], name) {
			ms.Add(pos, fmt.Sprintf("leaveOut: %s stands twice", name), "remove one")
		} else if what, hint := keptIn(name, p); what != "" {
			ms.Add(pos, what, hint)
		}
	}
	return ms
}

// always are attributes that cannot be left out: by them an object is found, told apart, or switched off.
var always = []string{attribute.Enabled, attribute.UPN, attribute.DisplayName, attribute.Nickname}

// anchors are the names of what ties an object of the tenant to its source.
var anchors = []string{attribute.ImmutableID, attribute.UniqueName, attribute.SourceAnchor, "mS-DS-ConsistencyGuid", "objectGUID"}

// keptIn says why an attribute cannot be left out, and what to do; "" if it can be.
func keptIn(name string, p scoping.Policy) (what, hint string) {
	same := func(n string) bool { return strings.EqualFold(n, name) }
	meant := attribute.Named(name)
	switch {
	case slices.ContainsFunc(anchors, same):
		return fmt.Sprintf("leaveOut: %s is the source anchor, which ties an object of the tenant to its source", name), "remove it"
	case slices.ContainsFunc(meant, func(n string) bool { return slices.Contains(always, n) }):
		return fmt.Sprintf("leaveOut: %s cannot be left out: without %s the tenant makes no object, and a change of it has to arrive", name, meant[0]), "remove it"
	case slices.ContainsFunc([]string{attribute.Manager, attribute.Members, "member"}, same):
		return fmt.Sprintf("leaveOut: %s is a reference, and no value", name), "give the feature references to none by an assignment of its own"
	case extensionName.MatchString(name):
		return fmt.Sprintf("leaveOut: %s is written only if \"extensions\" names it", name), "remove it here, and there if it is named there"
	case len(meant) == 0:
		return fmt.Sprintf("leaveOut: no engine writes an attribute %q", name), Nearest(name, spellings())
	}
	for _, k := range scoping.Kinds() {
		for _, n := range meant {
			if slices.Contains(p.Features, scoping.Base(k)) && slices.Contains(attribute.With(k, attribute.Required), n) {
				return fmt.Sprintf("leaveOut: %s cannot be left out while %s is switched on: the tenant makes no %s without it", name, scoping.Base(k), k), "remove it, or the feature"
			}
		}
	}
	return "", ""
}

// spellings lists the names by which attributes can be left out: the tenant's and the directory's.
func spellings() []string {
	out := attribute.Leavable()
	for _, n := range attribute.Leavable() {
		if of := attribute.Source(n); of != "" {
			out = append(out, of)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// lacking finds attributes that a policy needs and that a directory or the tenant does not have. The error says that one of them could not be asked.
func lacking(ctx context.Context, p scoping.Policy, s SchemaReader) (scoping.Mistakes, error) {
	extensions, err := lackingExtensions(ctx, p, s)
	if err != nil {
		return nil, err
	}
	links, err := lackingLinks(ctx, p, s)
	return append(extensions, links...), err
}

// lackingLinks finds assignments whose objects could not show of what they were made: the directory's schema lacks the attribute.
func lackingLinks(ctx context.Context, p scoping.Policy, s SchemaReader) (ms scoping.Mistakes, err error) {
	for i := range p.Assignments {
		a := &p.Assignments[i]
		if a.From.IsZero() || a.Directory == "" {
			continue
		}
		missing, err := s.Lacks(ctx, a.Directory, []string{a.LinkOr()})
		if err != nil {
			return nil, fmt.Errorf("asking directory %s for its schema: %w", a.Directory, err)
		}
		if len(missing) > 0 {
			ms.Add(a.Pos, fmt.Sprintf("assignment %q links by %s, which the schema of directory %s lacks", a.Name, a.LinkOr(), a.Directory),
				fmt.Sprintf("add \"link: %s\" to the assignment, or name another text attribute that nothing else uses", scoping.OtherLink))
		}
	}
	return ms, nil
}

// lackingExtensions finds extensions of users that a directory or the tenant lacks.
func lackingExtensions(ctx context.Context, p scoping.Policy, s SchemaReader) (ms scoping.Mistakes, err error) {
	names := slices.DeleteFunc(slices.Clone(p.Defaults.Extensions), func(n string) bool { return !extensionName.MatchString(n) })
	if len(names) == 0 || !slices.Contains(p.Features, scoping.Extensions) {
		return nil, nil
	}
	var asked, sources []string
	for _, n := range names {
		sources = append(sources, attribute.Source(n))
	}
	at := func(name string) scoping.Pos {
		return posOf(p.ExtensionPos, slices.Index(p.Defaults.Extensions, name), p.Pos)
	}
	for _, a := range p.Assignments {
		if a.Directory == "" || slices.Contains(asked, a.Directory) {
			continue
		}
		asked = append(asked, a.Directory)
		missing, err := s.Lacks(ctx, a.Directory, sources)
		if err != nil {
			return nil, fmt.Errorf("asking directory %s for its schema: %w", a.Directory, err)
		}
		for i, n := range names {
			if slices.Contains(missing, sources[i]) {
				ms.Add(at(n), fmt.Sprintf("extensions: the schema of directory %s has no attribute %s, from which %s is made", a.Directory, sources[i], n),
					"extend the schema (Exchange's setup /PrepareSchema brings extensionAttribute1 to 15), or take it out")
			}
		}
	}
	missing, err := s.Unregistered(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("asking the tenant for its extensions: %w", err)
	}
	for _, n := range missing {
		ms.Add(at(n), fmt.Sprintf("extensions: the tenant has no extension %s of users", n), "register it there (POST /applications/{id}/extensionProperties), or correct the name")
	}
	return ms, nil
}

func posOf(ps []scoping.Pos, i int, fallback scoping.Pos) scoping.Pos {
	if i >= 0 && i < len(ps) {
		return ps[i]
	}
	return fallback
}
