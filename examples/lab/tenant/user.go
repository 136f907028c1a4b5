package tenant

import (
	"maps"
	"slices"
	"strings"
)

const syncedMessage = "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration."

// CreateUser makes a cloud user from a Graph body.
// See https://learn.microsoft.com/graph/api/user-post-users.
func (m *Model) CreateUser(body map[string]any) (Object, error) {
	if err := missing(User, body, "accountEnabled", "displayName", "mailNickname", "userPrincipalName", "passwordProfile"); err != nil {
		return Object{}, err
	}
	extensions, body, err := m.takeExtensions(body)
	if err != nil {
		return Object{}, err
	}
	changes, err := patch(User, body)
	if err != nil {
		return Object{}, err
	}
	pass, _ := changes["passwordProfile"].(profile)
	k, given, err := m.prepare(pass)
	if err != nil {
		return Object{}, err
	}
	if !given {
		return Object{}, weakPassword()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v := &version{props: map[string]any{"userType": "Member"}}
	if err := m.applyUser(nil, v, changes); err != nil {
		return Object{}, err
	}
	if v.manager, err = m.boundManager(body, ""); err != nil {
		return Object{}, err
	}
	merge(v.props, extensions)
	o := m.add(User, v)
	m.setProfile(o, pass, k, true)
	return m.object(o), nil
}

// UpdateUser changes a user named by id or userPrincipalName; a null clears.
// See https://learn.microsoft.com/graph/api/user-update.
func (m *Model) UpdateUser(ref string, body map[string]any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.find(User, ref, m.head())
	if err != nil {
		return err
	}
	extensions, body, err := m.takeExtensions(body)
	if err != nil {
		return err
	}
	changes, err := patch(User, body)
	if err != nil {
		return err
	}
	if err := refuseSynced(o, changes); err != nil {
		return err
	}
	pass, _ := changes["passwordProfile"].(profile)
	k, given, err := m.prepare(pass)
	if err != nil {
		return err
	}
	v := o.latest().next()
	if err := m.applyUser(o, v, changes); err != nil {
		return err
	}
	if v.manager, err = m.boundManager(body, v.manager); err != nil {
		return err
	}
	merge(v.props, extensions)
	m.writeIfChanged(o, v)
	m.setProfile(o, pass, k, given)
	return nil
}

// writeIfChanged keeps a patch that changes nothing out of the delta feed.
func (m *Model) writeIfChanged(o *object, v *version) {
	old := o.latest()
	if v.manager == old.manager && sameValue(v.props, old.props) {
		return
	}
	m.write(o, v)
}

func refuseSynced(o *object, changes map[string]any) error {
	if !o.latest().is("onPremisesSyncEnabled") {
		return nil
	}
	for name := range changes {
		if !schemas[o.kind].byName[name].CloudOwned {
			return badRequest(syncedMessage)
		}
	}
	return nil
}

// applyUser merges changes into v under the rules for users; o is nil for a create.
func (m *Model) applyUser(o *object, v *version, changes map[string]any) error {
	if upn, ok := changes["userPrincipalName"].(string); ok {
		if err := m.checkUPN(o, upn); err != nil {
			return err
		}
	}
	if anchor, ok := changes["onPremisesImmutableId"].(string); ok {
		if err := m.checkAnchor(o, anchor); err != nil {
			return err
		}
	}
	if nick, ok := changes["mailNickname"].(string); ok && !validNickname(nick) {
		return invalidValue(User, "mailNickname")
	}
	if p, ok := changes["passwordProfile"].(profile); ok && p.password != nil {
		v.props["lastPasswordChangeDateTime"] = stampTime(m.now())
	}
	changes = maps.Clone(changes)
	delete(changes, "passwordProfile")
	if mail, ok := changes["mail"]; ok {
		if err := m.applyMail(o, v, mail); err != nil {
			return err
		}
	}
	merge(v.props, changes)
	return nil
}

// checkUPN: https://learn.microsoft.com/graph/api/resources/user (userPrincipalName) and the Entra list of allowed characters.
func (m *Model) checkUPN(o *object, upn string) error {
	local, domain, ok := strings.Cut(upn, "@")
	if !ok || local == "" || len(local) > 64 || len(domain) > 48 || strings.HasSuffix(local, ".") || strings.ContainsFunc(local, badUPNRune) {
		e := badRequest("Property userPrincipalName is invalid.")
		e.Details = []Detail{{"InvalidValue", e.Message, "userPrincipalName"}}
		return e
	}
	if !slices.Contains(m.verified, strings.ToLower(domain)) {
		e := badRequest("The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain names in your organization.")
		e.Details = []Detail{{"InvalidValue", e.Message, "userPrincipalName"}}
		return e
	}
	return m.unique(o, User, "userPrincipalName", upn)
}

func badUPNRune(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("'.-_!#^~", r))
}

