package conformance_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/conformance"
	"github.com/tandem-sync/tandem/plugins/engine/enginetest"
	"github.com/tandem-sync/tandem/scoping"
)

// flaw is one way to break the contract.
type flaw string

// model is an engine over a list of objects that keeps every rule but those of its flaw.
type model struct {
	engine.Unimplemented
	engine.GrantBook
	objects  *[]int // versions, by number; shared with the test
	flaw     flaw
	data     string
	told     int
	run      int // runs that began
	watchers chan struct{}
	password *string // of object 1; shared with the test
	maps     *int    // how many mappings began; shared with the test
	once     engine.Once
	sink     *sink // shared with the test
}

// Deliver sets the one password.
func (m *model) Deliver(ctx context.Context, d engine.Delivery, in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
	if !m.once.First(d.ID) && m.flaw != "carries an id out twice" {
		return engine.Tell(ctx, out, engine.DeliveryResult{ID: d.ID, Code: engine.DeliveryRepeated})
	}
	if d.Provision != nil || d.Look != nil {
		return m.provision(ctx, d, in, out)
	}
	if m.flaw == "writes before the permit" {
		*m.password = "early"
	}
	if m.flaw == "does not ask" {
		return engine.Tell(ctx, out, engine.DeliveryResult{ID: d.ID, Code: engine.DeliveryFailed})
	}
	p, err := engine.Ask(ctx, d.ID, in, out)
	defer p.Wipe()
	r := engine.DeliveryResult{ID: d.ID, Code: engine.DeliveryOK}
	switch {
	case err != nil:
		return err
	case p.Refused != "":
		r.Code = engine.DeliveryRefused
	case p.Remaining <= 0 && m.flaw != "writes too late":
		r.Code = engine.DeliveryExpired
	default:
		_ = p.New.Use(func(b []byte) error { *m.password = string(b); return nil })
	}
	return engine.Tell(ctx, out, r)
}

// Map wants a name of every user that has one.
func (m *model) Map(ctx context.Context, r engine.MapRequest, in <-chan []engine.Source, out chan<- engine.MapEvent) error {
	if r.Feature != scoping.UserProvisioning && m.flaw != "maps whatever comes" {
		return engine.ErrUnsupported
	}
	begin := &engine.MapBegin{Rules: engine.Fingerprint{1}, Writes: []string{"cn"}}
	if m.flaw == "maps by rules of the day" {
		*m.maps++
		begin.Rules[1] = byte(*m.maps)
	}
	out <- engine.MapEvent{Begin: begin}
	cancelled := ctx.Done()
	if m.flaw == "maps on" {
		cancelled = nil
	}
	for {
		var batch []engine.Source
		open := true
		select {
		case batch, open = <-in:
		case <-cancelled:
			return ctx.Err()
		}
		if !open {
			return nil
		}
		var all []engine.Mapping
		for _, s := range batch {
			x := engine.Mapping{Object: s.Object, Want: engine.Unknown, Reason: "no name"}
			if name := s.Values["displayName"].Text; len(name) > 0 {
				x = engine.Mapping{Object: s.Object, Want: engine.Present, Desired: map[string]engine.Flow{"cn": {Text: name, Unique: m.flaw == "maps for one time and always"}}}
			}
			if m.flaw != "maps the first only" || len(all) == 0 {
				all = append(all, x)
			}
		}
		out <- engine.MapEvent{Mappings: all}
	}
}

func (m *model) Describe(context.Context) (engine.Description, error) {
	m.told++
	d := engine.Description{Kind: "model", Version: "1", Contract: 1, Release: "clean", Features: []scoping.Feature{scoping.Users, scoping.References, scoping.UserProvisioning},
		Writes: map[scoping.Feature][]string{scoping.Users: {"displayName"}, scoping.References: {"manager"}, scoping.UserProvisioning: {"cn"}},
		Reads:  map[scoping.Kind]engine.Reads{scoping.User: {Attributes: []string{"displayName", "manager"}}}, Delivers: []scoping.Feature{scoping.PasswordWriteback, scoping.UserProvisioning}}
	switch m.flaw {
	case "delivers in silence":
		d.Delivers = nil
	case "changes its mind":
		d.Version = strconv.Itoa(m.told)
	case "old contract":
		d.Contract = 0
	case "writes nothing":
		d.Writes = nil
	case "reads in silence":
		d.Reads = nil
	}
	return d, nil
}

func (m *model) Configure(_ context.Context, c engine.Config) error {
	if m.data = c.DataDir; string(c.Settings) == "bad" {
		problems := []string{"one", "two"}
		if m.flaw == "one mistake at a time" {
			problems = problems[:1]
		}
		return &engine.ConfigError{Problems: problems}
	}
	return nil
}

