package tenant

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// objectRoutes are the operations that every kind has in the same way.
func objectRoutes(collection string, kind Kind) []route {
	related := func(r Relation) func(*front, *call) (reply, error) {
		return func(f *front, c *call) (reply, error) { return listRelated(f, c, kind, r, "") }
	}
	out := []route{
		get(collection, 2, func(f *front, c *call) (reply, error) { return list(f, c, kind, collection, false) }),
		get(collection+"/$count", 1, func(f *front, c *call) (reply, error) { return count(f, c, kind) }),
		get(collection+"/{}/memberOf", 2, related(MemberOf)),
		get(collection+"/{}/transitiveMemberOf", 2, related(TransitiveMemberOf)),
	}
	for _, cast := range []string{"group", "directoryRole"} {
		for _, r := range []Relation{MemberOf, TransitiveMemberOf} {
			out = append(out, get(collection+"/{}/"+string(r)+"/"+cast, 2, func(f *front, c *call) (reply, error) { return listRelated(f, c, kind, r, cast) }))
		}
	}
	if kind != ServicePrincipal {
		out = append(out, get(collection+"/delta", 1, func(f *front, c *call) (reply, error) { return delta(f, c, kind, collection) }))
	}
	return append(out, get(collection+"/{}", 1, func(f *front, c *call) (reply, error) {
		return read(f, c, kind, collection, func() (Object, error) { return f.model.Get(kind, c.args[0]) })
	}), asks(collection+"/{}/getMemberGroups", 2, func(f *front, c *call) (reply, error) { return memberGroups(f, c, kind, false) }),
		asks(collection+"/{}/getMemberObjects", 2, func(f *front, c *call) (reply, error) { return memberGroups(f, c, kind, true) }),
		asks(collection+"/{}/checkMemberGroups", 4, func(f *front, c *call) (reply, error) { return checkMembers(f, c, kind, "groupIds") }),
		asks(collection+"/{}/checkMemberObjects", 4, func(f *front, c *call) (reply, error) { return checkMembers(f, c, kind, "ids") }))
}

func (c *call) context(collection string, selected []string) string {
	if len(selected) > 0 {
		collection += "(" + strings.Join(selected, ",") + ")"
	}
	return c.base + "/$metadata#" + collection
}

// read answers one object.
func read(f *front, c *call, kind Kind, collection string, find func() (Object, error)) (reply, error) {
	if err := c.checkOptions("select", "expand", "count"); err != nil {
		return reply{}, err
	}
	selected, err := c.selected(kind)
	if err != nil {
		return reply{}, err
	}
	expands, err := c.expands(kind)
	if err != nil {
		return reply{}, err
	}
	o, err := find()
	if err != nil {
		return reply{}, err
	}
	body := f.row(o, selected, expands)
	body["@odata.context"] = c.context(collection, selected) + "/$entity"
	return reply{status: http.StatusOK, body: body}, nil
}

// list answers a page of a collection.
func list(f *front, c *call, kind Kind, collection string, deleted bool) (reply, error) {
	q, selected, expands, err := c.listOptions(kind)
	if err != nil {
		return reply{}, err
	}
	q.Deleted = deleted
	page := f.model.List(kind, q)
	rows := make([]any, 0, len(page.Objects))
	for _, o := range page.Objects {
		rows = append(rows, f.row(o, selected, expands))
	}
	body := map[string]any{"@odata.context": c.context(collection, selected), "value": rows}
	if q.Count {
		body["@odata.count"] = page.Count
	}
	if page.Next >= 0 {
		body["@odata.nextLink"] = c.link(skipToken(page.Next))
	}
	return reply{status: http.StatusOK, body: body}, nil
}

