package api

// command is one thing that a client can ask for, and the role that it takes. A runner may need another role, depending on the request.
type command struct {
	role role
	run  runner
}

// commands are all commands by their path below /v1/.
var commands = map[string]command{
	"apply":           {operates, on(apply)},
	"agent":           {reads, on(agent)},
	"assess":          {reads, on(assessAll)},
	"audit/archive":   {operates, on(auditArchive)},
	"audit/list":      {reads, on(auditList)},
	"audit/prune":     {approves, on(auditPrune)},
	"audit/verify":    {reads, on(auditVerify)},
	"check":           {reads, on(check)},
	"diff":            {reads, on(diff)},
	"engine/list":     {reads, on(engineList)},
	"engine/show":     {reads, on(engineShow)},
	"errors/list":     {reads, on(errorsList)},
	"errors/retry":    {operates, on(errorsRetry)},
	"explain":         {reads, on(explain)},
	"held/list":       {reads, on(heldList)},
	"held/show":       {reads, on(heldShow)},
	"held/answer":     {approves, on(heldAnswer)},
	"history":         {reads, on(history)},
	"import":          {operates, on(importPolicy)},
	"left-out":        {reads, on(leftOut)},
	"mapping/source":  {reads, on(mappingSource)},
	"migrate":         {operates, on(migrate)},
	"notify/test":     {operates, on(notifyTest)},
	"object":          {reads, on(object)},
	"password/set":    {passwords, passwordSet},
	"plan":            {operates, on(makePlan)},
	"policy/repin":    {operates, on(policyRepin)},
	"policy/show":     {reads, on(policyShow)},
	"policy/suggest":  {reads, on(policySuggest)},
	"policy/validate": {reads, on(policyValidate)},
	"restore":         {operates, on(restore)},
	"start":           {operates, on(start)},
	"state/activate":  {operates, on(stateActivate)},
	"state/check":     {reads, on(stateCheck)},
	"state/backup":    {operates, on(stateBackup)},
	"status":          {reads, on(status)},
	"stop":            {operates, on(stop)},
	"sync":            {operates, on(syncEngine)},
	"takeover":        {operates, on(takeover)},
	"wave/decide":     {reads, on(waveDecide)}, // depending on the decision
	"wave/list":       {reads, on(waveList)},
	"wave/show":       {reads, on(waveShow)},
}
