package policy

import (
	"fmt"
	"math"

	"go.yaml.in/yaml/v4"

	"github.com/tandem-sync/tandem/scoping"
)

// policy is the whole file: what this and the functions below it say is what [Parse] reads and what [Schema] publishes.
func (r *reader) policy(p *scoping.Policy) value {
	return r.mapping(called("the policy"),
		entry{"version", "The version of this file's format.", true, r.version()},
		entry{"features", "What is switched on at all. Every object under an assignment needs an owner, or none, for each of these.", true,
			r.features("features", &p.Features, &p.FeaturePos).of(examples([]string{"users", "groups"}))},
		entry{"defaults", "What holds for all assignments.", false, r.defaults(p)},
		entry{"matches", "A file that says which object of the tenant belongs to which of the directory, for the first adoption; its name is relative to this file's.", false,
			r.text("matches", &p.Matches).of(examples("./matches.csv"))},
		entry{"assignments", "Who owns what. The deepest subtree wins; of one subtree, what is narrowed wins over what is not, and then the higher priority.", true,
			r.list("assignments", r.assignments(&p.Assignments)).of(func(s *schema) { s.MinItems = 1 })})
}

func (r *reader) version() value {
	return value{schema: schema{Const: Version}, read: func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Value != fmt.Sprint(Version) {
			r.mistakes.Add(r.at(n), fmt.Sprintf("version %q of the policy format is unknown", n.Value),
				fmt.Sprintf("this version of Tandem reads version %d", Version))
		}
	}}
}

func (r *reader) features(what string, to *[]scoping.Feature, pos *[]scoping.Pos) value {
	item := r.text("a feature", new(string))
	item.schema = schema{Type: "string", Enum: featureNames()}
	item.read = func(n *yaml.Node) {
		s, _ := r.scalar("a feature", n)
		*to, *pos = append(*to, scoping.Feature(s)), append(*pos, r.at(n))
	}
	return r.list(what, item).of(func(s *schema) { s.MinItems, s.UniqueItems, s.flow = 1, true, true })
}

func featureNames() (names []string) {
	for _, row := range scoping.FeatureTable() {
		names = append(names, string(row.Feature))
	}
	return names
}

func (r *reader) defaults(p *scoping.Policy) value {
	d, was := &p.Defaults, scoping.DefaultDefaults()
	return r.mapping(called("defaults"),
		entry{"softMatch", "Whether an object of the tenant without an anchor is taken for a user of the directory with the same sign-in name or address.", false,
			r.truth("softMatch", &d.SoftMatch).of(preset(was.SoftMatch))},
		entry{"deleteThreshold", "How many deletes of one run, and of 24 hours, are carried out without asking: the smaller of the two.", false,
			r.mapping(called("deleteThreshold"),
				entry{"objects", "A number of objects.", false, r.number("objects", &d.DeleteThreshold.Objects, 0, math.MaxInt).of(preset(was.DeleteThreshold.Objects))},
				entry{"percent", "A part of the linked objects of the kind.", false, r.number("percent", &d.DeleteThreshold.Percent, 0, 100).of(preset(was.DeleteThreshold.Percent))},
			).of(inline)},
		entry{"upn", "How sign-in names are treated.", false, r.mapping(called("upn"),
			entry{"unverifiedSuffix", "What is done with a sign-in name whose domain the tenant has not verified: refuse the user, or give the tenant's initial domain instead.", false,
				oneOf(r, "unverifiedSuffix", &d.UPN.UnverifiedSuffix, "refuse", "initialDomain").of(preset(was.UPN.UnverifiedSuffix))},
			entry{"changes", "Whether a changed sign-in name is written at once or held until a person approves.", false,
				oneOf(r, "changes", &d.UPN.Changes, "apply", "hold").of(preset(was.UPN.Changes))},
		).of(inline)},
		entry{"leaving", leavingAbout, false, r.leaving(&d.Leaving).of(preset(was.Leaving))},
		entry{"members", "What becomes of memberships that Tandem did not write: kept and reported, or removed (exclusive).", false,
			oneOf(r, "members", &d.Members, scoping.KeepMembers, scoping.ExclusiveMembers).of(preset(was.MembersRule()))},
		entry{"conflicts", "What is done with a new user whose mail address somebody else has: the user is not made, or made without the address.", false,
			oneOf(r, "conflicts", &d.Conflicts, scoping.RefuseConflicts, scoping.QuarantineConflicts).of(preset(was.ConflictsRule()))},
		entry{"temporaryPasswords", "Whether a password that has to be changed at the next sign-in is handed over to the tenant, which asks for the change then.", false,
			r.truth("temporaryPasswords", &d.TemporaryPasswords).of(preset(was.TemporaryPasswords))},
		entry{"extensions", "What the feature extensions writes: extensionAttribute1 to extensionAttribute15, and registered directory extensions by their names in the tenant.", false,
			r.names("extensions", &d.Extensions, &p.ExtensionPos).of(examples([]string{"extensionAttribute1"})).of(func(s *schema) { s.Items.Pattern = extensionPattern })},
		entry{"attributes", "What holds for single attributes.", false, r.mapping(called("attributes"),
			entry{"leaveOut", "Attributes that no engine writes and none clears: whatever the tenant has of them stays. They are named as the tenant or as the directory names them.", false,
				r.names("leaveOut", &d.Attributes.LeaveOut, &p.LeaveOutPos).of(examples([]string{"mobile"}))},
		).of(inline)})
}