func (c *call) listOptions(kind Kind) (q Query, selected, expands []string, err error) {
	if q.Search, err = c.search(kind); err != nil {
		return
	}
	if err = c.checkOptions("select", "filter", "top", "count", "skiptoken", "orderby", "expand", "search"); err != nil {
		return
	}
	if selected, err = c.selected(kind); err != nil {
		return
	}
	if expands, err = c.expands(kind); err != nil {
		return
	}
	if q.Filter, err = c.filter(kind); err != nil {
		return
	}
	if q.Limit, err = c.top(); err != nil {
		return
	}
	if q.Offset, err = c.skip(); err != nil {
		return
	}
	q.Count = c.counts() && c.eventual() // without the header Graph ignores $count
	err = c.order(kind, &q)
	return
}

// order reads $orderby: one text property; together with $filter it is an advanced query.
func (c *call) order(kind Kind, q *Query) error {
	text := c.option("orderby")
	if text == "" {
		return nil
	}
	name, direction, _ := strings.Cut(strings.TrimSpace(text), " ")
	p := schemas[kind].byName[name]
	if p == nil || p.Type != edmString || !p.Filter || direction != "" && direction != "asc" && direction != "desc" {
		return unsupportedQuery("Sorting is not supported for '%s'.", text)
	}
	if q.Filter != nil && !q.Count {
		return unsupportedQuery("Sorting not supported for current query.")
	}
	q.OrderBy, q.Descending = name, direction == "desc"
	return nil
}

// expands reads $expand: manager on users and contacts, members on groups, memberOf on all; nested options may only be $select.
func (c *call) expands(kind Kind) ([]string, error) {
	text := c.option("expand")
	if text == "" {
		return nil, nil
	}
	name, nested, _ := strings.Cut(text, "(")
	allowed := map[Kind][]string{User: {"manager", "memberOf"}, Contact: {"manager", "memberOf"}, Group: {"members", "memberOf"}}[kind]
	if !slices.Contains(allowed, name) || nested != "" && (!strings.HasPrefix(nested, "$select=") || strings.ContainsAny(nested, ";")) {
		return nil, unsupportedQuery("The $expand of '%s' is not supported.", text)
	}
	out := []string{name}
	if rest, ok := strings.CutPrefix(nested, "$select="); ok {
		out = append(out, strings.Split(strings.TrimSuffix(rest, ")"), ",")...)
	}
	return out, nil
}

// expandLimit is how many related objects $expand returns.
// See https://learn.microsoft.com/graph/known-issues#query-parameter-limitations.
const expandLimit = 20

// row renders an object with what it expands: the navigation's name, then its $select.
func (f *front) row(o Object, selected, expands []string) map[string]any {
	body := render(o, selected)
	if len(expands) == 0 {
		return body
	}
	name, inner := expands[0], expands[1:]
	if name == "manager" {
		if boss, err := f.model.Get("", o.Manager); err == nil {
			body["manager"] = typed(boss, inner)
		}
		return body
	}
	related, _, err := f.model.Related(o.Kind, o.ID, Relation(name))
	rows := []any{}
	if err == nil {
		for _, r := range related[:min(len(related), expandLimit)] {
			rows = append(rows, typed(r, inner))
		}
	}
	body[name] = rows
	return body
}

// typed renders an object of a mixed collection, with its type.
func typed(o Object, selected []string) map[string]any {
	body := render(o, selected)
	body["@odata.type"] = o.Kind.odataType()
	return body
}

func typedRole(r Role) map[string]any {
	body := roleRow(r)
	body["@odata.type"] = "#microsoft.graph.directoryRole"
	return body
}

// count answers the number of matches as text.
func count(f *front, c *call, kind Kind) (reply, error) {
	if !c.eventual() {
		return reply{}, badRequest("$count is not currently supported without the ConsistencyLevel:eventual header.")
	}
	c.query.Set("$count", "true")
	x, err := c.filter(kind)
	if err != nil {
		return reply{}, err
	}
	return countText(f.model.List(kind, Query{Filter: x, Count: true, Limit: 1}).Count), nil
}

