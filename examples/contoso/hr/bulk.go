package main

import "time"

// atOnce is how many people one request may hold.
const atOnce = 50

const (
	bulkSchema       = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	coreSchema       = "urn:ietf:params:scim:schemas:core:2.0:User"
	enterpriseSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// bulk is the request for some people as they are on a day.
func bulk(people []person, today time.Time) map[string]any {
	operations := make([]any, 0, len(people))
	for _, p := range people {
		operations = append(operations, map[string]any{"method": "POST", "bulkId": p.ID, "path": "/Users", "data": p.scim(today)})
	}
	return map[string]any{"schemas": []string{bulkSchema}, "Operations": operations, "failOnErrors": nil}
}

// scim is what is said of a person. What the file does not have is left out, for Entra takes no value as nothing to do.
func (p person) scim(today time.Time) map[string]any {
	enterprise := given(map[string]any{"employeeNumber": p.ID, "department": p.Department, "organization": p.Company})
	if p.Manager != "" {
		enterprise["manager"] = map[string]any{"value": p.Manager}
	}
	data := given(map[string]any{"externalId": p.ID, "userName": p.UserName, "displayName": p.shown(), "title": p.JobTitle, "userType": p.Type})
	data["schemas"] = []string{coreSchema, enterpriseSchema}
	data["name"] = map[string]any{"givenName": p.GivenName, "familyName": p.Surname}
	data["active"] = p.active(today)
	data["emails"] = []any{map[string]any{"value": p.UserName, "type": "work", "primary": true}}
	data[enterpriseSchema] = enterprise
	if address := given(map[string]any{"streetAddress": p.Street, "locality": p.City, "postalCode": p.PostalCode, "region": p.State, "country": p.Country}); len(address) > 0 {
		address["type"] = "work"
		data["addresses"] = []any{address}
	}
	var phones []any
	for kind, number := range map[string]string{"work": p.Phone, "mobile": p.Mobile} {
		if number != "" {
			phones = append(phones, map[string]any{"type": kind, "value": number})
		}
	}
	if phones != nil {
		data["phoneNumbers"] = phones
	}
	return data
}

func given(values map[string]any) map[string]any {
	for name, v := range values {
		if v == "" {
			delete(values, name)
		}
	}
	return values
}
