package tenant

// Seed makes an object as no Graph client could: any kind, any property that the kind shows, synced or mail-enabled.
// Uniqueness is still enforced; everything else is taken as it stands.
func (m *Model) Seed(kind Kind, properties map[string]any) (Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	changes, err := seedValues(kind, properties)
	if err != nil {
		return Object{}, err
	}
	if err := m.seedUnique(nil, kind, changes); err != nil {
		return Object{}, err
	}
	pass, _ := changes["passwordProfile"].(profile)
	k, given, err := m.prepare(pass)
	if err != nil {
		return Object{}, err
	}
	delete(changes, "passwordProfile")
	v := &version{props: map[string]any{}}
	merge(v.props, changes)
	o := m.add(kind, v)
	m.setProfile(o, pass, k, given)
	return m.object(o), nil
}

// SeedUpdate changes any property of a living object, such as onPremisesSyncEnabled; a null clears.
func (m *Model) SeedUpdate(ref string, properties map[string]any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.find("", ref, m.head())
	if err != nil {
		o, err = m.find(User, ref, m.head())
	}
	if err != nil {
		return err
	}
	changes, err := seedValues(o.kind, properties)
	if err != nil {
		return err
	}
	if err := m.seedUnique(o, o.kind, changes); err != nil {
		return err
	}
	pass, _ := changes["passwordProfile"].(profile)
	k, given, err := m.prepare(pass)
	if err != nil {
		return err
	}
	delete(changes, "passwordProfile")
	v := o.latest().next()
	merge(v.props, changes)
	m.writeIfChanged(o, v)
	m.setProfile(o, pass, k, given)
	return nil
}

// SeedMember adds a member to any group, a synced one too.
func (m *Model) SeedMember(group, member string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, err := m.find(Group, group, m.head())
	if err != nil {
		return err
	}
	o, err := m.find("", member, m.head())
	if err != nil {
		return err
	}
	if !g.members.has(o.id, m.head()) {
		m.join(g, o.id, memberEvent{seq: m.stamp(g), present: true})
	}
	return nil
}

func seedValues(kind Kind, properties map[string]any) (map[string]any, error) {
	s := schemas[kind]
	if s == nil {
		return nil, badRequest("Unknown kind '%s'.", kind)
	}
	out := map[string]any{}
	for _, name := range sortedKeys(properties) {
		p := s.byName[name]
		if p == nil || name == "id" || name == "deletedDateTime" {
			return nil, badRequest("Invalid property '%s'.", name)
		}
		free := *p
		free.Needed = false
		v, err := free.value(kind, properties[name])
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}

func (m *Model) seedUnique(o *object, kind Kind, changes map[string]any) error {
	for _, name := range []string{"userPrincipalName", "uniqueName", "proxyAddresses"} {
		for _, value := range texts(changes[name]) {
			if err := m.unique(o, kind, name, value); err != nil {
				return err
			}
		}
	}
	if anchor, ok := changes["onPremisesImmutableId"].(string); ok {
		return m.checkAnchor(o, anchor)
	}
	return nil
}
