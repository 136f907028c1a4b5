package policy

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/tandem-sync/tandem/scoping"
)

// Format writes a policy as a file that [Parse] reads back to an equal one. Directories are written where there are several.
func Format(p scoping.Policy) ([]byte, error) {
	return print(policyNode(p), "")
}

// FormatWith writes a policy as [Format] does, with a comment above the file and above each assignment, and without defaults that
// are the usual ones. about is beside the assignments and may be shorter; its lines need no "#".
func FormatWith(p scoping.Policy, head string, about []string) ([]byte, error) {
	root := policyNode(p)
	for i := 0; i < len(root.Content); i += 2 {
		switch key, value := root.Content[i], root.Content[i+1]; key.Value {
		case "defaults":
			if p.Defaults.Equal(scoping.DefaultDefaults()) {
				root.Content = append(root.Content[:i], root.Content[i+2:]...)
				i -= 2
			}
		case "assignments":
			for j, a := range about[:min(len(about), len(value.Content))] {
				value.Content[j].HeadComment = strings.Repeat("\n", min(j, 1)) + hashed(a)
			}
		}
	}
	return print(root, hashed(head))
}

// hashed makes comment lines.
func hashed(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		out = append(out, strings.TrimRight("# "+strings.TrimSpace(line), " "))
	}
	return strings.Join(out, "\n")
}

func policyNode(p scoping.Policy) *yaml.Node {
	directories := map[string]bool{}
	for _, a := range p.Assignments {
		directories[a.Directory] = true
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, a := range p.Assignments {
		list.Content = append(list.Content, assignmentNode(a, len(directories) > 1))
	}
	root := &yaml.Node{Kind: yaml.MappingNode}
	put(root, "version", number(Version))
	put(root, "features", flow(texts(p.Features)))
	put(root, "defaults", defaultsNode(p.Defaults))
	if p.Matches != "" {
		put(root, "matches", text(p.Matches))
	}
	put(root, "assignments", list)
	return root
}

func defaultsNode(d scoping.Defaults) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	put(n, "softMatch", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(d.SoftMatch)})
	t := &yaml.Node{Kind: yaml.MappingNode}
	put(t, "objects", number(d.DeleteThreshold.Objects))
	put(t, "percent", number(d.DeleteThreshold.Percent))
	put(n, "deleteThreshold", flow(t))
	u := &yaml.Node{Kind: yaml.MappingNode}
	put(u, "unverifiedSuffix", text(d.UPN.UnverifiedSuffix))
	put(u, "changes", text(d.UPN.Changes))
	put(n, "upn", flow(u))
	put(n, "leaving", text(string(d.Leaving)))
	optional(n, "members", d.Members)
	optional(n, "conflicts", d.Conflicts)
	if len(d.Extensions) > 0 {
		put(n, "extensions", flow(texts(d.Extensions)))
	}
	if !d.Attributes.IsZero() {
		a := &yaml.Node{Kind: yaml.MappingNode}
		put(a, "leaveOut", flow(texts(d.Attributes.LeaveOut)))
		put(n, "attributes", flow(a))
	}
	return n
}

func assignmentNode(a scoping.Assignment, directory bool) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	put(n, "name", text(a.Name))
	if directory {
		optional(n, "directory", a.Directory)
	}
	put(n, "under", text(a.Under.DN))
	if len(a.Except) > 0 {
		except := &yaml.Node{Kind: yaml.SequenceNode}
		for _, e := range a.Except {
			except.Content = append(except.Content, text(e.DN))
		}
		put(n, "except", except)
	}
	optional(n, "memberOf", a.Selector.MemberOf.DN)
	optional(n, "filter", a.Selector.Filter)
	optional(n, "sample", a.Selector.Sample)
	if !a.From.IsZero() {
		groups := &yaml.Node{Kind: yaml.SequenceNode}
		for _, g := range a.From.Groups {
			groups.Content = append(groups.Content, text(g.Name))
		}
		from := &yaml.Node{Kind: yaml.MappingNode}
		put(from, "groups", flow(groups))
		put(n, "from", flow(from))
	}
	optional(n, "link", a.Link)
	if len(a.Match) > 0 {
		put(n, "match", flow(texts(a.Match)))
	}
	if a.Priority != 0 {
		put(n, "priority", number(a.Priority))
	}
	put(n, "engine", text(a.Engine))
	put(n, "features", flow(texts(a.Features)))
	if len(a.Kinds) > 0 {
		put(n, "kinds", flow(texts(a.Kinds)))
	}
	optional(n, "leaving", string(a.Leaving))
	return n
}

func put(n *yaml.Node, key string, value *yaml.Node) {
	n.Content = append(n.Content, text(key), value)
}

func optional(n *yaml.Node, key, value string) {
	if value != "" {
		put(n, key, text(value))
	}
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

func number(i int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(i)}
}

func flow(n *yaml.Node) *yaml.Node {
	n.Style = yaml.FlowStyle
	return n
}

func texts[T ~string](values []T) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, v := range values {
		n.Content = append(n.Content, text(string(v)))
	}
	return n
}
