package simulation

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// The engine that brings objects of the tenant: how it maps them, what a controller shows it, and how it carries a write to its permit.

// bringer implements provisioning.Engines.
type bringer struct{ w *world }

var _ provisioning.Engines = bringer{}

// leftOut is a department that the engine's mapping leaves out.
const leftOut = "none"

// Map implements provisioning.Engines: what an object of the tenant should be.
func (x bringer) Map(_ context.Context, _ string, q engine.MapRequest, sources []engine.Source, take func([]engine.Mapping) error) (engine.MapBegin, error) {
	w := x.w
	w.alive()
	w.preparing = false
	if w.fault(2) {
		return engine.MapBegin{}, errEngine
	}
	begin := engine.MapBegin{Rules: engine.FingerprintOf([]byte{byte(w.cloud.rules)}), Writes: []string{"cn", "accountDisabled", "sAMAccountName", "displayName", "department", "employeeID", "title", "manager", "member"}}
	w.interleaveAt(8)
	var out []engine.Mapping
	for _, s := range sources {
		v := cloud.Values{}
		for name, value := range s.Values {
			v[name] = value.Text
		}
		out = append(out, w.mapped(s.Object, s.Kind, v, q.ContainerDN))
	}
	if len(out) == 0 {
		return begin, nil
	}
	return begin, take(out)
}

// mapped are the engine's rules.
func (w *world) mapped(id scoping.ObjectID, kind scoping.Kind, v cloud.Values, container string) engine.Mapping {
	m := engine.Mapping{Object: id, Want: engine.Present, Container: container}
	short := id.GUID.String()[:8]
	name := v.First(cloud.DisplayName)
	text := func(v ...string) engine.Flow {
		return engine.Flow{Text: slices.DeleteFunc(v, func(s string) bool { return s == "" })}
	}
	m.Desired = map[string]engine.Flow{"cn": text(name + "_" + short), "displayName": text(name)}
	if kind == scoping.Group {
		m.Desired["sAMAccountName"] = engine.Flow{Text: []string{"grp-" + short}, Unique: true}
		m.Refs = map[string]string{"member": cloud.Members}
		return m
	}
	if v.First("department") == leftOut {
		return engine.Mapping{Object: id, Want: engine.Excluded, Reason: "of department " + leftOut}
	}
	sam := strings.ToLower(name)
	m.Desired["sAMAccountName"] = engine.Flow{Text: []string{sam, sam + "2", short}, Unique: true}
	m.Desired["employeeID"] = engine.Flow{Text: v["employeeId"], Once: true}
	m.Desired["department"] = text(v.First("department"))
	m.Desired["accountDisabled"] = text(strconv.FormatBool(v.First(cloud.Enabled) != "true"))
	if w.cloud.rules > 0 {
		m.Desired["title"] = text("by rules " + strconv.Itoa(w.cloud.rules))
	}
	m.Refs = map[string]string{"manager": cloud.Manager}
	if strings.HasPrefix(v.First("department"), onsite) {
		m.Container = "OU=" + onsiteNow(w) + "," + container
	}
	return m
}

// onsiteNow is how the container below is called: people may have renamed it, and tell the mapping.
func onsiteNow(w *world) string {
	g := w.named(onsiteOU)
	return w.dir.now.objects[g].name
}

// Deliver implements provisioning.Engines.
func (x bringer) Deliver(ctx context.Context, name string, d engine.Delivery, permit func(context.Context) (engine.Permit, error)) (engine.DeliveryResult, bool, error) {
	w := x.w
	w.alive()
	w.preparing = false
	if d.Look != nil {
		w.interleaveAt(10)
		return w.lookedAt(*d.Look), false, nil
	}
	w.interleaveAt(25) // it connects and signs in
	c := &carried{id: d.ID, engine: name, write: provision.Write{Target: *d.Provision}}
	if w.fault(4) {
		return engine.DeliveryResult{}, false, errEngine
	}
	if code := w.reaches(c); code != "" {
		return engine.DeliveryResult{ID: d.ID, Code: string(code)}, false, nil
	}
	if code := w.scene(c); code != "" {
		return engine.DeliveryResult{ID: d.ID, Code: string(code)}, false, nil
	}
	p, err := permit(ctx)
	w.alive()
	if err != nil {
		return engine.DeliveryResult{}, false, err
	}
	if p.Refused != "" {
		return engine.DeliveryResult{ID: d.ID, Code: engine.DeliveryRefused}, false, nil
	}
	c.write.Values = *p.Values
	w.permittedWrite(c, p.Remaining)
	r, err := w.carry(c)
	w.alive()
	return r, true, err
}

