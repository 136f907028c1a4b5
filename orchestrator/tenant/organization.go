package tenant

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/models/odataerrors"
	"github.com/microsoftgraph/msgraph-sdk-go/serviceprincipalswithappid"
)

// Domain is a verified domain of the tenant.
type Domain struct {
	Name      string `json:"name"`
	Initial   bool   `json:"initial"` // the onmicrosoft.com domain that the tenant began with
	Default   bool   `json:"default"`
	Federated bool   `json:"federated"` // creating its users takes an anchor, and signing in another service
}

// Organization is what the tenant says about itself.
type Organization struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Synced   bool      `json:"synced"`   // Microsoft's engines feed it, or did
	LastSync time.Time `json:"lastSync"` // of Microsoft's engines; zero if never
}

// sdk calls one of the SDK's typed reads, with the client's patience and kinds of errors.
func sdk[T any](ctx context.Context, c *Client, op, need string, call func(context.Context) (T, error)) (T, error) {
	for attempt := 1; ; attempt++ {
		c.requests.Add(1)
		timed, cancel := context.WithTimeout(ctx, c.config.Timeout)
		v, err := call(timed)
		cancel()
		if err == nil {
			return v, nil
		}
		err = c.sdkError(op, need, err)
		if attempt == c.patient().attempts || ctx.Err() != nil || !passing(err) {
			return v, err
		}
		if werr := c.config.Wait(ctx, backoff(attempt)); werr != nil {
			return v, fmt.Errorf("%w; not tried again: %w", err, werr)
		}
	}
}

