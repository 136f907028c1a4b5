package main

import (
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/cmd/tandem/page"
	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

// assessmentPage shows an assessment.
func assessmentPage(a api.Assessment, under string) page.Page {
	p := page.Page{Title: "Readiness for a migration", Mark: page.MarkOf(string(a.Readiness)), Source: "It shows the directories and the tenant as they were then; nothing was written to either."}
	if a.To != "" {
		p.Title = fmt.Sprintf("Readiness to move from %s to %s", a.From, a.To)
	}
	if under != "" {
		p.Facts = append(p.Facts, page.Fact{Name: "Under", Value: under})
	}
	p.Facts = append(p.Facts, page.Fact{Name: "Policy", Value: map[bool]string{true: "in force", false: "none is in force yet"}[a.InForce]})
	p.Lead = a.Notes
	overview := page.Section{Title: "Parts of the directory", Findings: assessFindings(a.Findings),
		Tables: []page.Table{{Columns: page.Columns("Part", "Readiness", "#Users", "#Groups", "#Others", "#Blockers", "#Warnings", "Engine")}}}
	sections := []page.Section{overview, assessedWaves(a)}
	for _, u := range a.Units {
		b, w := severities(u.Findings)
		name := page.Text(unitName(u.Unit))
		if len(u.Findings) > 0 {
			sections = append(sections, assessedUnit(u))
			name.Section = len(sections)
		}
		sections[0].Tables[0].Rows = append(sections[0].Tables[0].Rows, []page.Cell{name, page.Marked(string(u.Readiness)), page.Count(u.Objects["user"]), page.Count(u.Objects["group"]),
			page.Count(u.Objects["contact"] + u.Objects["device"]), page.Count(b), page.Count(w), page.Text(owners(u))})
	}
	p.Sections = sections
	return p
}

func assessedUnit(u api.AssessedUnit) page.Section {
	t := page.Table{Columns: page.Columns("Feature", "Readiness", "#Objects")}
	for _, f := range u.Features {
		t.Rows = append(t.Rows, []page.Cell{page.Text(string(f.Feature)), page.Marked(string(f.Readiness)), page.Count(f.Objects)})
	}
	return page.Section{Title: unitName(u.Unit), Mark: page.MarkOf(string(u.Readiness)), Tables: []page.Table{t}, Findings: assessFindings(u.Findings)}
}

func assessedWaves(a api.Assessment) page.Section {
	t := page.Table{Columns: page.Columns("#Wave", "Parts", "Readiness", "Objects", "#References that cross afterwards", "Why")}
	for i, w := range a.Waves {
		var parts []string
		for _, u := range w.Units {
			parts = append(parts, unitName(u))
		}
		crossing := page.Cell{Text: fmt.Sprint(w.Crossing), Number: true}
		t.Rows = append(t.Rows, []page.Cell{page.Count(i + 1), page.Text(strings.Join(parts, "; ")), page.Marked(string(w.Readiness)), page.Text(kinds(w.Objects)), crossing, page.Text(strings.Join(w.Why, "; "))})
	}
	s := page.Section{Title: "Suggested order of waves"}
	if len(a.Waves) == 0 {
		s.Lead = []string{"No waves are proposed."}
		return s
	}
	s.Tables = []page.Table{t}
	return s
}

func assessFindings(fs []api.AssessFinding) (out []page.Finding) {
	for _, f := range fs {
		x := page.Finding{Mark: *page.MarkOf(string(f.Severity)), Code: string(f.Code), Message: f.Message, Examples: names(f.Examples), Fix: f.Fix}
		if f.Objects > 0 {
			x.Count = fmt.Sprint(f.Objects)
		}
		out = append(out, x)
	}
	return out
}

// planPage shows a plan.
func planPage(p api.Plan, file string) page.Page {
	out := page.Page{Title: "Plan", Facts: []page.Fact{{Name: "File", Value: file}, {Name: "From revision", Value: fmt.Sprint(p.FromRevision)}, {Name: "Fingerprint", Value: p.Fingerprint},
		{Name: "Waves", Value: fmt.Sprint(len(p.Waves))}}, Source: "`tandem apply` refuses the plan when what it was made of has changed since."}
	if len(p.Changes) > 0 {
		t := page.Table{Columns: page.Columns("Setting", "Is", "Will be")}
		for _, c := range p.Changes {
			t.Rows = append(t.Rows, []page.Cell{page.Text(c.What), page.Text(c.From), page.Text(c.To)})
		}
		out.Sections = append(out.Sections, page.Section{Title: "What the policy says otherwise", Tables: []page.Table{t}, Lead: effects(p.Effects)})
	}
	if len(p.Waves) == 0 {
		out.Lead = append(out.Lead, "Nothing changes hands.")
	}
	blocked := false
	for i, w := range p.Waves {
		s := plannedSection(i+1, w)
		blocked = blocked || s.Mark.Text == "blocked"
		out.Sections = append(out.Sections, s)
	}
	if blocked {
		out.Mark = page.MarkOf("blocked")
	}
	return out
}

func effects(es []api.Effect) (out []string) {
	for _, e := range es {
		var b strings.Builder
		showEffect(&b, e)
		out = append(out, strings.TrimSpace(b.String()))
	}
	return out
}

func plannedSection(n int, w api.PlannedWave) page.Section {
	s := page.Section{Title: fmt.Sprintf("Wave %d: from %s to %s", n, w.From, w.To), Facts: []page.Fact{{Name: "Id", Value: w.ID}, {Name: "Features", Value: joined(w.Features)}, {Name: "Objects", Value: kinds(w.Objects)}}}
	s.Facts = append(append(s.Facts, scopeFacts(w.Scopes)...), predictedFact(w))
	worst := "ready"
	for _, f := range w.Findings {
		switch {
		case f.Severity == wave.Blocker:
			worst = "blocked"
		case f.Severity == wave.Warning && worst == "ready":
			worst = "warnings"
		}
	}
	s.Mark = page.MarkOf(worst)
	s.Findings = waveFindings(w.Findings)
	s.Tables = append(append(takesOver(w), differences(w.Examples, w.From)...), crossings(w)...)
	return s
}

// takesOver tells what becomes of the values and references that the tenant has.
func takesOver(w api.PlannedWave) (out []page.Table) {
	if w.TakeOver == nil {
		return nil
	}
	if len(w.TakeOver.Values) > 0 {
		t := page.Table{Caption: "Values that would change at the cutover", Columns: page.Columns("Attribute", "#Objects", "Such as", "In the tenant", "Wanted")}
		for _, s := range w.TakeOver.Values {
			for i, e := range s.Examples {
				name, n := page.Text(""), page.Text("")
				if i == 0 {
					name, n = page.Text(s.Attribute), page.Count(s.Objects)
				}
				t.Rows = append(t.Rows, []page.Cell{name, n, page.Text(e.Object), page.Text(values(e.Tenant)), page.Text(values(e.Wanted))})
			}
		}
		out = append(out, t)
	}
	if k := w.TakeOver.Kept; k.References > 0 {
		t := page.Table{Caption: fmt.Sprintf("%s that others wrote in the tenant stay, of %s", scoping.Many(k.References, "reference", "references"), scoping.Many(k.Objects, "object", "objects")),
			Columns: page.Columns("Such as")}
		for _, e := range k.Examples {
			t.Rows = append(t.Rows, []page.Cell{page.Text(e)})
		}
		out = append(out, t)
	}
	return out
}

func predictedFact(w api.PlannedWave) page.Fact {
	if w.Predicted == nil {
		return page.Fact{Name: "Predicted", Value: "nothing, since " + w.To + " did not run"}
	}
	return page.Fact{Name: "Predicted", Value: counts(*w.Predicted)}
}

func scopeFacts(ss []api.Scope) (out []page.Fact) {
	for _, s := range ss {
		out = append(out, page.Fact{Name: "Under", Value: s.Under})
		for _, x := range []struct {
			name string
			of   []string
		}{{"Except", s.Except}, {"Only", s.With}, {"Without", s.Without}} {
			if len(x.of) > 0 {
				out = append(out, page.Fact{Name: x.name, Value: strings.Join(x.of, "; ")})
			}
		}
	}
	return out
}

func waveFindings(fs []wave.Finding) (out []page.Finding) {
	for _, f := range fs {
		x := page.Finding{Mark: *page.MarkOf(string(f.Severity)), Code: string(f.Code), Message: f.Message, Examples: names(f.Examples)}
		if f.Objects > 0 {
			x.Count = fmt.Sprint(f.Objects)
		}
		out = append(out, x)
	}
	return out
}

// differences tells what would be written, or was found.
func differences(ds []wave.Difference, from string) []page.Table {
	if len(ds) == 0 {
		return nil
	}
	t := page.Table{Caption: "What would be written", Columns: page.Columns("What", "Object", "How")}
	for _, d := range ds {
		how := d.Detail
		if d.Behind {
			how = strings.TrimSpace(how + " (" + from + " did not bring this change yet)")
		}
		op := page.Text(d.Op)
		if d.Grave {
			op.Class = "bad"
		}
		t.Rows = append(t.Rows, []page.Cell{op, page.Text(d.Name), page.Text(how)})
	}
	return []page.Table{t}
}

// crossings tells between which parts references have their two ends with different engines afterwards.
func crossings(w api.PlannedWave) []page.Table {
	if w.Crossing == nil || len(w.Crossing.Pairs) == 0 {
		return nil
	}
	t := page.Table{Caption: "References whose two ends have different engines after this wave; they stay right", Columns: page.Columns("From", "To", "#Memberships", "#Managers")}
	for _, p := range w.Crossing.Pairs {
		t.Rows = append(t.Rows, []page.Cell{page.Text(p.From.Under + " (" + p.From.Engine + ")"), page.Text(p.To.Under + " (" + p.To.Engine + ")"), page.Count(p.Memberships), page.Count(p.Managers)})
	}
	return []page.Table{t}
}

// wavePage shows a wave.
func wavePage(w api.Wave) page.Page {
	p := page.Page{Title: "Wave " + w.ID, Mark: page.MarkOf(string(w.State)), Source: "`tandem audit list --wave " + w.ID + "` has every record of it.",
		Facts: append([]page.Fact{{Name: "Phase", Value: string(w.Phase)}, {Name: "From", Value: w.From}, {Name: "To", Value: w.To}, {Name: "Features", Value: joined(w.Features)}, {Name: "Objects", Value: kinds(w.Objects)}},
			scopeFacts(w.Scopes)...)}
	p.Facts = append(p.Facts, page.Fact{Name: "Revision", Value: fmt.Sprint(w.Revision)}, page.Fact{Name: "Frozen for", Value: fmt.Sprintf("%d ms", w.FreezeMillis)}, page.Fact{Name: "Differences", Value: counts(w.Differences)})
	for _, f := range []page.Fact{{Name: "Approved by", Value: w.ApprovedBy}, {Name: "Begun by", Value: w.By}, {Name: "Error", Value: w.Error}} {
		if f.Value != "" {
			p.Facts = append(p.Facts, f)
		}
	}
	if x := w.WaitingFor; x != nil {
		p.Lead = append(p.Lead, "It waits: "+x.Message+". `"+x.Command+"` ends that.")
	}
	t := page.Table{Columns: page.Columns("Phase", "From", "To", "Result")}
	for _, x := range w.Phases {
		ended := "…"
		if x.EndedAt != nil {
			ended = *x.EndedAt
		}
		t.Rows = append(t.Rows, []page.Cell{page.Text(string(x.Name)), page.Text(x.StartedAt), page.Text(ended), page.Text(x.Result)})
	}
	p.Sections = []page.Section{{Title: "Phases", Tables: []page.Table{t}}}
	if len(w.Examples) > 0 {
		p.Sections = append(p.Sections, page.Section{Title: "What verifying found", Tables: differences(w.Examples, w.From), Facts: []page.Fact{{Name: "Fingerprint", Value: w.Fingerprint}}})
	}
	if r := w.Rollback; r != nil {
		p.Sections = append(p.Sections, rolledBack(r))
	}
	return p
}

func rolledBack(r *wave.RollbackReport) page.Section {
	s := page.Section{Title: "Rolled back", Lead: r.Notes}
	for _, x := range []struct {
		name string
		n    int
	}{{"Values restored", r.Restored}, {"Kept, because the directory changed", r.ADChanged}, {"Kept, because somebody else changed them", r.Foreign}, {"Cannot be restored", r.Impossible},
		{"Memberships that the wave added and that are still there", r.Members}, {"Objects that wait", r.Waiting}} {
		s.Facts = append(s.Facts, page.Fact{Name: x.name, Value: fmt.Sprint(x.n)})
	}
	return s
}
