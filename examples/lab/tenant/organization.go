package tenant

import "strings"

// organization is the tenant's own description, without its id.
func (m *Model) organization() map[string]any {
	name, _, _ := strings.Cut(m.verified[0], ".")
	list := []any{}
	for i, d := range m.verified {
		list = append(list, map[string]any{"capabilities": "Email, OfficeCommunicationsOnline", "isDefault": i == 0, "isInitial": i == len(m.verified)-1,
			"name": d, "type": "Managed"})
	}
	return map[string]any{"displayName": name, "createdDateTime": stampTime(m.created), "verifiedDomains": list, "onPremisesSyncEnabled": nil,
		"onPremisesLastSyncDateTime": nil, "tenantType": "AAD", "countryLetterCode": nil, "businessPhones": []any{}, "assignedPlans": []any{},
		"technicalNotificationMails": []any{}}
}

// RegisterApp gives an application its service principal, once; it is what the wire front does for its client.
func (m *Model) RegisterApp(appID, name string) (Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if appID == "" {
		return Object{}, badRequest("An application needs an appId.")
	}
	if found := m.lookup(ServicePrincipal, "appId", appID, m.head()); len(found) > 0 {
		return m.object(found[0]), nil
	}
	v := &version{props: map[string]any{"appId": appID, "displayName": name, "appDisplayName": name, "accountEnabled": true, "servicePrincipalType": "Application"}}
	return m.object(m.add(ServicePrincipal, v)), nil
}

// UpdateServicePrincipal changes notes, tags and the like of a service principal by id.
// See https://learn.microsoft.com/graph/api/serviceprincipal-update.
func (m *Model) UpdateServicePrincipal(ref string, body map[string]any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.find(ServicePrincipal, ref, m.head())
	if err != nil {
		return err
	}
	changes, err := patch(ServicePrincipal, body)
	if err != nil {
		return err
	}
	v := o.latest().next()
	merge(v.props, changes)
	m.writeIfChanged(o, v)
	return nil
}
