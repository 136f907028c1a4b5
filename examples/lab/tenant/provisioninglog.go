package tenant

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant/inbound"
	"github.com/tandem-sync/tandem/examples/lab/tenant/odata"
)

// logPage is how many entries a page of the log has at most, and without $top.
const logPage = 1000

// logPaths are what $filter takes, in lower case, as the documentation and its examples name it.
var logPaths = map[string]func(*inbound.Entry) string{
	"id":                            func(e *inbound.Entry) string { return e.ID },
	"activitydatetime":              func(e *inbound.Entry) string { return e.ActivityDateTime.Format(time.RFC3339) },
	"tenantid":                      func(e *inbound.Entry) string { return e.TenantID },
	"jobid":                         func(e *inbound.Entry) string { return e.JobID },
	"cycleid":                       func(e *inbound.Entry) string { return e.CycleID },
	"changeid":                      func(e *inbound.Entry) string { return e.ChangeID },
	"provisioningaction":            func(e *inbound.Entry) string { return e.ProvisioningAction },
	"action":                        func(e *inbound.Entry) string { return e.ProvisioningAction },
	"statusinfo/status":             func(e *inbound.Entry) string { return e.StatusInfo.Status },
	"provisioningstatusinfo/status": func(e *inbound.Entry) string { return e.StatusInfo.Status },
	"sourceidentity/id":             func(e *inbound.Entry) string { return e.SourceIdentity.ID },
	"sourceidentity/displayname":    func(e *inbound.Entry) string { return e.SourceIdentity.DisplayName },
	"targetidentity/id":             func(e *inbound.Entry) string { return e.TargetIdentity.ID },
	"targetidentity/displayname":    func(e *inbound.Entry) string { return e.TargetIdentity.DisplayName },
	"sourcesystem/displayname":      func(e *inbound.Entry) string { return e.SourceSystem.DisplayName },
	"targetsystem/displayname":      func(e *inbound.Entry) string { return e.TargetSystem.DisplayName },
	"serviceprincipal/id":           func(e *inbound.Entry) string { return e.ServicePrincipal.ID },
	"serviceprincipal/displayname":  func(e *inbound.Entry) string { return e.ServicePrincipal.DisplayName },
}

// provisioningLog answers a page of the provisioning log, newest first. A skip token counts from the oldest, so that entries that come
// between two pages move nothing.
// See https://learn.microsoft.com/graph/api/provisioningobjectsummary-list.
func provisioningLog(f *front, c *call) (reply, error) {
	if err := c.checkOptions("filter", "orderby", "top", "skiptoken"); err != nil {
		return reply{}, err
	}
	keep, err := c.logFilter()
	if err != nil {
		return reply{}, err
	}
	ascending, err := c.logOrder()
	if err != nil {
		return reply{}, err
	}
	limit, err := c.logTop()
	if err != nil {
		return reply{}, err
	}
	all := f.inbound.Log(keep)
	from, err := c.logFrom(len(all), ascending)
	if err != nil {
		return reply{}, err
	}
	rows, next := pageOf(all, from, limit, ascending)
	body := map[string]any{"@odata.context": c.base + "/$metadata#auditLogs/provisioning", "value": rows}
	if next >= 0 {
		body["@odata.nextLink"] = c.link(skipToken(next))
	}
	return reply{status: http.StatusOK, body: body}, nil
}

// pageOf takes a page that begins with the entry of a number, and gives the number with which the next one begins, or -1.
func pageOf(all []inbound.Entry, from, limit int, ascending bool) (rows []inbound.Entry, next int) {
	rows, next = []inbound.Entry{}, -1
	if ascending {
		end := min(len(all), from+limit)
		if end < len(all) {
			next = end
		}
		return append(rows, all[from:end]...), next
	}
	end := max(0, from-limit)
	if end > 0 {
		next = end
	}
	rows = append(rows, all[end:from]...)
	slices.Reverse(rows)
	return rows, next
}

// logFrom reads where a page begins: with the number of the first entry, or with that after the last for the newest.
func (c *call) logFrom(count int, ascending bool) (int, error) {
	if c.option("skiptoken") == "" {
		if ascending {
			return 0, nil
		}
		return count, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(c.option("skiptoken"))
	n, bad := strconv.Atoi(string(raw))
	if err != nil || bad != nil || n < 0 {
		return 0, badRequest("Badly formed token.")
	}
	return min(n, count), nil
}

func (c *call) logTop() (int, error) {
	text := c.option("top")
	if text == "" {
		return logPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > logPage {
		return 0, plainBadRequest(fmt.Sprintf("Invalid page size specified: '%s'. Must be between 1 and %d inclusive.", text, logPage))
	}
	return n, nil
}

func (c *call) logOrder() (ascending bool, err error) {
	text := c.option("orderby")
	name, direction, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch {
	case text == "":
		return false, nil
	case !strings.EqualFold(name, "activityDateTime") || direction != "" && direction != "asc" && direction != "desc":
		return false, unsupportedQuery("Sorting is not supported for '%s'.", text)
	}
	return direction != "desc", nil
}

// logFilter reads $filter: eq, contains, gt, ge, lt and le on the paths above, joined by and and or. Values count with their case.
func (c *call) logFilter() (func(*inbound.Entry) bool, error) {
	text := c.option("filter")
	if text == "" {
		return func(*inbound.Entry) bool { return true }, nil
	}
	x, err := odata.Parse(text)
	if err != nil {
		return nil, plainBadRequest("Invalid filter clause: " + err.Error())
	}
	odata.Walk(x, func(n odata.Expr) {
		if err == nil {
			err = checkLogFilter(n)
		}
	})
	if err != nil {
		return nil, err
	}
	return func(e *inbound.Entry) bool {
		return odata.MatchExactly(x, func(path string) any { return logPaths[strings.ToLower(path)](e) })
	}, nil
}

func checkLogFilter(n odata.Expr) error {
	switch x := n.(type) {
	case odata.And, odata.Or:
		return nil
	case odata.Compare:
		if logPaths[strings.ToLower(x.Path)] == nil {
			return unsupportedQuery("Filtering on '%s' is not supported.", x.Path)
		}
		if slices.Contains([]odata.Op{odata.Eq, odata.Gt, odata.Ge, odata.Lt, odata.Le, odata.Contains}, x.Op) {
			return nil
		}
		return unsupportedQuery("Operator '%s' is not supported.", x.Op)
	}
	return unsupportedQuery("Only comparisons joined by 'and' and 'or' are supported.")
}
