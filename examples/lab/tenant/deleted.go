package tenant

import "strings"

// Delete removes a user or a group. Users and restorable groups go to the deleted items for DeletedItemLife and keep
// their id, values and memberships for a restore.
func (m *Model) Delete(kind Kind, ref string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.find(kind, ref, m.head())
	if err != nil {
		return err
	}
	m.remove(o)
	return nil
}

func (m *Model) remove(o *object) {
	v := o.latest().next()
	v.life, v.deletedAt, v.leftIn = binned, m.now(), nil
	for _, g := range m.groupsOf(o.id, m.head()) {
		v.leftIn = append(v.leftIn, g.id)
		g.members.set(o.id, memberEvent{seq: m.stamp(g), deleted: true})
	}
	if !m.restorable(o) {
		v.life = purged
		m.write(o, v)
		return
	}
	if upn := v.text("userPrincipalName"); upn != "" && !m.opts.KeepDeletedUPN {
		v.props["userPrincipalName"] = strings.ReplaceAll(o.id, "-", "") + upn
	}
	v.props["deletedDateTime"] = stampTime(v.deletedAt)
	m.write(o, v)
	m.bin = append(m.bin, binEntry{o.id, v.deletedAt})
}

// restorable: users and Microsoft 365 groups always, security groups unless switched off, mail-enabled ones never.
func (m *Model) restorable(o *object) bool {
	v := o.latest()
	switch o.kind {
	case User:
		return true
	case Group:
		unified := containsFold(texts(v.props["groupTypes"]), "Unified")
		return unified || !v.is("mailEnabled") && !m.opts.GroupsNotRestorable
	}
	return false
}

// expire purges what has been in the deleted items for too long. Callers hold the write lock.
func (m *Model) expire() {
	limit := m.now().Add(-DeletedItemLife)
	for len(m.bin) > 0 && !m.bin[0].at.After(limit) {
		e := m.bin[0]
		m.bin = m.bin[1:]
		o := m.objects[e.id]
		if v := o.latest(); v.life == binned && v.deletedAt.Equal(e.at) {
			m.purge(o)
		}
	}
}

// Expire purges what has been among the deleted items longer than DeletedItemLife. The front calls it before each request.
func (m *Model) Expire() {
	m.mu.RLock()
	due := len(m.bin) > 0 && !m.bin[0].at.After(m.now().Add(-DeletedItemLife))
	m.mu.RUnlock()
	if !due {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
}

func (m *Model) purge(o *object) {
	v := o.latest().next()
	v.life = purged
	m.write(o, v)
	o.passwords.wipe()
}

func (m *Model) deletedItem(id string, at uint64) (*object, error) {
	o := m.objects[strings.ToLower(id)]
	if o == nil {
		return nil, notFound(id)
	}
	if v := o.at(at); v == nil || v.life != binned {
		return nil, notFound(id)
	}
	return o, nil
}

// Purge deletes a deleted item for good.
// See https://learn.microsoft.com/graph/api/directory-deleteditems-delete.
func (m *Model) Purge(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.deletedItem(id, m.head())
	if err != nil {
		return err
	}
	m.purge(o)
	return nil
}

// Restore brings a deleted item back with its id and memberships. newUPN, if given, becomes a user's userPrincipalName.
// A value that a living object has taken meanwhile refuses the restore; autoReconcile drops conflicting proxy addresses instead.
// See https://learn.microsoft.com/graph/api/directory-deleteditems-restore.
func (m *Model) Restore(id, newUPN string, autoReconcile bool) (Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.deletedItem(id, m.head())
	if err != nil {
		return Object{}, err
	}
	v := o.latest().next()
	v.life = live
	delete(v.props, "deletedDateTime")
	if err := m.reclaim(o, v, newUPN, autoReconcile); err != nil {
		return Object{}, err
	}
	left := v.leftIn
	v.leftIn = nil
	m.write(o, v)
	for _, g := range left {
		if group := m.objects[g]; group.latest().life != purged && !group.members.has(o.id, m.head()) {
			m.join(group, o.id, memberEvent{seq: m.stamp(group), present: true})
		}
	}
	return m.object(o), nil
}

// reclaim checks that what must be unique is still free.
func (m *Model) reclaim(o *object, v *version, newUPN string, autoReconcile bool) error {
	if o.kind == User {
		upn := strings.TrimPrefix(v.text("userPrincipalName"), strings.ReplaceAll(o.id, "-", ""))
		if newUPN != "" {
			upn = newUPN
		}
		if err := m.checkUPN(o, upn); err != nil {
			return err
		}
		v.props["userPrincipalName"] = upn
		if anchor := v.text("onPremisesImmutableId"); anchor != "" {
			if err := m.checkAnchor(o, anchor); err != nil {
				return err
			}
		}
	}
	if name := v.text("uniqueName"); name != "" {
		if err := m.unique(o, Group, "uniqueName", name); err != nil {
			return err
		}
	}
	return m.reclaimAddresses(o, v, autoReconcile)
}

func (m *Model) reclaimAddresses(o *object, v *version, autoReconcile bool) error {
	var kept []string
	for _, a := range texts(v.props["proxyAddresses"]) {
		err := m.freeAddress(o, a)
		if err != nil && !autoReconcile {
			return err
		}
		if err == nil {
			kept = append(kept, a)
			continue
		}
		if strings.EqualFold(a, "SMTP:"+v.text("mail")) {
			delete(v.props, "mail")
		}
	}
	delete(v.props, "proxyAddresses")
	if len(kept) > 0 {
		v.props["proxyAddresses"] = kept
	}
	return nil
}
