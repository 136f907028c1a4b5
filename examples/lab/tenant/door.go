package tenant

import (
	"net/http"
	"slices"
)

// doorRoutes are what the lab's own door serves to the application, where Microsoft's engines have an interface of their own and public Graph has none. It takes
// the application's token, obeys faults, ghosts, lag and limits like Graph, and stands in the request log. GET /lab/ says which doors there are; a tenant without
// that answer is none of the lab's.
//
//	GET  /lab/                   {"doors": ["contacts", "credentials", "writeback"]}
//	POST /lab/$batch             as Graph's, of the requests below
//	GET  /lab/contacts           contacts with their anchors, or those with the one that ?sourceAnchor= names
//	POST /lab/contacts           {sourceAnchor, displayName, mail, …}: makes one
//	GET, PATCH, DELETE /lab/contacts/{id}; PUT, DELETE /lab/contacts/{id}/manager/$ref
//	POST /lab/credentials        {"credentials": [{user, credential, changedAt, by, mustChange, log, number}]}, at most 50
//	GET  /lab/credentials/{id}   {changedAt, by, mustChange, log, number} of the last one
//	GET  /lab/writeback?wait=S   {"events": [{id, tenant, installation, user, op, oldPassword, newPassword, mustChange, deadline}]}
//	POST /lab/writeback/{id}     {code, message}: the answer to an event
var doorRoutes []route

// doorNames are what a client may find below /lab/.
var doorNames = []string{"contacts", "credentials", "writeback"}

func init() {
	doorRoutes = []route{
		get("", 1, func(*front, *call) (reply, error) {
			return reply{status: http.StatusOK, body: map[string]any{"doors": doorNames}}, nil
		}),
		asks("$batch", 0, batch),
		get("contacts", 1, listContacts),
		get("contacts/{}", 1, readContact),
		writes(http.MethodPost, "contacts", createContact),
		writes(http.MethodPatch, "contacts/{}", func(f *front, c *call) (reply, error) { return update(c, f.model.UpdateContact) }),
		writes(http.MethodDelete, "contacts/{}", func(f *front, c *call) (reply, error) { return answer(f.model.Delete(Contact, c.args[0])) }),
		writes(http.MethodPut, "contacts/{}/manager/$ref", func(f *front, c *call) (reply, error) { return putManager(f, c, Contact) }),
		writes(http.MethodDelete, "contacts/{}/manager/$ref", func(f *front, c *call) (reply, error) { return answer(f.model.ClearManager(Contact, c.args[0])) }),
		writes(http.MethodPost, "credentials", putCredentials),
		get("credentials/{}", 1, readCredential),
		get("writeback", 1, pollWriteback),
		writes(http.MethodPost, "writeback/{}", answerWriteback),
	}
}

// atDoor reports whether a path below /lab/ is one that the application may ask for, whatever the method.
func atDoor(path string) bool {
	parts := segments(path)
	return slices.ContainsFunc(doorRoutes, func(r route) bool { _, ok := r.match(parts); return ok })
}

// listContacts answers all contacts with their anchors, or those with the anchor that the query names.
func listContacts(f *front, c *call) (reply, error) {
	rows := []any{}
	for _, x := range f.model.Contacts(c.query.Get(AnchorProperty)) {
		rows = append(rows, x.shown())
	}
	return reply{status: http.StatusOK, body: map[string]any{"value": rows}}, nil
}

func readContact(f *front, c *call) (reply, error) {
	x, err := f.model.ContactByID(c.args[0])
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: x.shown()}, nil
}

func createContact(f *front, c *call) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	x, err := f.model.CreateContact(body)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusCreated, body: x.shown()}, nil
}
