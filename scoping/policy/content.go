package policy

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/tandem-sync/tandem/scoping"
)

func (r *reader) policy(n *yaml.Node, p *scoping.Policy) {
	seen := r.mapping(n, "the policy",
		entry{"version", r.version},
		entry{"features", func(n *yaml.Node) { p.Features, p.FeaturePos = r.features(n, "features") }},
		entry{"defaults", func(n *yaml.Node) { r.defaults(n, &p.Defaults) }},
		entry{"matches", r.text("matches", &p.Matches)},
		entry{"assignments", func(n *yaml.Node) {
			r.sequence(n, "assignments", func(n *yaml.Node) { p.Assignments = append(p.Assignments, r.assignment(n)) })
		}},
	)
	r.require(n, "the policy", seen, "version", "features", "assignments")
}

func (r *reader) version(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || n.Value != fmt.Sprint(Version) {
		r.mistakes.Add(r.at(n), fmt.Sprintf("version %q of the policy format is unknown", n.Value),
			fmt.Sprintf("this version of Tandem reads version %d", Version))
	}
}

func (r *reader) features(n *yaml.Node, what string) (fs []scoping.Feature, pos []scoping.Pos) {
	r.sequence(n, what, func(n *yaml.Node) {
		var s string
		r.text("a feature", &s)(n)
		fs, pos = append(fs, scoping.Feature(s)), append(pos, r.at(n))
	})
	return fs, pos
}

func (r *reader) defaults(n *yaml.Node, d *scoping.Defaults) {
	r.mapping(n, "defaults",
		entry{"softMatch", r.truth("softMatch", &d.SoftMatch)},
		entry{"deleteThreshold", func(n *yaml.Node) {
			r.mapping(n, "deleteThreshold",
				entry{"objects", r.number("objects", &d.DeleteThreshold.Objects)},
				entry{"percent", r.number("percent", &d.DeleteThreshold.Percent)})
		}},
		entry{"upn", func(n *yaml.Node) {
			r.mapping(n, "upn",
				entry{"unverifiedSuffix", oneOf(r, "unverifiedSuffix", &d.UPN.UnverifiedSuffix, "refuse", "initialDomain")},
				entry{"changes", oneOf(r, "changes", &d.UPN.Changes, "apply", "hold")})
		}},
		entry{"leaving", r.leaving(&d.Leaving)},
		entry{"members", oneOf(r, "members", &d.Members, "exclusive")},
	)
}

func (r *reader) leaving(to *scoping.Leaving) func(*yaml.Node) {
	return oneOf(r, "leaving", to, scoping.Disable, scoping.Remove, scoping.Keep)
}

func (r *reader) assignment(n *yaml.Node) scoping.Assignment {
	a := scoping.Assignment{Pos: r.at(n)}
	seen := r.mapping(n, "the assignment",
		entry{"name", r.text("name", &a.Name)},
		entry{"directory", r.text("directory", &a.Directory)},
		entry{"under", r.pin("under", &a.Under)},
		entry{"except", func(n *yaml.Node) {
			r.sequence(n, "except", func(n *yaml.Node) {
				var p scoping.Pin
				r.pin("an exception", &p)(n)
				a.Except = append(a.Except, p)
			})
		}},
		entry{"memberOf", r.pin("memberOf", &a.Selector.MemberOf)},
		entry{"filter", r.placed("filter", &a.Selector.Filter, &a.Selector.FilterPos)},
		entry{"sample", r.placed("sample", &a.Selector.Sample, &a.Selector.SamplePos)},
		entry{"priority", r.number("priority", &a.Priority)},
		entry{"engine", r.placed("engine", &a.Engine, &a.EnginePos)},
		entry{"features", func(n *yaml.Node) { a.Features, a.FeaturePos = r.features(n, "features") }},
		entry{"kinds", func(n *yaml.Node) {
			r.sequence(n, "kinds", func(n *yaml.Node) {
				var s string
				r.text("a kind", &s)(n)
				a.Kinds = append(a.Kinds, scoping.Kind(s))
			})
		}},
		entry{"leaving", r.leaving(&a.Leaving)},
	)
	what := "the assignment"
	if a.Name != "" {
		what = fmt.Sprintf("assignment %q", a.Name)
	}
	r.require(n, what, seen, "name", "under", "engine", "features")
	return a
}

// placed reads a text and remembers where it stood.
func (r *reader) placed(what string, to *string, pos *scoping.Pos) func(*yaml.Node) {
	return func(n *yaml.Node) {
		*pos = r.at(n)
		r.text(what, to)(n)
	}
}

// pin reads a distinguished name, as written.
func (r *reader) pin(what string, to *scoping.Pin) func(*yaml.Node) {
	return func(n *yaml.Node) {
		to.Pos = r.at(n)
		before := len(r.mistakes)
		r.text(what, &to.DN)(n)
		if len(r.mistakes) > before {
			return
		}
		d, err := scoping.ParseDN(to.DN)
		switch {
		case err != nil:
			r.mistakes.Add(to.Pos, fmt.Sprintf("%s: %s", what, err), dnHint(err, to.DN))
		case d.IsZero():
			r.mistakes.Add(to.Pos, what+" is empty", "write the distinguished name of a container")
		}
	}
}

func dnHint(err error, dn string) string {
	if errors.Is(err, scoping.ErrDN) && strings.Contains(dn, "\\") {
		return "within double quotes YAML reads backslashes itself; use single quotes"
	}
	return "write it as the directory shows it, special characters behind a backslash"
}