func (m *model) Grants(ctx context.Context, in <-chan []engine.Grant, out chan<- engine.Ack) error {
	if m.flaw == "leaks" {
		go func() { <-m.watchers }()
	}
	if m.flaw != "forgets an ack" {
		return m.GrantBook.Grants(ctx, in, out)
	}
	<-in
	return errors.New("no grants, please")
}

func (m *model) Health(ctx context.Context, _ chan<- engine.Health) error {
	<-ctx.Done()
	return ctx.Err()
}

// watermark gives the highest settled version, as saved.
func (m *model) watermark() int {
	b, err := os.ReadFile(filepath.Join(m.data, "watermark"))
	n, err2 := strconv.Atoi(string(b))
	if err != nil || err2 != nil {
		return 0
	}
	return n
}

func (m *model) save(n int) error {
	return os.WriteFile(filepath.Join(m.data, "watermark"), []byte(strconv.Itoa(n)), 0o600)
}

func guid(n int) scoping.GUID { return scoping.GUID{1, byte(n), byte(n >> 8)} }

func id(n int) scoping.ObjectID { return scoping.ObjectID{Directory: "d", GUID: guid(n)} }

var scope = scoping.Scope{Directory: "d", Under: scoping.GUID{9}, Features: []scoping.Feature{scoping.Users, scoping.References}}