func (m *Model) unique(o *object, kind Kind, property, value string) error {
	for _, other := range m.lookup(kind, property, value, m.head()) {
		if other != o {
			return conflict(property)
		}
	}
	return nil
}

// checkAnchor compares exactly: base64 is case-sensitive.
func (m *Model) checkAnchor(o *object, anchor string) error {
	if strings.ContainsAny(anchor, "$_") {
		return invalidValue(User, "onPremisesImmutableId")
	}
	for _, id := range m.index[indexKey(User, "onPremisesImmutableId", anchor)] {
		other := m.objects[id]
		v := other.latest()
		blocks := v.life == live || v.life == binned && m.opts.DeletedAnchorBlocks
		if other != o && blocks && v.text("onPremisesImmutableId") == anchor {
			return conflict("onPremisesImmutableId")
		}
	}
	return nil
}

func validNickname(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7e || strings.ContainsRune("@()\\[]\";:<>,", r) })
}

// applyMail makes mail the primary proxy address and keeps the former one as a secondary, as Entra does;
// clearing mail takes the primary away.
func (m *Model) applyMail(o *object, v *version, mail any) error {
	var addresses []string
	address, _ := mail.(string)
	if mail != nil && !validMail(address) {
		return invalidValue(User, "mail")
	}
	for _, p := range texts(v.props["proxyAddresses"]) {
		rest, primary := strings.CutPrefix(p, "SMTP:")
		switch {
		case address != "" && strings.EqualFold(p, "smtp:"+address):
		case primary && address != "":
			addresses = append(addresses, "smtp:"+rest)
		case !primary:
			addresses = append(addresses, p)
		}
	}
	if address != "" {
		if err := m.freeAddress(o, "SMTP:"+address); err != nil {
			return err
		}
		addresses = append([]string{"SMTP:" + address}, addresses...)
	}
	merge(v.props, map[string]any{"proxyAddresses": nil})
	if len(addresses) > 0 {
		v.props["proxyAddresses"] = addresses
	}
	return nil
}

// validMail: an address as such, without the type that proxyAddresses put before it, and without accents
// (https://learn.microsoft.com/graph/api/resources/user, mail).
func validMail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	foreign := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(",;:<>()[]\\\"", r) }
	return ok && local != "" && strings.Contains(domain, ".") && !strings.ContainsFunc(s, foreign) && !strings.Contains(domain, "@")
}

// freeAddress refuses a proxy address that any other mail recipient has.
func (m *Model) freeAddress(o *object, address string) error {
	for _, kind := range []Kind{User, Group, Contact} {
		if err := m.unique(o, kind, "proxyAddresses", address); err != nil {
			return err
		}
	}
	return nil
}

// boundManager reads manager@odata.bind, or keeps the manager there is.
func (m *Model) boundManager(body map[string]any, current string) (string, error) {
	bind, ok := body["manager@odata.bind"]
	if !ok {
		return current, nil
	}
	link, _ := bind.(string)
	return m.managerOf(link)
}

func (m *Model) managerOf(link string) (string, error) {
	id, err := refID(link)
	if err != nil {
		return "", err
	}
	o, err := m.find("", id, m.head())
	if err != nil {
		return "", err
	}
	if o.kind != User && o.kind != Contact {
		return "", badRequest("Invalid object type for reference property 'manager'.")
	}
	return o.id, nil
}

// SetManager sets the manager of a user or contact from an @odata.id link or a bare id.
// See https://learn.microsoft.com/graph/api/user-post-manager.
func (m *Model) SetManager(kind Kind, ref, link string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	id, err := m.managerOf(link)
	if err != nil {
		return err
	}
	return m.setManager(kind, ref, id)
}

// ClearManager takes the manager of a user or contact away; one without is answered not found, as Graph does.
// See https://learn.microsoft.com/graph/api/user-delete-manager.
func (m *Model) ClearManager(kind Kind, ref string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.find(kind, ref, m.head())
	if err != nil {
		return err
	}
	if o.latest().manager == "" {
		return notFound("manager")
	}
	return m.setManager(kind, ref, "")
}

func (m *Model) setManager(kind Kind, ref, id string) error {
	o, err := m.find(kind, ref, m.head())
	if err != nil {
		return err
	}
	if o.latest().is("onPremisesSyncEnabled") {
		return badRequest(syncedMessage)
	}
	v := o.latest().next()
	v.manager = id
	m.writeIfChanged(o, v)
	return nil
}