// extensionPattern is how an extension is named: one of Exchange's fifteen, or a registered one with the id of the application that registered it, without hyphens
// (https://learn.microsoft.com/graph/api/resources/extensionproperty).
const extensionPattern = `^(extensionAttribute([1-9]|1[0-5])|extension_[0-9A-Fa-f]{32}_[A-Za-z0-9_-]+)$`

// names is a list of names whose places are remembered.
func (r *reader) names(what string, to *[]string, pos *[]scoping.Pos) value {
	item := r.text("a name in "+what, new(string))
	item.read = func(n *yaml.Node) {
		if s, ok := r.scalar("a name in "+what, n); ok {
			*to, *pos = append(*to, s), append(*pos, r.at(n))
		}
	}
	return r.list(what, item).of(func(s *schema) { s.UniqueItems, s.flow = true, true })
}

func inline(s *schema) { s.flow = true }

const leavingAbout = "What happens to one who moves to where no engine writes: the cloud object is disabled, removed, or kept as it is."

func (r *reader) leaving(to *scoping.Leaving) value {
	return oneOf(r, "leaving", to, scoping.Disable, scoping.Remove, scoping.Keep)
}

// assignments is one item of the list; each that is read is added to it.
func (r *reader) assignments(to *[]scoping.Assignment) value {
	v := r.assignment(new(scoping.Assignment))
	v.schema.AllOf = []*schema{
		{If: &schema{Required: []string{"leaving"}}, Then: &schema{AnyOf: []*schema{{Properties: properties{{"engine", &schema{Const: scoping.None}}}}, {Required: []string{"from"}}}}},
		{If: &schema{Required: []string{"kinds"}}, Then: &schema{Properties: properties{{"features", &schema{Contains: &schema{Const: scoping.References}}}}}},
	}
	v.read = func(n *yaml.Node) {
		a := scoping.Assignment{Pos: r.at(n)}
		r.assignment(&a).read(n)
		*to = append(*to, a)
	}
	return v
}

