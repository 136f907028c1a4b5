package inbound

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant/scim"
)

// sourceType is how the log calls a person at the source.
const sourceType = scim.EnterpriseSchema

const (
	sourceName = "API"
	targetName = "Microsoft Entra ID"
)

// carryOut creates or changes one user, and writes what came of it into the log.
func (s *Service) carryOut(op scim.Operation, cycle string, r staged) {
	u := op.User
	e := s.entry(cycle, s.newID(), u.ExternalID, r.received, r.due)
	e.Steps = append(e.Steps, received(u))
	d := decide(u, s.directory.ByEmployeeID(u.ExternalID), s.directory.Target)
	if d.target != nil {
		e.target(*d.target)
		e.Steps = append(e.Steps, Step{"EntryImport", "matching", Success, fmt.Sprintf("Retrieved '%s' from %s", d.target.text("userPrincipalName"), targetName),
			map[string]string{"employeeId": u.ExternalID, "id": d.target.ID}})
	}
	e.Steps = append(e.Steps, scoped(u))
	switch {
	case d.refused != nil:
		e.ProvisioningAction = ActionUpdate
		if d.target == nil {
			e.ProvisioningAction = ActionCreate
		}
		e.fail(d.refused)
	case d.target == nil:
		s.create(&e, u, d.changes)
	default:
		s.update(&e, u, *d.target, d.changes)
	}
	s.log = append(s.log, e)
}

func (s *Service) create(e *Entry, u scim.User, values map[string]any) {
	e.ProvisioningAction = ActionCreate
	e.Steps = append(e.Steps, Step{"EntrySynchronizationAdd", "matching", Success,
		fmt.Sprintf("'%s' will be created in %s: no user there has this employeeId", u.ExternalID, targetName), map[string]string{}})
	o, err := s.directory.Create(values)
	if err != nil {
		e.fail(problemOf(err))
		return
	}
	e.target(o)
	e.modified(User{}, values)
	e.ModifiedProperties = append(e.ModifiedProperties, Modified{"passwordProfile.password", nil, pointer("[Redacted]")})
	s.manager(e, u, o)
	e.done("EntryExportAdd", fmt.Sprintf("User '%s' was created in %s", o.text("userPrincipalName"), targetName))
}

func (s *Service) update(e *Entry, u scim.User, o User, changes map[string]any) {
	e.ProvisioningAction = ActionUpdate
	if changes["accountEnabled"] == false {
		e.ProvisioningAction = ActionDisable
	}
	if len(changes) > 0 {
		if err := s.directory.Update(o.ID, changes); err != nil {
			e.fail(problemOf(err))
			return
		}
		e.modified(o, changes)
	}
	if !o.fed() {
		s.manager(e, u, o)
	}
	if len(e.ModifiedProperties) == 0 && e.StatusInfo.Status == "" {
		e.skip(u.ExternalID)
		return
	}
	e.done("EntryExportUpdate", fmt.Sprintf("User '%s' was updated in %s", u.ExternalID, targetName))
}

// manager sets the manager that was sent, or has the user wait for one.
func (s *Service) manager(e *Entry, u scim.User, o User) {
	name := u.Enterprise.Manager
	if name == "" {
		return
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(w waiting) bool { return w.user == o.ID })
	boss, found := managerOf(s.directory.ByEmployeeID(name))
	if !found {
		s.waiting = append(s.waiting, waiting{o.ID, u.ExternalID, name, e.ChangeID})
		e.Steps = append(e.Steps, Step{"EntrySynchronizationSkip", "processing", Success,
			fmt.Sprintf("'%s' could not be assigned as the manager of '%s': nobody, or more than one, has that employeeId. It is tried again.", name, u.ExternalID),
			map[string]string{name: "manager Add", "PropertyName": "manager", "SkipReason": "UnableToResolveReferenceAttributeValue"}})
		return
	}
	s.assign(e, o, boss)
}

func (s *Service) assign(e *Entry, o, boss User) {
	if o.Manager == boss.ID {
		return
	}
	if err := s.directory.SetManager(o.ID, boss.ID); err != nil {
		e.fail(problemOf(err))
		return
	}
	e.ModifiedProperties = append(e.ModifiedProperties, Modified{"manager", optional(o.Manager), pointer(boss.ID)})
}

// resolve looks again for managers who were not there. Each that is found is an entry of its own, with the change's id of the operation that named it.
func (s *Service) resolve(cycle string, at time.Time) {
	s.retry = s.opts.Clock().Add(retryAfter)
	s.waiting = slices.DeleteFunc(s.waiting, func(w waiting) bool {
		o, there := s.directory.ByID(w.user)
		if !there || o.fed() {
			return true
		}
		boss, found := managerOf(s.directory.ByEmployeeID(w.manager))
		if !found {
			return false
		}
		e := s.entry(cycle, w.change, w.externalID, at, at)
		e.ProvisioningAction = ActionUpdate
		e.target(o)
		s.assign(&e, o, boss)
		if len(e.ModifiedProperties) > 0 {
			e.done("EntryExportUpdate", fmt.Sprintf("User '%s' was updated in %s", w.externalID, targetName))
		}
		if e.StatusInfo.Status != "" {
			s.log = append(s.log, e)
		}
		return true
	})
}

