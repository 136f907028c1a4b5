package orchestrator

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/state"
)

// agentsVerb is the verb by which an engine with agents lists them, see cloudsync.AgentInfo.
const agentsVerb = "agents"

// agentsBucket contains, in the ledger's index file, the ids of agents whose enrolment is in the journal. If it is lost, they are journaled once more.
const agentsBucket = "agents"

// JournalAgents writes into the journal which agents were enrolled since its last call. Agents enrol at the engine, so the host learns of them only by asking. Agents that the
// engine starts itself are left out.
func (x *Orchestrator) JournalAgents(ctx context.Context, name string) error {
	d, err := x.engines.Describe(ctx, name)
	if err != nil || !slices.Contains(d.Verbs, agentsVerb) {
		return err
	}
	var agents []struct {
		ID, Group, Base, Host string
		Embedded              bool
	}
	err = x.Call(ctx, name, agentsVerb, nil, func(b []byte) error { return json.Unmarshal(b, &agents) })
	if err != nil {
		return fmt.Errorf("asking engine %s for its agents: %w", name, err)
	}
	for _, a := range agents {
		key := name + "/" + a.ID
		known, err := shelf{ctx, x.kept.ledger}.Get(agentsBucket, key)
		if err != nil {
			return err
		}
		if known != nil || a.Embedded {
			continue
		}
		err = x.host.Journal(ctx, ledger.Record{Type: ledger.ControlType, Engine: name, Op: "enroll-agent", Outcome: engine.Applied, Code: a.ID,
			Reason: fmt.Sprintf("host %s, group %s, for %s", a.Host, a.Group, a.Base)})
		if err != nil {
			return fmt.Errorf("noting the enrolment of agent %s: %w", a.ID, err)
		}
		if err := x.kept.ledger.Update(ctx, func(tx state.Tx) error { return tx.Put(agentsBucket, key, []byte{1}) }); err != nil {
			return fmt.Errorf("noting the enrolment of agent %s: %w", a.ID, err)
		}
	}
	return nil
}