func (c *Client) sdkError(op, need string, err error) error {
	var o *odataerrors.ODataError
	if !errors.As(err, &o) {
		return unreachable(op, err)
	}
	e := &GraphError{Op: op, HTTP: o.ResponseStatusCode, Kind: kindOf(o.ResponseStatusCode), Message: http.StatusText(o.ResponseStatusCode)}
	if o.ResponseHeaders != nil {
		e.RequestID = strings.Join(o.ResponseHeaders.Get("request-id"), ",")
	}
	if main := o.GetErrorEscaped(); main != nil {
		e.Code, e.Message = deref(main.GetCode()), deref(main.GetMessage())
	}
	switch e.HTTP {
	case http.StatusUnauthorized:
		c.tokens.renew()
	case http.StatusForbidden:
		e.Hint = fmt.Sprintf(consent, need)
	}
	return e
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// Domains lists the verified domains, sorted by name.
func (c *Client) Domains(ctx context.Context) ([]Domain, error) {
	page, err := sdk(ctx, c, "read the domains", permDomain, func(ctx context.Context) (models.DomainCollectionResponseable, error) {
		return c.graph.Domains().Get(ctx, nil)
	})
	var out []Domain
	for err == nil && page != nil {
		for _, d := range page.GetValue() {
			if deref(d.GetIsVerified()) {
				out = append(out, Domain{Name: strings.ToLower(deref(d.GetId())), Initial: deref(d.GetIsInitial()),
					Default: deref(d.GetIsDefault()), Federated: deref(d.GetAuthenticationType()) == "Federated"})
			}
		}
		next := deref(page.GetOdataNextLink())
		if next == "" {
			break
		}
		page, err = sdk(ctx, c, "read the domains", permDomain, func(ctx context.Context) (models.DomainCollectionResponseable, error) {
			return c.graph.Domains().WithUrl(next).Get(ctx, nil)
		})
	}
	slices.SortFunc(out, func(a, b Domain) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// Organization reads what the tenant says about itself.
func (c *Client) Organization(ctx context.Context) (Organization, error) {
	page, err := sdk(ctx, c, "read the organization", permOrg, func(ctx context.Context) (models.OrganizationCollectionResponseable, error) {
		return c.graph.Organization().Get(ctx, nil)
	})
	if err != nil {
		return Organization{}, err
	}
	if page == nil || len(page.GetValue()) != 1 {
		return Organization{}, &GraphError{Op: "read the organization", Kind: ErrGarbage, Message: "a tenant is one organization"}
	}
	o := page.GetValue()[0]
	return Organization{ID: deref(o.GetId()), Name: deref(o.GetDisplayName()), Synced: deref(o.GetOnPremisesSyncEnabled()),
		LastSync: deref(o.GetOnPremisesLastSyncDateTime())}, nil
}

// Mark says which installation feeds the tenant, and its incarnation (rule H1).
type Mark struct {
	Installation string `json:"installation"`
	Incarnation  uint64 `json:"incarnation"`
}

// markTag begins the tag of the own service principal that holds the mark.
const markTag = "TandemInstallation:"

func (m Mark) tag() string { return fmt.Sprintf("%s%s:%d", markTag, m.Installation, m.Incarnation) }

func parseMark(tags []string) (Mark, bool) {
	for _, t := range tags {
		rest, ours := strings.CutPrefix(t, markTag)
		i := strings.LastIndexByte(rest, ':')
		var m Mark
		if !ours || i < 0 {
			continue
		}
		m.Installation = rest[:i]
		if _, err := fmt.Sscanf(rest[i+1:], "%d", &m.Incarnation); err == nil {
			return m, true
		}
	}
	return Mark{}, false
}

// Marker reads the mark. found is false if there is none. permitted is false if the application may not see its own service
// principal: then the capability is absent, which is no error.
func (c *Client) Marker(ctx context.Context) (m Mark, found, permitted bool, err error) {
	sp, permitted, err := c.servicePrincipal(ctx)
	if err != nil || !permitted {
		return Mark{}, false, permitted, err
	}
	m, found = parseMark(sp.GetTags())
	return m, found, true, nil
}

// SetMarker writes the mark onto the own service principal, beside whatever other tags it has. It is one attempt, and may be
// repeated. permitted is false, without an error, if the application may not.
func (c *Client) SetMarker(ctx context.Context, m Mark) (permitted bool, err error) {
	sp, permitted, err := c.servicePrincipal(ctx)
	if err != nil || !permitted {
		return permitted, err
	}
	tags := slices.DeleteFunc(sp.GetTags(), func(t string) bool { return strings.HasPrefix(t, markTag) })
	change := models.NewServicePrincipal()
	change.SetTags(append(tags, m.tag()))
	timed, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	c.requests.Add(1)
	c.writes.Add(1)
	_, err = c.graph.ServicePrincipals().ByServicePrincipalId(deref(sp.GetId())).Patch(timed, change, nil)
	if err == nil {
		return true, nil
	}
	err = c.sdkError("mark the tenant with this installation", permApp, err)
	if errors.Is(err, ErrForbidden) {
		return false, nil
	}
	return true, err
}

// servicePrincipal reads the own service principal. A managed identity without client id does not know its own.
func (c *Client) servicePrincipal(ctx context.Context) (sp models.ServicePrincipalable, permitted bool, err error) {
	if c.config.ClientID == "" {
		return nil, false, nil
	}
	sp, err = sdk(ctx, c, "read the own service principal", permApp, func(ctx context.Context) (models.ServicePrincipalable, error) {
		q := &serviceprincipalswithappid.ServicePrincipalsWithAppIdRequestBuilderGetQueryParameters{Select: []string{"id", "tags"}}
		return c.graph.ServicePrincipalsWithAppId(&c.config.ClientID).Get(ctx,
			&serviceprincipalswithappid.ServicePrincipalsWithAppIdRequestBuilderGetRequestConfiguration{QueryParameters: q})
	})
	if errors.Is(err, ErrForbidden) {
		return nil, false, nil
	}
	if err == nil && sp == nil {
		err = &GraphError{Op: "read the own service principal", Kind: ErrGarbage, Message: "an empty answer"}
	}
	return sp, true, err
}