func (m *model) Run(ctx context.Context, r engine.RunRequest, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	granted := m.Now()
	var proposals []engine.Proposal
	highest, from := 0, m.watermark()
	for n, version := range *m.objects {
		highest = max(highest, version)
		if m.wanted(r, n, version, from) {
			proposals = append(proposals, m.proposals(n, version, granted, r.Scopes)...)
		}
	}
	proposals = append(proposals, m.unseen(r)...)
	report := engine.RunReport{Directory: "d", DC: scoping.GUID{8}, USN: uint64(highest), Complete: m.flaw != "incomplete"}
	if p, named := r.AsOf["d"]; named && p.USN > report.USN && m.flaw != "reads what is behind" {
		if m.flaw == "moves on when behind" {
			if err := m.save(highest); err != nil {
				return err
			}
		}
		report.Complete, report.Errors = m.flaw == "complete when behind", []engine.ObjectError{{Code: engine.CodeBehind}}
		return m.say(ctx, out, engine.RunEvent{Report: &report})
	}
	if err := m.begin(ctx, out, report); err != nil {
		return err
	}
	proposals = m.spoil(proposals)
	if m.flaw == "saves too early" {
		if err := m.save(highest); err != nil {
			return err
		}
	} else if r.Profile == engine.ProfileFull {
		if err := m.save(0); err != nil { // what is proposed is owed until it is decided
			return err
		}
	}
	size := 16
	if m.flaw == "large batches" {
		size = engine.MaxBatch + 1
	}
	for batch := range slices.Chunk(proposals, size) {
		batch = slices.Clone(batch)
		if m.flaw == "stamps late" {
			g := m.Now().Covering(scope, scoping.Place{Directory: "d", Ancestors: []scoping.GUID{{9}}}, scoping.Users)
			for i := range batch {
				batch[i].Epoch = g.Epoch
			}
		}
		if err := m.say(ctx, out, engine.RunEvent{Proposals: batch}); err != nil {
			return err
		}
		select {
		case <-in:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return m.finish(ctx, r, report, out)
}

// begin says by what the proposals come about.
func (m *model) begin(ctx context.Context, out chan<- engine.RunEvent, report engine.RunReport) error {
	b := engine.RunBegin{Directory: report.Directory, DC: report.DC, USN: report.USN, Rules: engine.FingerprintOf([]byte("model"))}
	switch m.flaw {
	case "does not begin":
		return nil
	case "begins at another point":
		b.USN++
	case "does not know its rules":
		b.Rules = engine.Fingerprint{}
	case "rules of the day":
		b.Rules = engine.FingerprintOf([]byte(m.data), []byte(strconv.Itoa(m.run)))
	}
	m.run++
	return m.say(ctx, out, engine.RunEvent{Begin: &b})
}

func (m *model) finish(ctx context.Context, r engine.RunRequest, report engine.RunReport, out chan<- engine.RunEvent) error {
	if m.flaw == "no controller" {
		report.DC = scoping.GUID{}
	}
	if m.flaw != "no report" {
		if err := m.say(ctx, out, engine.RunEvent{Report: &report}); err != nil {
			return err
		}
	}
	if m.flaw == "talks on" {
		return m.say(ctx, out, engine.RunEvent{Progress: &engine.Progress{}})
	}
	partly := !r.Scopes[0].Has(scoping.Users) && len(m.Now()) > 0 // news of what is granted and was not asked for stay news
	if r.Profile == engine.ProfileObjects || partly && m.flaw != "forgets what it was not asked for" {
		return nil
	}
	return m.save(int(report.USN))
}

func (m *model) say(ctx context.Context, out chan<- engine.RunEvent, e engine.RunEvent) error {
	select {
	case out <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *model) wanted(r engine.RunRequest, n, version, from int) bool {
	switch r.Profile {
	case engine.ProfileObjects:
		return slices.Contains(r.Objects, id(n)) || m.flaw == "more than asked"
	case engine.ProfileDelta:
		return version > from && m.flaw != "sees no changes" || from == 0
	}
	return true
}

// proposals are what the engine wants of one object, as far as the scopes ask for it. The second one is left out.
func (m *model) proposals(n, version int, granted engine.Granted, scopes []scoping.Scope) (out []engine.Proposal) {
	g := granted.Covering(scope, scoping.Place{Directory: "d", Ancestors: []scoping.GUID{{9}}}, scoping.Users)
	p := engine.Proposal{Seq: uint64(2*n + 1), Object: id(n), Kind: scoping.User, Name: "CN=" + strconv.Itoa(n), Parent: scoping.GUID{9},
		Version: uint64(version), Feature: scoping.Users, Grant: g.ID, Epoch: g.Epoch, Want: engine.Present,
		Desired: map[string]engine.Value{"displayName": {Text: []string{"x"}}}}
	refs := p
	refs.Seq, refs.Feature, refs.Desired = p.Seq+1, scoping.References, nil
	refs.Refs = map[string]engine.Refs{"manager": {Whole: true}}
	leftOut := n == 1
	if leftOut {
		p.Want, p.Reason, p.Desired = engine.Excluded, "no-upn", nil
	}
	if scopes[0].Has(scoping.Users) {
		out = append(out, p)
	}
	switch {
	case leftOut && m.flaw == "leaves references out":
		refs.Want, refs.Reason, refs.Refs = engine.Excluded, "no-upn", nil
		return append(out, refs)
	case leftOut, n == 4 && m.flaw == "leaves empty references out":
		return out
	case m.flaw == "names changes of references":
		refs.Refs = map[string]engine.Refs{"manager": {Added: []scoping.ObjectID{id(0)}}}
	}
	return append(out, refs)
}

// unseen are the answers for objects that were asked for and that nobody sees.
func (m *model) unseen(r engine.RunRequest) (out []engine.Proposal) {
	if r.Profile != engine.ProfileObjects || m.flaw == "is silent about what it does not see" {
		return nil
	}
	for i, o := range r.Objects {
		if o.GUID[0] == 1 {
			continue
		}
		p := engine.Proposal{Seq: uint64(10_000 + i), Object: o, Want: engine.Unknown, Reason: engine.NotFound}
		switch m.flaw {
		case "takes absence for death":
			p.Want, p.Kind, p.Feature = engine.Gone, scoping.User, scoping.Users
		case "does not say why":
			p.Reason = ""
		case "answers twice":
			again := p
			again.Seq += 5000
			return []engine.Proposal{p, again}
		case "names references of what it does not see":
			p.Kind, p.Feature = scoping.User, scoping.Users
			refs := p
			refs.Seq, refs.Feature, refs.Want, refs.Refs = p.Seq+1, scoping.References, engine.Present, map[string]engine.Refs{"manager": {Whole: true}}
			return []engine.Proposal{p, refs}
		}
		out = append(out, p)
	}
	return out
}

// spoil applies the flaws that lie in the proposals alone.
func (m *model) spoil(ps []engine.Proposal) []engine.Proposal {
	if len(ps) < 3 {
		return ps
	}
	switch m.flaw {
	case "leaves one out":
		return ps[1:]
	case "proposes one twice":
		again := ps[0]
		again.Seq = 1000
		return append(ps, again)
	case "falls back":
		ps[2].Seq = 1
	case "gives no reason":
		for i := range ps {
			ps[i].Reason = ""
		}
	case "writes more":
		ps[0].Desired["mail"] = engine.Value{}
	case "no place":
		ps[0].Parent = scoping.GUID{}
	case "invents a grant":
		for i := range ps {
			ps[i].Grant = 1
		}
	}
	return ps
}

func options(t *testing.T, f flaw, wire bool) conformance.Options {
	objects := make([]int, engine.MaxBatch+10)
	o := conformance.Options{Scopes: []scoping.Scope{scope}, Mistaken: engine.Config{Settings: []byte("bad")}, Mistakes: 2,
		Config: engine.Config{Directories: []engine.Directory{{Name: "d"}}}}
	for n := range objects {
		objects[n] = n + 1
		e := conformance.Expected{Object: id(n), Feature: scoping.Users, Want: engine.Present}
		if n == 1 {
			e.Want = engine.Excluded
		} else {
			o.Expect = append(o.Expect, conformance.Expected{Object: id(n), Feature: scoping.References, Want: engine.Present})
		}
		o.Expect = append(o.Expect, e)
	}
	password, mappings, into := "", 0, &sink{}
	o.Provision = provisioning(into)
	o.Deliver = &conformance.Delivering{User: id(0), Has: func(_ testing.TB, with string) bool { return password == with }}
	named := func(n int, values map[string]engine.Value) engine.Source {
		return engine.Source{Object: scoping.ObjectID{Directory: scoping.Tenant, GUID: guid(n)}, Kind: scoping.User, Values: values}
	}
	o.Map = &conformance.Mapped{Request: engine.MapRequest{Feature: scoping.UserProvisioning}, Sources: []engine.Source{named(1, map[string]engine.Value{"displayName": {Text: []string{"Ann"}}}), named(2, nil)}, Present: 1}
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	o.Start = func(tb testing.TB) engine.Engine {
		m := &model{objects: &objects, flaw: f, watchers: forever, password: &password, maps: &mappings, sink: into}
		if wire {
			return enginetest.Wire(tb, m)
		}
		return m
	}
	o.Change = func(testing.TB) []scoping.ObjectID {
		objects[2] = slices.Max(objects) + 1
		return []scoping.ObjectID{id(2)}
	}
	return o
}

func TestAGoodEnginePasses(t *testing.T) {
	conformance.Run(t, options(t, "", false))
}

func TestAGoodEnginePassesOverTheWire(t *testing.T) {
	conformance.Run(t, options(t, "", true))
}

func TestEachFlawIsCaughtByItsRule(t *testing.T) {
	for f, rule := range map[flaw]string{
		"changes its mind":          "describes_itself",
		"old contract":              "describes_itself",
		"writes nothing":            "describes_itself",
		"one mistake at a time":     "reports_every_mistake",
		"forgets an ack":            "acknowledges_grants",
		"leaves one out":            "proposes_all_once",
		"proposes one twice":        "proposes_all_once",
		"falls back":                "proposes_all_once",
		"large batches":             "proposes_all_once",
		"incomplete":                "proposes_all_once",
		"no controller":             "proposes_all_once",
		"no report":                 "proposes_all_once",
		"talks on":                  "proposes_all_once",
		"gives no reason":           "proposes_soundly",
		"writes more":               "proposes_soundly",
		"no place":                  "proposes_soundly",
		"stamps late":               "stamps_as_it_began",
		"invents a grant":           "shadows_without_grant",
		"more than asked":           "reads_asked_objects",
		"saves too early":           "proposes_again_after_break",
		"sees no changes":           "proposes_changes",
		"leaks":                     "leaves_no_goroutine",
		"adds before the permit":    "provisions_by_permit",
		"adds twice":                "provisions_by_permit",
		"writes anywhere":           "provisions_by_permit",
		"does not say what it made": "provisions_by_permit",
		"asks for a permit to look": "provisions_by_permit",
		"sees nothing":              "provisions_by_permit",

		"reads in silence":                         "describes_what_it_reads",
		"does not begin":                           "begins_with_its_reading",
		"begins at another point":                  "begins_with_its_reading",
		"does not know its rules":                  "begins_with_its_reading",
		"rules of the day":                         "begins_with_its_reading",
		"reads what is behind":                     "says_nothing_when_behind",
		"moves on when behind":                     "says_nothing_when_behind",
		"complete when behind":                     "says_nothing_when_behind",
		"is silent about what it does not see":     "answers_each_object_once",
		"takes absence for death":                  "answers_each_object_once",
		"does not say why":                         "answers_each_object_once",
		"answers twice":                            "answers_each_object_once",
		"names references of what it does not see": "left_out_answers_for_all",
		"leaves references out":                    "left_out_answers_for_all",
		"leaves empty references out":              "names_references_whole",
		"names changes of references":              "names_references_whole",
		"forgets what it was not asked for":        "keeps_news_of_granted_places",
		"delivers in silence":                      "delivers_by_permit",
		"carries an id out twice":                  "delivers_by_permit",
		"writes before the permit":                 "delivers_by_permit",
		"writes too late":                          "delivers_by_permit",
		"does not ask":                             "delivers_by_permit",
		"maps whatever comes":                      "maps_what_it_describes",
		"maps by rules of the day":                 "maps_each_source_once",
		"maps the first only":                      "maps_each_source_once",
		"maps for one time and always":             "maps_each_source_once",
		"maps on":                                  "maps_each_source_once",
	} {
		broken := conformance.Check(t.Context(), t, options(t, f, false))
		if broken[rule] == nil {
			t.Errorf("an engine that %q passes %s; it broke only %v", f, rule, slices.Sorted(maps.Keys(broken)))
		}
	}
	if broken := conformance.Check(t.Context(), t, options(t, "", false)); len(broken) > 0 {
		t.Errorf("a good engine breaks %v", broken)
	}
}
