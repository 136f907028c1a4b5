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

	"github.com/tandem-sync/tandem/scoping/attribute"
)

// Domain is a verified domain of the tenant.
type Domain struct {
	Name      string `json:"name"`
	Initial   bool   `json:"initial"` // the onmicrosoft.com domain that the tenant began with
	Default   bool   `json:"default"`
	Federated bool   `json:"federated"` // its users need an anchor when they are created, and sign in at another service
}

// Organization describes the tenant.
type Organization struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Synced   bool      `json:"synced"`   // Microsoft's engines write to it, or did
	LastSync time.Time `json:"lastSync"` // of Microsoft's engines; zero: never
}

// sdk calls one of the SDK's typed reads, with the repetitions and kinds of errors of patient reads.
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

// Unregistered returns which of these extensions of users the tenant does not have as a text with one value. extensionAttribute1 to 15 are never among them: every tenant has
// these (https://learn.microsoft.com/graph/api/directoryobject-getavailableextensionproperties).
func (c *Client) Unregistered(ctx context.Context, names []string) ([]string, error) {
	missing := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !attribute.Registered(n) })
	if len(missing) == 0 {
		return nil, nil
	}
	var said struct {
		Value []struct {
			Name    string   `json:"name"`
			Type    string   `json:"dataType"`
			Many    bool     `json:"isMultiValued"`
			Targets []string `json:"targetObjects"`
		} `json:"value"`
	}
	err := c.patient().post(ctx, "read the registered extensions", permUser, "/directoryObjects/getAvailableExtensionProperties", map[string]any{}, &said)
	if err != nil {
		return nil, err
	}
	for _, x := range said.Value {
		if x.Type == "String" && !x.Many && slices.Contains(x.Targets, "User") {
			missing = slices.DeleteFunc(missing, func(n string) bool { return n == x.Name })
		}
	}
	return missing, nil
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// Domains returns the verified domains, sorted by name.
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

// Organization reads the tenant's description.
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

// Mark names what writes to the tenant: installation, incarnation, and the host that began to write last (rule H1).
type Mark struct {
	Installation string    `json:"installation"`
	Incarnation  uint64    `json:"incarnation"`
	Host         string    `json:"host,omitempty"`  // machine id and state folder's id; empty in a mark of an older program
	Name         string    `json:"name,omitempty"`  // the machine's name, for people
	Nonce        string    `json:"nonce,omitempty"` // renewed whenever a host begins to write
	At           time.Time `json:"at,omitzero"`     // when that was, to the second
}

// The mark is stored in two tags of the own service principal, which begin with these. Older programs write and read only the first.
const (
	markTag = "TandemInstallation:"
	hostTag = "TandemHost:"
)

// maxMachineName is the most characters of a machine's name for which a tag has room: a tag has up to 256
// (https://learn.microsoft.com/graph/api/resources/serviceprincipal).
const maxMachineName = 64

func (m Mark) tags() []string {
	out := []string{fmt.Sprintf("%s%s:%d", markTag, m.Installation, m.Incarnation)}
	if m.Nonce == "" {
		return out
	}
	name := strings.Map(func(r rune) rune {
		if r < '!' || r > '~' {
			return '-'
		}
		return r
	}, m.Name)
	return append(out, fmt.Sprintf("%s%s:%s:%d:%s", hostTag, m.Host, m.Nonce, m.At.Unix(), name[:min(len(name), maxMachineName)]))
}

func isMark(tag string) bool {
	return strings.HasPrefix(tag, markTag) || strings.HasPrefix(tag, hostTag)
}

func parseMark(tags []string) (m Mark, found bool) {
	for _, t := range tags {
		if rest, ours := strings.CutPrefix(t, markTag); ours {
			i := strings.LastIndexByte(rest, ':')
			if i < 0 {
				continue
			}
			if _, err := fmt.Sscanf(rest[i+1:], "%d", &m.Incarnation); err == nil {
				m.Installation, found = rest[:i], true
			}
		}
		if rest, ours := strings.CutPrefix(t, hostTag); ours {
			var at int64
			f := strings.SplitN(rest, ":", 4)
			if len(f) != 4 {
				continue
			}
			if _, err := fmt.Sscanf(f[2], "%d", &at); err == nil {
				m.Host, m.Nonce, m.At, m.Name = f[0], f[1], time.Unix(at, 0).UTC(), f[3]
			}
		}
	}
	return m, found
}

// Marker reads the mark. found is false if there is none. permitted is false, without an error, if the application may not read its own service principal.
func (c *Client) Marker(ctx context.Context) (m Mark, found, permitted bool, err error) {
	sp, permitted, err := c.servicePrincipal(ctx)
	if err != nil || !permitted {
		return Mark{}, false, permitted, err
	}
	m, found = parseMark(sp.GetTags())
	return m, found, true, nil
}

// SetMarker writes the mark into the tags of the own service principal, and keeps its other tags. It makes one attempt, which may be repeated.
// permitted is false, without an error, if the application may not write them.
func (c *Client) SetMarker(ctx context.Context, m Mark) (permitted bool, err error) {
	sp, permitted, err := c.servicePrincipal(ctx)
	if err != nil || !permitted {
		return permitted, err
	}
	tags := slices.DeleteFunc(sp.GetTags(), isMark)
	change := models.NewServicePrincipal()
	change.SetTags(append(tags, m.tags()...))
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
