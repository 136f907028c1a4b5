package host

import (
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
)

// findings adds to a report what a person should know and need not act on.
func (h *Host) findings(r *SyncReport, sum gate.Summary) {
	for _, j := range sum.Judgements {
		if j.Code == "address-quarantined" && len(r.Findings) < maxProblems {
			r.Findings = append(r.Findings, ObjectProblem{Object: j.Name, Code: j.Code, Message: j.Reason})
		}
		if len(j.Foreign) == 0 || len(r.Findings) >= maxProblems {
			continue
		}
		r.Findings = append(r.Findings, ObjectProblem{Object: j.Name, Code: "references-kept",
			Message: fmt.Sprintf("%d references that others wrote in the tenant are kept: %s", len(j.Foreign), h.few(j.Foreign))})
	}
}

// mostNames is how many objects one line of a report names.
const mostNames = 5

// few names the first of many cloud objects.
func (h *Host) few(ids []string) string {
	var names []string
	for _, id := range ids[:min(len(ids), mostNames)] {
		names = append(names, h.CloudName(id))
	}
	if len(ids) > mostNames {
		names = append(names, fmt.Sprintf("and %d more", len(ids)-mostNames))
	}
	return strings.Join(names, ", ")
}

// foreignReferences names the references of a linked object that others wrote in the tenant (rule D3).
func (h *Host) foreignReferences(row *ledger.Row, o *cloud.Object) []string {
	out := []string{}
	if row == nil || row.Links == nil || o == nil {
		return out
	}
	ids := o.Members
	if o.Manager != "" {
		ids = append(ids[:len(ids):len(ids)], o.Manager)
	}
	for _, id := range ids {
		if !row.Links.Has(id) {
			out = append(out, h.CloudName(id))
		}
	}
	return out
}