func countText(n int) reply {
	return reply{status: http.StatusOK, raw: []byte(strconv.Itoa(n)), header: map[string]string{"Content-Type": "text/plain"}}
}

// listRelated answers a page of what stands in a relation to an object, of one cast type when given.
func listRelated(f *front, c *call, kind Kind, r Relation, cast string) (reply, error) {
	if err := c.checkOptions("select", "top", "count", "skiptoken"); err != nil {
		return reply{}, err
	}
	objects, roles, err := f.model.Related(kind, c.args[0], r)
	if err != nil {
		return reply{}, err
	}
	selected := splitList(c.option("select"))
	var rows []any
	for _, o := range objects {
		if cast == "" || strings.EqualFold(cast, string(o.Kind)) {
			rows = append(rows, typed(o, selected))
		}
	}
	for _, role := range roles {
		if cast == "" || strings.EqualFold(cast, "directoryRole") {
			rows = append(rows, typedRole(role))
		}
	}
	return c.page(rows, "directoryObjects")
}

func splitList(text string) []string {
	if text == "" {
		return nil
	}
	out := strings.Split(text, ",")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

// page answers a part of a list that is computed whole.
func (c *call) page(rows []any, collection string) (reply, error) {
	limit, err := c.top()
	if err != nil {
		return reply{}, err
	}
	offset, err := c.skip()
	if err != nil {
		return reply{}, err
	}
	body := map[string]any{"@odata.context": c.context(collection, nil)}
	if c.counts() && c.eventual() {
		body["@odata.count"] = len(rows)
	}
	offset = min(offset, len(rows))
	end := min(offset+limit, len(rows))
	if end < len(rows) {
		body["@odata.nextLink"] = c.link(skipToken(end))
	}
	body["value"] = append([]any{}, rows[offset:end]...)
	return reply{status: http.StatusOK, body: body}, nil
}

// memberGroups answers the ids of all groups an object is in, and its roles when all is set.
func memberGroups(f *front, c *call, kind Kind, all bool) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	objects, roles, err := f.model.Related(kind, c.args[0], TransitiveMemberOf)
	if err != nil {
		return reply{}, err
	}
	ids := []any{}
	for _, o := range objects {
		if secure, _ := o.Properties["securityEnabled"].(bool); secure || body["securityEnabledOnly"] != true {
			ids = append(ids, o.ID)
		}
	}
	if all && body["securityEnabledOnly"] != true {
		for _, r := range roles {
			ids = append(ids, r.TemplateID)
		}
	}
	return reply{status: http.StatusOK, body: map[string]any{"@odata.context": c.base + "/$metadata#Collection(Edm.String)", "value": ids}}, nil
}

// checkLimit is the most ids of one check.
// See https://learn.microsoft.com/graph/api/directoryobject-checkmembergroups.
const checkLimit = 20

// checkMembers answers which of the ids in a field of the body name groups, or roles, that an object is in, directly or not.
func checkMembers(f *front, c *call, kind Kind, field string) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	asked, ok := body[field].([]any)
	if !ok || len(asked) == 0 || len(asked) > checkLimit {
		return reply{}, badRequest("'%s' must be an array of 1 to %d ids.", field, checkLimit)
	}
	objects, roles, err := f.model.Related(kind, c.args[0], TransitiveMemberOf)
	if err != nil {
		return reply{}, err
	}
	in := map[string]bool{}
	for _, o := range objects {
		in[o.ID] = true
	}
	for _, r := range roles {
		in[strings.ToLower(r.TemplateID)] = field == "ids"
	}
	ids := []any{}
	for _, a := range asked {
		if id := strings.ToLower(asText(a)); in[id] {
			ids = append(ids, id)
		}
	}
	return reply{status: http.StatusOK, body: map[string]any{"@odata.context": c.base + "/$metadata#Collection(Edm.String)", "value": ids}}, nil
}