func (r *reader) assignment(a *scoping.Assignment) value {
	return r.mapping(assignmentName,
		entry{"name", "How messages and plans speak of this assignment. Each has its own.", true, r.text("name", &a.Name).of(examples("sales"))},
		entry{"directory", "The directory in which the subtree lies, as tandem.yaml names it. Needed only if there are several.", false,
			r.text("directory", &a.Directory).of(examples("contoso"))},
		entry{"under", "The subtree: the distinguished name of a domain, an OU or a container.", true,
			r.dn("under", &a.Under).of(examples("OU=Sales,DC=contoso,DC=test"))},
		entry{"except", "Subtrees beneath it that this assignment leaves to others.", false,
			r.list("except", r.exceptions(&a.Except)).of(examples([]string{"OU=Contractors,OU=Sales,DC=contoso,DC=test"}))},
		entry{"memberOf", "Only objects that are in this group, directly or through other groups.", false,
			r.dn("memberOf", &a.Selector.MemberOf).of(examples("CN=Sync Pilot,OU=Groups,DC=contoso,DC=test"))},
		entry{"filter", "Only objects that this LDAP filter selects (RFC 4515).", false,
			r.placed("filter", &a.Selector.Filter, &a.Selector.FilterPos).of(filterSchema)},
		entry{"sample", "Only this part of the objects, chosen by objectGUID: the same ones every time, and those of 5% are among those of 20%.", false,
			r.placed("sample", &a.Selector.Sample, &a.Selector.SamplePos).of(sampleSchema)},
		entry{"priority", "Which of several assignments of the same subtree wins: the higher number.", false,
			r.number("priority", &a.Priority, math.MinInt, math.MaxInt).of(preset(0))},
		entry{"engine", "The engine of tandem.yaml that owns these objects. none leaves them without one on purpose.", true,
			r.placed("engine", &a.Engine, &a.EnginePos).of(examples("connect", "cloudsync", scoping.None))},
		entry{"features", "What of these objects the engine owns. References follow users and groups unless they are assigned apart.", true,
			r.features("features", &a.Features, &a.FeaturePos).of(examples([]string{"users", "groups"}))},
		entry{"kinds", "With the feature references: only those of objects of these kinds.", false, r.kinds(&a.Kinds)},
		entry{"leaving", leavingAbout + " Only with engine none; it goes before the default. With from: what happens to the account of one who left.", false, r.leaving(&a.Leaving)},
		entry{"from", "What of the tenant is brought into the directory: under is the container to which it is brought, and the features are user-provisioning, group-provisioning or both.", false,
			r.mapping(called("from"),
				entry{"groups", "Groups of the tenant, by display name or id. Of user-provisioning their members, through other groups too; of group-provisioning the groups themselves. If one of them, or one inside it, is deleted or emptied, nobody joins or leaves. Nothing else selects: the whole tenant is brought by no policy.", true,
					r.list("groups", r.tenantGroups(&a.From.Groups)).of(examples([]string{"Hired by HR"})).of(func(s *schema) { s.MinItems, s.UniqueItems, s.flow = 1, true, true })},
			).of(inline)},
		entry{"link", "With from: the directory's attribute that shows of which object of the tenant something was made. Nothing else may use it.", false,
			r.text("link", &a.Link).of(preset(scoping.DefaultLink))},
		entry{"match", "With from: by which attributes a person is looked for in the whole domain before an account is made, the most trustworthy first. Whoever is found is held for a person to decide.", false,
			r.matches(&a.Match)})
}

// tenantGroups is one item of the list of groups.
func (r *reader) tenantGroups(to *[]scoping.TenantGroup) value {
	item := r.text("a group of the tenant", new(string))
	item.read = func(n *yaml.Node) {
		if s, ok := r.scalar("a group of the tenant", n); ok {
			*to = append(*to, scoping.TenantGroup{Name: s, Pos: r.at(n)})
		}
	}
	return item
}

func (r *reader) matches(to *[]string) value {
	item := r.text("an attribute in match", new(string))
	item.schema = schema{Type: "string", Enum: scoping.Matchable()}
	item.read = func(n *yaml.Node) {
		if s, ok := r.scalar("an attribute in match", n); ok {
			*to = append(*to, s)
		}
	}
	return r.list("match", item).of(func(s *schema) { s.MinItems, s.UniqueItems, s.flow = 1, true, true })
}

func filterSchema(s *schema) {
	s.Pattern, s.Examples = `^\s*\(`, []any{"(department=R&D)", "(!(userAccountControl:1.2.840.113556.1.4.803:=2))"}
}

func sampleSchema(s *schema) {
	s.Pattern, s.Examples = samplePattern, []any{"5%"}
}

// samplePattern is how a share is usually written: above 0% and at most 100%, with at most two decimals.
const samplePattern = `^(100(\.0{1,2})?|[1-9][0-9]?(\.[0-9]{1,2})?|0\.(0[1-9]|[1-9][0-9]?))%$`

// assignmentName names an assignment in messages: by its name if it has one.
func assignmentName(n *yaml.Node) string {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if v := follow(n.Content[i+1]); n.Content[i].Value == "name" && v.Kind == yaml.ScalarNode && v.Value != "" {
			return fmt.Sprintf("assignment %q", v.Value)
		}
	}
	return "the assignment"
}

func (r *reader) exceptions(to *[]scoping.Pin) value {
	v := r.dn("an exception", new(scoping.Pin))
	v.read = func(n *yaml.Node) {
		var p scoping.Pin
		r.dn("an exception", &p).read(n)
		*to = append(*to, p)
	}
	return v
}

func (r *reader) kinds(to *[]scoping.Kind) value {
	item := r.text("a kind", new(string))
	item.schema = schema{Type: "string"}
	for _, k := range scoping.Kinds() {
		item.schema.Enum = append(item.schema.Enum, string(k))
	}
	item.read = func(n *yaml.Node) {
		s, _ := r.scalar("a kind", n)
		*to = append(*to, scoping.Kind(s))
	}
	return r.list("kinds", item).of(func(s *schema) { s.MinItems, s.UniqueItems, s.flow = 1, true, true })
}