// reaches finds the controller that a write names.
func (w *world) reaches(c *carried) provision.Code {
	if w.faults && w.now.Before(w.cloud.writes.away) {
		return provision.Unreachable
	}
	dc, known := w.controllerAt(c.write.Controller, c.write.Invocation)
	if !known {
		return provision.OtherController
	}
	c.dc = dc
	return ""
}

func (w *world) controllerAt(url string, invocation scoping.GUID) (controller, bool) {
	for _, dc := range []controller{w.dir.first(), w.dir.second()} {
		if dc.url == url && (invocation.IsZero() || dc.invocation == invocation) {
			return dc, dc.shift == 0 || w.dir.behind != nil
		}
	}
	return controller{}, false
}

// view is what a controller shows: at rest all show the same.
func (w *world) view(dc controller) snapshot {
	if !w.faults {
		return w.dir.now
	}
	return dc.snapshot(w.dir)
}

// lookedAt answers a look.
func (w *world) lookedAt(l provision.Look) engine.DeliveryResult {
	if err := l.Valid(); err != nil {
		w.fail("only valid looks are sent", "%v", err)
	}
	if w.opens(FromCloud, 2) {
		w.cloud.writes.away = w.now.Add(time.Duration(w.r.IntN(600)) * time.Second)
		w.log("no controller can be looked at until %s", w.cloud.writes.away.Format("15:04:05"))
	}
	dc, known := w.controllerAt(l.Controller, l.Invocation)
	switch {
	case w.faults && w.now.Before(w.cloud.writes.away):
		return engine.DeliveryResult{Code: string(provision.Unreachable)}
	case !known:
		return engine.DeliveryResult{Code: string(provision.OtherController)}
	}
	s := w.view(dc)
	w.cloud.looked[dc.url] = s
	out := &provision.Result{Invocation: dc.invocation}
	for i, t := range l.Terms {
		for _, e := range s.sorted() {
			if e.kind == directory.OU || !slices.ContainsFunc(s.valuesOf(e, t.Attribute), func(v string) bool { return strings.EqualFold(v, t.Value) }) {
				continue
			}
			f := provision.Found{Term: i, Object: e.guid, DN: s.dn(e.guid), Deleted: e.deleted, Class: string(e.kind), USN: e.usn + dc.shift, Values: map[string][]string{}}
			if !e.deleted {
				f.Parent = e.parent
			}
			if e.guarded {
				f.Protected = "an administrator's account"
			}
			for _, name := range l.Attributes {
				if v := s.valuesOf(e, name); len(v) > 0 {
					f.Values[name] = v
				}
			}
			out.Found = append(out.Found, f)
		}
	}
	return engine.DeliveryResult{Code: engine.DeliveryOK, Provision: out}
}

// valuesOf are the values of an attribute as a look tells them.
func (s snapshot) valuesOf(e *entry, name string) []string {
	one := func(v string) []string {
		if v == "" {
			return nil
		}
		return []string{v}
	}
	switch strings.ToLower(name) {
	case "objectguid":
		return one(e.guid.String())
	case "cn":
		return one(e.name)
	case "samaccountname":
		return one(cmp.Or(e.sam, e.name))
	case "userprincipalname":
		return one(e.upn)
	case "displayname":
		return one(e.display)
	case "department":
		return one(e.dept)
	case "title":
		return one(e.title)
	case "employeeid":
		return one(e.employee)
	case strings.ToLower(linkAttribute):
		return one(e.link)
	case strings.ToLower(provision.PasswordStamp):
		if e.secret.version > 0 {
			return []string{e.secret.stamp().Text()}
		}
	case "useraccountcontrol":
		if e.kind != scoping.User {
			return nil
		}
		return []string{map[bool]string{true: "512", false: "514"}[e.enabled]}
	case "manager":
		if s.lives(e.manager) {
			return []string{e.manager.String()}
		}
	case "member":
		var out []string
		for _, g := range slices.SortedFunc(maps.Keys(e.members), scoping.GUID.Compare) {
			if s.lives(g) {
				out = append(out, g.String())
			}
		}
		return out
	}
	return nil
}

func (s snapshot) lives(g scoping.GUID) bool { return s.objects[g] != nil && !s.objects[g].deleted }

// below reports whether an object lies below a container, or one of others.
func (s snapshot) below(g scoping.GUID, root scoping.GUID, others []scoping.GUID) bool {
	chain := s.chain(g)
	return slices.Contains(chain, root) || slices.ContainsFunc(others, func(o scoping.GUID) bool { return slices.Contains(chain, o) })
}
