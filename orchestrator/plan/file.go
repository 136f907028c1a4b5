package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/wave"
)

// seal names the waves and fingerprints what must not change between plan and apply.
func (p *Plan) seal() {
	q := *p
	q.Fingerprint, q.Waves = "", slices.Clone(p.Waves)
	for i := range q.Waves {
		q.Waves[i].ID = ""
	}
	b, err := json.Marshal(q)
	if err != nil {
		panic("plan: one that cannot be encoded: " + err.Error())
	}
	sum := sha256.Sum256(b)
	p.Fingerprint = hex.EncodeToString(sum[:])
	for i := range p.Waves {
		p.Waves[i].ID = waveID(p.Fingerprint, i)
	}
}

// Blocked returns the blockers of a plan.
func (p *Plan) Blocked() []wave.Finding {
	var out []wave.Finding
	for _, w := range p.Waves {
		for _, f := range w.Findings {
			if f.Severity == wave.Blocker {
				out = append(out, f)
			}
		}
	}
	return out
}

// ReadPlan decodes a plan file. Errors match problem.ErrUsage.
func ReadPlan(b []byte) (*Plan, error) {
	p := new(Plan)
	if err := json.Unmarshal(b, p); err != nil {
		return nil, problem.Refuse("this is not a plan file (%w): write one with `tandem plan -f POLICY -o PLAN`", err)
	}
	switch {
	case p.Version != PlanVersion:
		return nil, problem.Refuse("the plan file is of version %d, this program knows %d: plan again", p.Version, PlanVersion)
	case p.Target == nil || p.Fingerprint == "":
		return nil, problem.Refuse("the plan file is not whole: plan again")
	}
	q := *p
	q.Waves = slices.Clone(p.Waves)
	q.seal()
	named := true
	for i, w := range p.Waves {
		named = named && (w.ID == q.Waves[i].ID || w.ID == shortWaveID(q.Fingerprint, i)) // waves of an older plan file may be in progress
	}
	if q.Fingerprint != p.Fingerprint || !named {
		return nil, problem.Refuse("the plan file was changed after it was written: plan again")
	}
	return p, nil
}

// waveID makes a wave's name from 64 bits of its plan's fingerprint and its place in the plan, so that names of different plans differ.
func waveID(fingerprint string, i int) string {
	return "w" + fingerprint[:16] + "-" + strconv.Itoa(i+1)
}

// shortWaveID returns a wave's name in earlier plan files.
func shortWaveID(fingerprint string, i int) string {
	return "w" + fingerprint[:6] + "-" + strconv.Itoa(i+1)
}
