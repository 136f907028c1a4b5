package tenant_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// workforce is a brute-force model of what an HR system makes of a tenant: numbers, and who has each at the moment.
type workforce struct {
	living  map[string]*colleague
	waiting map[*colleague]string // for the manager of a number
}

type colleague struct {
	title, department string
	enabled           bool
	manager           *colleague
}

// sent is one operation: nil is absent.
type sent struct {
	number            string
	named             bool
	title, department *string
	active            *bool
	manager           string
}

func (s *workforce) request(operations []sent) {
	for _, op := range operations {
		c := s.living[op.number]
		if c == nil {
			if !op.named {
				continue // nobody can be created without a name
			}
			c = &colleague{enabled: true}
			s.living[op.number] = c
		}
		if op.title != nil && *op.title != "" {
			c.title = *op.title
		}
		if op.department != nil && *op.department != "" {
			c.department = *op.department
		}
		if op.active != nil {
			c.enabled = *op.active
		}
		if op.manager != "" {
			delete(s.waiting, c)
			if boss := s.living[op.manager]; boss != nil {
				c.manager = boss
			} else {
				s.waiting[c] = op.manager
			}
		}
	}
	s.resolve()
}

func (s *workforce) resolve() {
	for c, number := range s.waiting {
		if boss := s.living[number]; boss != nil && slices.Contains(slices.Collect(maps.Values(s.living)), c) {
			c.manager = boss
			delete(s.waiting, c)
		}
	}
}

func (op sent) employee() employee {
	p := employee{"externalId": op.number}
	if op.named {
		p["userName"], p["displayName"] = op.number+"@contoso.test", "Person "+op.number
	}
	if op.title != nil {
		p["title"] = *op.title
	}
	if op.active != nil {
		p["active"] = *op.active
	}
	if op.department != nil {
		p = p.with(":department", *op.department)
	}
	if op.manager != "" {
		p = p.with(":manager", op.manager)
	}
	return p
}

// Whatever is sent, in whatever order, each number has one user at most, with what was sent last; and the same again writes nothing.
func TestTheTenantHoldsWhatWasSentLast(t *testing.T) {
	w := newWorld(t)
	w.server.SetServiceLimits(false)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		w.signIn() // time passes in runs, too
		var numbers []string
		for i := range 4 {
			numbers = append(numbers, fmt.Sprintf("r%d-%d", run, i))
		}
		want := &workforce{map[string]*colleague{}, map[*colleague]string{}}
		operation := rapid.Custom(func(rt *rapid.T) sent {
			text := rapid.Ptr(rapid.SampledFrom([]string{"", "a", "b", "c"}), true)
			return sent{rapid.SampledFrom(numbers).Draw(rt, "number"), rapid.Bool().Draw(rt, "named"), text.Draw(rt, "title"), text.Draw(rt, "department"),
				rapid.Ptr(rapid.Bool(), true).Draw(rt, "active"), rapid.SampledFrom(append(numbers, "", "")).Draw(rt, "manager")}
		})
		for range rapid.IntRange(1, 5).Draw(rt, "rounds") {
			operations := rapid.SliceOfN(operation, 1, 6).Draw(rt, "operations")
			want.request(operations)
			w.sendAll(operations)
			w.agrees(rt, want, numbers)
			if gone := rapid.SampledFrom(append(numbers, "", "", "")).Draw(rt, "deleted"); gone != "" && want.living[gone] != nil {
				w.do(204, "DELETE", "/users/"+w.only(gone)["id"].(string), nil)
				delete(want.waiting, want.living[gone])
				delete(want.living, gone)
			}
			// The last word on each again.
			again := map[string]sent{}
			for _, op := range operations {
				if want.living[op.number] != nil {
					again[op.number] = sent{number: op.number, title: &want.living[op.number].title, active: &want.living[op.number].enabled}
				}
			}
			w.clock.pass(time.Minute) // who waits is looked at once more, so that what follows is the repetition's alone
			w.do(200, "GET", "/users?$top=1", nil)
			before := w.model.State(false)
			w.sendAll(slices.Collect(maps.Values(again)))
			if after := w.model.State(false); fmt.Sprint(before) != fmt.Sprint(after) {
				rt.Fatal("the same again wrote something")
			}
		}
	})
}

func (w *world) sendAll(operations []sent) {
	w.t.Helper()
	if len(operations) == 0 {
		return
	}
	var people []employee
	for _, op := range operations {
		people = append(people, op.employee())
	}
	w.bulkUpload(people...)
	w.clock.pass(time.Second)
	w.do(200, "GET", "/users?$top=1", nil) // it is carried out before whatever asks next
}

func (w *world) agrees(rt *rapid.T, want *workforce, numbers []string) {
	w.t.Helper()
	ids := map[*colleague]any{}
	found := map[string]map[string]any{}
	for _, n := range numbers {
		rows := w.employed(n)
		if c := want.living[n]; (c == nil) != (len(rows) == 0) || len(rows) > 1 {
			rt.Fatalf("%s: %d users, and in the model %v", n, len(rows), c)
		} else if c != nil {
			ids[c], found[n] = rows[0]["id"], rows[0]
		}
	}
	for n, u := range found {
		c := want.living[n]
		text := func(property string) string { s, _ := u[property].(string); return s }
		boss, _ := u["manager"].(map[string]any)
		if text("jobTitle") != c.title || text("department") != c.department || u["accountEnabled"] != c.enabled || boss["id"] != ids[c.manager] {
			rt.Fatalf("%s is %v, and in the model %+v with the manager %v", n, u, c, ids[c.manager])
		}
	}
}
