package tenant

// AnchorProperty is how the lab's door calls a contact's source anchor. Graph's orgContact has none: Microsoft's engines keep it where no client of Graph sees it.
const AnchorProperty = "sourceAnchor"

// ContactRecord is one contact as the lab's door shows it.
type ContactRecord struct {
	Object
	Anchor string // base64; "" for contacts that were not made by the door
}

// CreateContact makes a contact as an engine of Microsoft's does, for which public Graph has no door. sourceAnchor is the key under which a second attempt finds
// the first: no two living contacts have the same. Without an address the tenant keeps no contact.
func (m *Model) CreateContact(body map[string]any) (ContactRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := missing(Contact, body, AnchorProperty, "displayName", "mail"); err != nil {
		return ContactRecord{}, err
	}
	anchor, isText := body[AnchorProperty].(string)
	if !isText || anchor == "" {
		return ContactRecord{}, invalidValue(Contact, AnchorProperty)
	}
	if len(m.contactsByAnchor(anchor, m.head())) > 0 {
		return ContactRecord{}, conflict(AnchorProperty)
	}
	v := &version{props: map[string]any{}, anchor: anchor}
	if err := m.patchContact(nil, v, without(body, AnchorProperty)); err != nil {
		return ContactRecord{}, err
	}
	return m.contact(m.add(Contact, v), m.head()), nil
}

// UpdateContact changes a contact by id; a null clears. Its anchor stays as it is.
func (m *Model) UpdateContact(ref string, body map[string]any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.find(Contact, ref, m.head())
	if err != nil {
		return err
	}
	v := o.latest().next()
	if err := m.patchContact(o, v, body); err != nil {
		return err
	}
	m.writeIfChanged(o, v)
	return nil
}

// patchContact merges a body into v under the rules for contacts; o is nil for a create.
func (m *Model) patchContact(o *object, v *version, body map[string]any) error {
	changes, err := patch(Contact, body)
	if err != nil {
		return err
	}
	if o != nil {
		if err := refuseSynced(o, changes); err != nil {
			return err
		}
	}
	if nick, ok := changes["mailNickname"].(string); ok && !validNickname(nick) {
		return invalidValue(Contact, "mailNickname")
	}
	if mail, ok := changes["mail"]; ok {
		if mail == nil {
			return invalidValue(Contact, "mail")
		}
		if err := m.applyMail(o, v, mail); err != nil {
			return err
		}
	}
	merge(v.props, changes)
	return nil
}

// Contacts lists the living contacts with their anchors, in the order of creation; with an anchor, those that have it.
func (m *Model) Contacts(anchor string) []ContactRecord {
	m.mu.RLock()
	defer m.mu.RUnlock()
	at := m.visible()
	found := m.order[Contact]
	if anchor != "" {
		found = m.contactsByAnchor(anchor, at)
	}
	out := []ContactRecord{}
	for _, o := range found {
		if v := o.at(at); v != nil && v.life == live {
			out = append(out, m.contact(o, at))
		}
	}
	return out
}

// ContactByID reads a living contact with its anchor.
func (m *Model) ContactByID(id string) (ContactRecord, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	at := m.visible()
	o, err := m.find(Contact, id, at)
	if err != nil {
		return ContactRecord{}, err
	}
	return m.contact(o, at), nil
}

func (m *Model) contact(o *object, at uint64) ContactRecord {
	return ContactRecord{m.objectAt(o, at), o.at(at).anchor}
}

// contactsByAnchor compares exactly: base64 is case-sensitive.
func (m *Model) contactsByAnchor(anchor string, at uint64) []*object {
	var out []*object
	for _, id := range m.anchors[anchor] {
		if v := m.objects[id].at(at); v != nil && v.life == live {
			out = append(out, m.objects[id])
		}
	}
	return out
}

// shown renders a contact with its anchor and its manager.
func (c ContactRecord) shown() map[string]any {
	body := render(c.Object, nil)
	body[AnchorProperty] = c.Anchor
	if c.Manager != "" {
		body["manager"] = map[string]any{"id": c.Manager}
	}
	return body
}
