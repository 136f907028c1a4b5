package tenant

import (
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/tandem-sync/tandem/examples/lab/tenant/inbound"
	"github.com/tandem-sync/tandem/examples/lab/tenant/scim"
)

// The permissions that inbound provisioning asks for.
// See https://learn.microsoft.com/graph/api/synchronization-synchronizationjob-post-bulkupload and provisioningobjectsummary-list.
var (
	uploadPermissions = []string{"SynchronizationData-User.Upload.OwnedBy", "SynchronizationData-User.Upload"}
	uploadRoles       = []string{userAdministrator, GlobalAdministrator}
	logPermissions    = []string{"ProvisioningLog.Read.All", "AuditLog.Read.All", "Directory.Read.All"}
	logRoles          = []string{reportsReader, GlobalAdministrator}
	jobPermissions    = []string{"Synchronization.Read.All", "Synchronization.ReadWrite.All"}
	jobRoles          = []string{hybridIdentityAdministrator, GlobalAdministrator}
)

const jobPath = "servicePrincipals/{}/synchronization/jobs"

// inboundRoutes are the job of API-driven provisioning, to which an HR system sends people, and the log that tells what came of it.
var inboundRoutes = []route{
	writes(http.MethodPost, jobPath+"/{}/bulkUpload", bulkUpload).allowed(uploadPermissions, uploadRoles).under(uploads),
	get(jobPath, 1, jobs).allowed(jobPermissions, jobRoles),
	get(jobPath+"/{}", 1, oneJob).allowed(jobPermissions, jobRoles),
	writes(http.MethodPost, jobPath+"/{}/start", steer((*inbound.Service).Start)).allowed(jobPermissions[1:], jobRoles),
	writes(http.MethodPost, jobPath+"/{}/pause", steer((*inbound.Service).Pause)).allowed(jobPermissions[1:], jobRoles),
	writes(http.MethodPost, jobPath+"/{}/restart", steer((*inbound.Service).Restart)).allowed(jobPermissions[1:], jobRoles),
	get("auditLogs/provisioning", 1, provisioningLog).allowed(logPermissions, logRoles).under(reports),
}

// job finds the job that a path names.
func (f *front) job(c *call) (*inbound.Service, error) {
	j := f.inbound.Job()
	if !strings.EqualFold(c.args[0], j.ServicePrincipal) {
		if _, err := f.model.Get(ServicePrincipal, c.args[0]); err != nil {
			return nil, err
		}
		return nil, notFound(c.args[len(c.args)-1])
	}
	if len(c.args) > 1 && c.args[1] != j.ID {
		return nil, notFound(c.args[1])
	}
	return f.inbound, nil
}

// bulkUpload takes people from an HR system. Everything beyond the form of the request appears in the provisioning log alone.
// See https://learn.microsoft.com/graph/api/synchronization-synchronizationjob-post-bulkupload.
func bulkUpload(f *front, c *call) (reply, error) {
	s, err := f.job(c)
	if err != nil {
		return reply{}, err
	}
	if kind, _, err := mime.ParseMediaType(c.header.Get("Content-Type")); err != nil || kind != "application/scim+json" {
		return reply{}, invalidFormat("The Content-Type must be application/scim+json.")
	}
	r, err := scim.Parse(c.body)
	var why *scim.Error
	if errors.As(err, &why) {
		return reply{}, invalidFormat(why.Error() + ".")
	}
	s.Upload(r)
	return reply{status: http.StatusAccepted, header: map[string]string{"Location": c.base + "/auditLogs/provisioning/?$filter=jobid%20eq%20'" + s.Job().ID + "'",
		"Date": f.model.now().Format(http.TimeFormat)}}, nil // by the clock that the log has, so that what was sent can be told from what was before
}

// invalidFormat is Entra's answer to every request that it cannot read; which rule is broken, the lab says too.
func invalidFormat(detail string) *Error {
	return plainBadRequest("Invalid Data Format. " + detail)
}

func jobs(f *front, c *call) (reply, error) {
	if !strings.EqualFold(c.args[0], f.inbound.Job().ServicePrincipal) {
		if _, err := f.model.Get(ServicePrincipal, c.args[0]); err != nil {
			return reply{}, err
		}
		return c.page(nil, "servicePrincipals('"+c.args[0]+"')/synchronization/jobs")
	}
	return c.page([]any{jobRow(f.inbound)}, "servicePrincipals('"+c.args[0]+"')/synchronization/jobs")
}

func oneJob(f *front, c *call) (reply, error) {
	s, err := f.job(c)
	if err != nil {
		return reply{}, err
	}
	row := jobRow(s)
	row["@odata.context"] = c.base + "/$metadata#servicePrincipals('" + c.args[0] + "')/synchronization/jobs/$entity"
	return reply{status: http.StatusOK, body: row}, nil
}

func jobRow(s *inbound.Service) map[string]any {
	code, state := "Active", "Active"
	if s.Paused() {
		code, state = "Paused", "Disabled"
	}
	return map[string]any{"id": s.Job().ID, "templateId": "API2AAD", "schedule": map[string]any{"expiration": nil, "interval": "PT40M", "state": state},
		"status": map[string]any{"code": code, "countSuccessiveCompleteFailures": 0, "escrowsPruned": false, "quarantine": nil, "progress": []any{},
			"steadyStateFirstAchievedTime": "0001-01-01T00:00:00Z", "steadyStateLastAchievedTime": "0001-01-01T00:00:00Z", "synchronizedEntryCountByType": []any{}},
		"synchronizationJobSettings": []any{}}
}

// steer answers a verb on the job.
func steer(do func(*inbound.Service)) func(*front, *call) (reply, error) {
	return func(f *front, c *call) (reply, error) {
		s, err := f.job(c)
		if err != nil {
			return reply{}, err
		}
		do(s)
		return noContent, nil
	}
}
