package directory

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Objects are read and sent in portions, so that a large answer holds the model's lock for moments only.
const portion = 256

// search answers a search request; err is what was wrong with its controls.
func (c *session) search(r request, err error) bool {
	var s searchRequest
	if err == nil {
		s, err = readSearch(r)
	}
	var answer [][]byte
	more := true
	switch {
	case err != nil:
	case s.base == "" && s.scope == ldap.ScopeBaseObject && r.controls.dirSync == nil:
		more = c.send(message(r.id, encodeEntry(c.server.model.rootDSE(c.id, s.attributes), s.typesOnly), nil))
	case s.base == "":
		err = refuse(ldap.LDAPResultNoSuchObject, "00002030: empty base DN")
	default:
		if err = c.signedIn(); err != nil {
			break
		}
		if c.server.model.isSchema(s.base) && r.controls.dirSync == nil {
			more = c.sendEntries(r.id, c.server.model.schemaEntries(s), s.typesOnly)
			break
		}
		answer, more, err = c.searchEntries(r, s)
	}
	if !more {
		return false
	}
	code, text := resultOf(err)
	return c.send(message(r.id, encodeResult(tagSearchDone, code, text, nil), answer))
}

func readSearch(r request) (searchRequest, error) {
	p := r.op.Children
	if len(p) != 8 {
		return searchRequest{}, errMalformed
	}
	scope, ok := p[1].Value.(int64)
	limit, ok2 := p[3].Value.(int64)
	typesOnly, ok3 := p[5].Value.(bool)
	if !ok || !ok2 || !ok3 || scope < 0 || scope > 2 || limit < 0 {
		return searchRequest{}, errMalformed
	}
	return searchRequest{
		base: p[0].Data.String(), scope: int(scope), sizeLimit: int(limit), typesOnly: typesOnly, filter: p[6],
		attributes: readValues(p[7]), showDeleted: r.controls.showDeleted, form: r.controls.form, sdFlags: r.controls.sdFlags,
	}, nil
}

// searchEntries sends what matches and returns the controls of the answer; more is false when the connection is gone.
func (c *session) searchEntries(r request, s searchRequest) (answer [][]byte, more bool, err error) {
	switch {
	case r.controls.dirSync != nil && r.controls.paging != nil:
		return nil, true, refuse(ldap.LDAPResultOperationsError, "00002020: DirSync and paging do not go together")
	case r.controls.dirSync != nil:
		return c.dirSync(r, s)
	case s.scope != ldap.ScopeBaseObject && slices.ContainsFunc(s.attributes, func(a string) bool { return strings.EqualFold(a, "tokenGroups") }):
		return nil, true, refuse(ldap.LDAPResultOperationsError, "00002120: tokenGroups is worked out for a search of scope base only")
	case r.controls.paging != nil:
		return c.searchPage(r, s)
	}
	all, err := c.server.model.search(c.id, s)
	if err != nil {
		return nil, true, err
	}
	limit := c.server.opts.MaxPageSize
	if s.sizeLimit > 0 {
		limit = min(limit, s.sizeLimit)
	}
	over := len(all.objects) > limit
	if over {
		all.objects = all.objects[:limit]
	}
	if !c.sendFound(r, s, all) {
		return nil, false, nil
	}
	if over {
		err = refuse(ldap.LDAPResultSizeLimitExceeded, "00002023: more than %d entries; use the paging control", limit)
	}
	return nil, true, err
}

// searchPage sends the next page. What matched when the first page was asked for is remembered by identity.
func (c *session) searchPage(r request, s searchRequest) ([][]byte, bool, error) {
	paging := r.controls.paging
	rest, known := c.pages[paging.cookie]
	delete(c.pages, paging.cookie)
	if paging.cookie != "" && !known {
		return nil, true, refuse(ldap.LDAPResultUnwillingToPerform, "00002035: the paging cookie is not known on this connection")
	}
	if !known {
		var err error
		if rest, err = c.server.model.search(c.id, s); err != nil {
			return nil, true, err
		}
	}
	if paging.size == 0 && known { // the client gives up
		return [][]byte{encodeControl(oidPaging, encodePaging(nil))}, true, nil
	}
	size := min(max(paging.size, 1), c.server.opts.MaxPageSize, len(rest.objects))
	page := found{objects: rest.objects[:size]}
	rest.objects = rest.objects[size:]
	cookie := ""
	if len(rest.objects) > 0 {
		c.nextID++
		cookie = strconv.Itoa(c.nextID)
		c.pages[cookie] = rest
	} else {
		page.referrals = rest.referrals
	}
	return [][]byte{encodeControl(oidPaging, encodePaging([]byte(cookie)))}, c.sendFound(r, s, page), nil
}

func (c *session) sendFound(r request, s searchRequest, f found) bool {
	for len(f.objects) > 0 {
		n := min(portion, len(f.objects))
		if !c.sendEntries(r.id, c.server.model.read(c.id, f.objects[:n], s, c.server.opts.MaxValRange), s.typesOnly) {
			return false
		}
		f.objects = f.objects[n:]
	}
	if r.controls.noReferrals {
		return true
	}
	for _, url := range f.referrals {
		if !c.send(message(r.id, encodeReference(url), nil)) {
			return false
		}
	}
	return true
}

func (c *session) sendEntries(id int64, entries []entry, typesOnly bool) bool {
	for _, e := range entries {
		if !c.server.spend() || !c.send(message(id, encodeEntry(e, typesOnly), nil)) {
			return false
		}
	}
	return true
}

func (c *session) dirSync(r request, s searchRequest) ([][]byte, bool, error) {
	round, err := c.server.model.dirSync(c.id, syncRequest{
		searchRequest: s, flags: r.controls.dirSync.flags, cookie: r.controls.dirSync.cookie, max: c.server.opts.MaxDirSync,
	})
	if err != nil {
		return nil, true, err
	}
	if !c.sendEntries(r.id, round.entries, s.typesOnly) {
		return nil, false, nil
	}
	return [][]byte{encodeControl(oidDirSync, encodeDirSync(round.more, round.cookie))}, true, nil
}
