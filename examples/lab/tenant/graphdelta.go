package tenant

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/examples/lab/tenant/odata"
)

// deltaIDLimit is the most ids that a delta query's $filter can name.
const deltaIDLimit = 50

// delta answers users/delta, groups/delta and contacts/delta. Options count in the first call only; the tokens carry them.
func delta(f *front, c *call, kind Kind, collection string) (reply, error) {
	if err := c.checkOptions("select", "filter", "deltatoken", "skiptoken", "expand"); err != nil {
		return reply{}, err
	}
	r, err := c.deltaRequest(kind)
	if err != nil {
		return reply{}, err
	}
	page, err := f.model.Delta(kind, r)
	if err != nil {
		return reply{}, c.withRestart(err, collection)
	}
	if page.Items == nil {
		page.Items = []map[string]any{}
	}
	body := map[string]any{"@odata.context": c.base + "/$metadata#" + collection, "value": page.Items}
	if page.NextToken != "" {
		body["@odata.nextLink"] = c.base + "/" + collection + "/delta?$skiptoken=" + url.QueryEscape(page.NextToken)
	} else {
		body["@odata.deltaLink"] = c.base + "/" + collection + "/delta?$deltatoken=" + url.QueryEscape(page.DeltaToken)
	}
	out := reply{status: http.StatusOK, body: body}
	if r.Minimal {
		out.header = map[string]string{"Preference-Applied": "return=minimal"}
	}
	return out, nil
}

// withRestart adds to a refused token the address that starts a full round.
func (c *call) withRestart(err error, collection string) error {
	e, ok := err.(*Error)
	if !ok || e.Status != http.StatusGone {
		return err
	}
	gone := *e
	gone.Header = map[string]string{"Location": c.base + "/" + collection + "/delta?$deltatoken="}
	return &gone
}

func (c *call) deltaRequest(kind Kind) (DeltaRequest, error) {
	var r DeltaRequest
	if v, ok := c.prefers("return"); ok {
		r.Minimal = v == "minimal"
	}
	if v, ok := c.prefers("odata.maxpagesize"); ok {
		r.PageMax, _ = strconv.Atoi(v) // an unreadable preference is ignored (RFC 7240 §2)
	}
	token := c.option("deltatoken")
	r.Latest = strings.EqualFold(token, "latest")
	if !r.Latest {
		r.Token = token
	}
	if skip := c.option("skiptoken"); skip != "" {
		r.Token = skip
	}
	if r.Token != "" {
		return r, nil
	}
	extra := map[Kind][]string{User: {"manager"}, Contact: {"manager"}, Group: {"members"}}[kind]
	selected, err := c.selected(kind, extra...)
	if err != nil {
		return r, err
	}
	r.Select = selected
	if e := c.option("expand"); e != "" {
		if kind != Group || e != "members" {
			return r, unsupportedQuery("The $expand of '%s' is not supported on a delta query.", e)
		}
		if r.Select != nil {
			r.Select = append(r.Select, "members")
		}
	}
	r.IDs, err = deltaIDs(c.option("filter"))
	return r, err
}

// deltaIDs reads the only filter that a delta query takes: id eq '…' or id eq '…'.
func deltaIDs(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	x, err := odata.Parse(text)
	if err != nil {
		return nil, plainBadRequest(err.Error())
	}
	var ids []string
	bad := false
	odata.Walk(x, func(n odata.Expr) {
		switch y := n.(type) {
		case odata.Or:
		case odata.Compare:
			id, isText := y.Values[0].(string)
			bad = bad || y.Path != "id" || y.Op != odata.Eq || !isText
			ids = append(ids, strings.ToLower(id))
		default:
			bad = true
		}
	})
	if bad || len(ids) > deltaIDLimit {
		return nil, unsupportedQuery("A delta query's $filter takes at most %d ids joined by 'or'.", deltaIDLimit)
	}
	return ids, nil
}