// entry begins a line of the log.
func (s *Service) entry(cycle, change, externalID string, from, at time.Time) Entry {
	return Entry{ID: s.newID(), at: at, ActivityDateTime: at.UTC().Truncate(time.Second), TenantID: s.job.TenantID, JobID: s.job.ID, CycleID: cycle, ChangeID: change,
		Duration: at.Sub(from).Milliseconds(), ServicePrincipal: Named{s.job.ServicePrincipal, s.job.Name},
		SourceSystem:   System{s.systems[0], sourceName, map[string]string{}},
		TargetSystem:   System{s.systems[1], targetName, map[string]string{"ApplicationId": s.job.AppID, "ServicePrincipalId": s.job.ServicePrincipal, "ServicePrincipalDisplayName": s.job.Name}},
		InitiatedBy:    Initiator{"", "Azure AD Provisioning Service", "system"},
		SourceIdentity: Identity{externalID, "", sourceType, map[string]string{}}, TargetIdentity: Identity{"", "", "User", map[string]string{}},
		Steps: []Step{}, ModifiedProperties: []Modified{}}
}

func (e *Entry) target(o User) {
	name, upn := o.text("displayName"), o.text("userPrincipalName")
	e.TargetIdentity = Identity{o.ID, name, "User", map[string]string{"id": o.ID, "odatatype": "User", "DisplayName": name, "UserPrincipalName": upn}}
}

func (e *Entry) fail(p *problem) {
	e.StatusInfo = StatusInfo{Failure, &ErrorInfo{Code: p.code, Reason: p.reason, Category: "nonServiceFailure", RecommendedAction: p.action}}
	e.Steps = append(e.Steps, Step{"EntryExport", "export", Failure, "Failed to write the user to " + targetName, map[string]string{"ErrorCode": p.code, "ReportableIdentifier": e.SourceIdentity.ID}})
}

// done ends an entry well, unless something of it failed.
func (e *Entry) done(step, text string) {
	if e.StatusInfo.Status == Failure {
		return
	}
	e.StatusInfo = StatusInfo{Status: Success}
	e.Steps = append(e.Steps, Step{step, "export", Success, text, map[string]string{"ReportableIdentifier": e.SourceIdentity.ID}})
}

func (e *Entry) skip(externalID string) {
	e.ProvisioningAction, e.StatusInfo = ActionOther, StatusInfo{Status: Skipped}
	e.Steps = append(e.Steps, Step{"EntrySynchronizationSkip", "export", Skipped,
		fmt.Sprintf("The user '%s' is the same in source and target: nothing has to be changed.", externalID),
		map[string]string{"ReportableIdentifier": externalID, "SkipReason": "RedundantExport"}})
}

func received(u scim.User) Step {
	details := map[string]string{"externalId": u.ExternalID}
	for name, value := range map[string]string{"displayName": u.DisplayName, "userName": u.UserName, "title": u.Title, "namefamilyName": u.Name.FamilyName, "namegivenName": u.Name.GivenName,
		"urnietfparamsscimschemasextensionenterprise20Userdepartment": u.Enterprise.Department, "urnietfparamsscimschemasextensionenterprise20Usermanager": u.Enterprise.Manager} {
		if value != "" {
			details[name] = value
		}
	}
	return Step{"EntryImportAdd", "import", Success, fmt.Sprintf("Received %s '%s' change of type (Add) from %s", sourceType, u.ExternalID, sourceName), details}
}

func scoped(u scim.User) Step {
	active := "True"
	if u.Active != nil && !*u.Active {
		active = "False"
	}
	return Step{"EntrySynchronizationScoping", "scoping", Success, "Determine whether the user is in scope by evaluating each scoping filter",
		map[string]string{"Active in the source system": active, "Scoping filter evaluation passed": "True", "ScopeEvaluationResult": "{}"}}
}

// modified lists what was written, by name, a property of several fields field by field.
func (e *Entry) modified(before User, changes map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		fields, isComplex := changes[name].(map[string]any)
		if !isComplex {
			e.ModifiedProperties = append(e.ModifiedProperties, Modified{name, shown(before.Properties[name]), shown(changes[name])})
			continue
		}
		old, _ := before.Properties[name].(map[string]any)
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			if old[field] != fields[field] {
				e.ModifiedProperties = append(e.ModifiedProperties, Modified{name + "." + field, shown(old[field]), shown(fields[field])})
			}
		}
	}
}

func shown(v any) *string {
	switch x := v.(type) {
	case string:
		return &x
	case bool:
		if x {
			return pointer("True")
		}
		return pointer("False")
	case []string:
		return pointer(strings.Join(x, ","))
	}
	return nil
}

func pointer(s string) *string { return &s }

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
