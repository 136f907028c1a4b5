package scim

import (
	"fmt"
	"strings"
)

// The schemas of a bulk request and of the users in it.
const (
	BulkSchema       = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	CoreSchema       = "urn:ietf:params:scim:schemas:core:2.0:User"
	EnterpriseSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// MaxOperations is how many operations one request may have.
const MaxOperations = 50

// Request is one bulk request. Operations stand in the order in which they came.
type Request struct{ Operations []Operation }

// Operation is what the sender knows of one user. Which of create, update, enable and disable it means, the service finds out.
type Operation struct {
	BulkID string // unique within the request
	User   User
}

// User is a user of the core and the enterprise schema. An absent, null or empty attribute is "", or nil.
type User struct {
	ExternalID        string // never ""
	UserName          string
	DisplayName       string
	NickName          string
	Title             string
	UserType          string
	PreferredLanguage string
	Name              Name
	Active            *bool
	Emails            []Value
	PhoneNumbers      []Value
	Addresses         []Address
	Enterprise        Enterprise
	Custom            []Custom // by schema, then by name
}

// Name is a person's name in parts.
type Name struct{ Formatted, FamilyName, GivenName string }

// Value is one of several, such as an address of e-mail.
type Value struct {
	Value   string
	Type    string // work, mobile, …
	Primary bool
}

// Address is a postal address.
type Address struct {
	Street, Locality, Region, PostalCode, Country string
	Type                                          string
	Primary                                       bool
}

// Enterprise is the enterprise extension.
type Enterprise struct {
	EmployeeNumber, CostCenter, Organization, Division, Department string

	Manager string // the manager's ExternalID
}

// Custom is an attribute of a schema of the sender's own; a number or a truth value is given as text.
type Custom struct{ Schema, Name, Value string }

// Error is why a request is refused.
type Error struct {
	At   string // the place in the document, such as Operations[3].data.active; "" is the document itself
	Text string
}

// Error joins place and reason.
func (e *Error) Error() string {
	if e.At == "" {
		return e.Text
	}
	return e.At + ": " + e.Text
}

// Parse reads a bulk request. The error is an *Error.
func Parse(body []byte) (Request, error) {
	root, err := decode(body)
	if err != nil {
		return Request{}, err
	}
	r := &reader{}
	out := r.request(root)
	if r.err != nil {
		return Request{}, r.err
	}
	return out, nil
}

func (r *reader) request(root object) Request {
	if schemas := r.texts(root, "", "schemas"); len(schemas) != 1 || !strings.EqualFold(schemas[0], BulkSchema) {
		r.fail("schemas", "the schema of a bulk request is due, which is "+BulkSchema)
	}
	if n, given := root.get("failOnErrors"); given {
		r.failOnErrors(n)
	}
	list, given := root.get("Operations")
	operations, isList := list.([]any)
	switch {
	case !given:
		r.fail("Operations", "it is missing")
	case !isList:
		r.fail("Operations", "a list is due, not "+kind(list))
	case len(operations) == 0:
		r.fail("Operations", "there is none")
	case len(operations) > MaxOperations:
		r.fail("Operations", fmt.Sprintf("there are %d, and at most %d are taken in one request", len(operations), MaxOperations))
	}
	if r.err != nil {
		return Request{}
	}
	var out Request
	seen := map[string]int{}
	for i, x := range operations {
		at := fmt.Sprintf("Operations[%d]", i)
		op := r.operation(at, x)
		if before, twice := seen[op.BulkID]; twice {
			r.fail(at+".bulkId", fmt.Sprintf("it is that of Operations[%d] too", before))
		}
		seen[op.BulkID] = i
		out.Operations = append(out.Operations, op)
		if r.err != nil {
			break
		}
	}
	return out
}

func (r *reader) operation(at string, x any) Operation {
	o, ok := x.(object)
	if !ok {
		r.fail(at, "an object is due, not "+kind(x))
		return Operation{}
	}
	r.exactly(o, at, "method", "POST")
	r.exactly(o, at, "path", "/Users")
	out := Operation{BulkID: r.needed(o, at, "bulkId")}
	data, given := o.get("data")
	user, ok := data.(object)
	switch {
	case !given:
		r.fail(at+".data", "it is missing")
	case !ok:
		r.fail(at+".data", "an object is due, not "+kind(data))
	default:
		out.User = r.user(at+".data", user)
	}
	return out
}
