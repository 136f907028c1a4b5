package directory

import (
	"encoding/hex"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// nameForm says how DNs are written in an answer (MS-ADTS 3.1.1.3.4.1.5, LDAP_SERVER_EXTENDED_DN_OID).
type nameForm uint8

const (
	plainDN nameForm = iota
	hexDN            // <GUID=hex>;<SID=hex>;DN
	textDN           // <GUID=8-4-4-4-12>;<SID=S-1-...>;DN
)

func (f nameForm) of(o *object) string {
	dn := o.dn()
	switch f {
	case hexDN:
		if o.sid != "" {
			dn = "<SID=" + hex.EncodeToString([]byte(o.sid)) + ">;" + dn
		}
		return "<GUID=" + hex.EncodeToString(o.guid[:]) + ">;" + dn
	case textDN:
		if o.sid != "" {
			dn = "<SID=" + sidText(o.sid) + ">;" + dn
		}
		return "<GUID=" + o.guid.String() + ">;" + dn
	case plainDN:
	}
	return dn
}

func (f nameForm) all(objects []*object) []string {
	out := make([]string, len(objects))
	for i, o := range objects {
		out[i] = f.of(o)
	}
	return out
}

// values gives what a reader sees of one attribute, or nothing.
func (o *object) values(key string, t *attributeType, f nameForm) []string {
	switch key {
	case "objectguid":
		return []string{string(o.guid[:])}
	case "objectsid":
		return present(o.sid)
	case "name", strings.ToLower(o.attr):
		return []string{o.name}
	case "distinguishedname":
		return []string{f.of(o)}
	case "canonicalname":
		return []string{o.canonical()}
	case "parentguid":
		if o.parent == nil {
			return nil
		}
		return []string{string(o.parent.guid[:])}
	case "primarygrouptoken":
		return present(primaryGroupToken(o))
	case "usnchanged":
		return []string{strconv.FormatUint(o.usnLast, 10)}
	case "usncreated":
		return []string{strconv.FormatUint(o.usnFirst, 10)}
	case "whenchanged":
		return []string{generalizedTime(o.changed)}
	case "whencreated":
		return []string{generalizedTime(o.created)}
	}
	return o.stored(key, t, f)
}

func (o *object) stored(key string, t *attributeType, f nameForm) []string {
	switch {
	case t.forward != "":
		return f.all(o.backs[t.forward])
	case t.linked():
		return f.all(o.links[key].targets())
	}
	if a := o.attrs[key]; a != nil {
		return a.values
	}
	return nil
}

func present(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func generalizedTime(t time.Time) string { return t.UTC().Format("20060102150405.0Z") }

// readable lists the attributes that "all attributes" means for o, sorted.
func (o *object) readable() []string {
	keys := []string{"distinguishedname", "name", strings.ToLower(o.attr), "objectguid", "usnchanged", "usncreated", "whenchanged", "whencreated"}
	if o.sid != "" {
		keys = append(keys, "objectsid")
	}
	for k, a := range o.attrs {
		if len(a.values) > 0 {
			keys = append(keys, k)
		}
	}
	for k := range o.links {
		keys = append(keys, k)
	}
	for k, holders := range o.backs {
		if back := schema[k].back; back != "" && len(holders) > 0 {
			keys = append(keys, strings.ToLower(back))
		}
	}
	sort.Strings(keys)
	return keys
}

// valueRange is the part of a multi-valued attribute that is asked for (MS-ADTS 3.1.1.3.1.3.3).
type valueRange struct {
	first, last int // last < 0 means to the end
}

// wanted is one attribute of a request.
type wanted struct {
	key    string
	of     *attributeType
	window *valueRange
}

// selection is the attributes that a request asks for.
type selection struct {
	all   bool
	items []wanted
}

func newSelection(names []string) selection {
	var s selection
	s.all = len(names) == 0
	for _, n := range names {
		if n == "*" {
			s.all = true
			continue
		}
		name, option, _ := strings.Cut(n, ";")
		t, ok := lookupType(name)
		if !ok || t.has(secret) {
			continue // "1.1", "+" and unknown names select nothing
		}
		key := strings.ToLower(t.name)
		if slices.ContainsFunc(s.items, func(w wanted) bool { return w.key == key }) {
			continue
		}
		s.items = append(s.items, wanted{key, t, parseRange(option)})
	}
	return s
}

// parseRange reads "range=FIRST-LAST"; anything else is no range.
func parseRange(option string) *valueRange {
	spec, ok := strings.CutPrefix(strings.ToLower(option), "range=")
	if !ok {
		return nil
	}
	from, to, ok := strings.Cut(spec, "-")
	first, err := strconv.Atoi(from)
	if !ok || err != nil || first < 0 {
		return nil
	}
	if to == "*" {
		return &valueRange{first, -1}
	}
	last, err := strconv.Atoi(to)
	if err != nil || last < first {
		return nil
	}
	return &valueRange{first, last}
}

// entry is an object as it is sent.
type entry struct {
	dn    string
	attrs []namedValues
}

type namedValues struct {
	name   string
	values []string
}

// project makes the entry of o. More values than maxValues are cut into ranges; 0 means no limit.
func (o *object) project(s selection, f nameForm, maxValues int) entry {
	e := entry{dn: f.of(o)}
	done := map[string]bool{}
	for _, w := range s.items {
		done[w.key] = true
		e.put(w, o.values(w.key, w.of, f), maxValues)
	}
	if s.all {
		for _, key := range o.readable() {
			if !done[key] {
				w := wanted{key: key, of: schema[key]}
				e.put(w, o.values(key, w.of, f), maxValues)
			}
		}
	}
	return e
}

func (e *entry) put(w wanted, values []string, maxValues int) {
	if w.window == nil && (maxValues == 0 || len(values) <= maxValues) {
		if len(values) > 0 {
			e.attrs = append(e.attrs, namedValues{w.of.name, values})
		}
		return
	}
	window := valueRange{0, -1}
	if w.window != nil {
		window = *w.window
	}
	if len(values) == 0 {
		return
	}
	e.attrs = append(e.attrs, window.cut(w.of.name, values, maxValues))
}

// cut names the part with its real bounds; an end of "*" says that nothing follows.
func (r valueRange) cut(name string, values []string, maxValues int) namedValues {
	first := min(r.first, len(values))
	end := len(values)
	if r.last >= 0 {
		end = min(end, r.last+1)
	}
	if maxValues > 0 {
		end = min(end, first+maxValues)
	}
	end = max(end, first)
	bound := "*"
	if end < len(values) {
		bound = strconv.Itoa(end - 1)
	}
	return namedValues{name + ";range=" + strconv.Itoa(r.first) + "-" + bound, values[first:end]}
}

// same compares two values by the attribute's syntax.
func (t *attributeType) same(a, b string) bool {
	switch t.syntax {
	case octets:
		return a == b
	case integer:
		return compareNumbers(a, b) == 0
	case boolean:
		return strings.EqualFold(a, b)
	case text, moment, named:
	}
	return sameText(a, b)
}
