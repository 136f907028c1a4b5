package tenant

import (
	"net/http"
	"slices"
)

// doorRoutes are what the lab's own door serves to the application, where Microsoft's engines have an interface of their own and public Graph has none. It takes
// the application's token, obeys faults, ghosts, lag and limits like Graph, and stands in the request log. GET /lab/ says which doors there are; a tenant without
// that answer is none of the lab's.
//
//	GET  /lab/                   {"doors": ["credentials", "writeback"]}
//	POST /lab/credentials        {"credentials": [{user, credential, changedAt, by, mustChange, log, number}]}, at most 50
//	GET  /lab/credentials/{id}   {changedAt, by, mustChange, log, number} of the last one
//	GET  /lab/writeback?wait=S   {"events": [{id, tenant, installation, user, op, oldPassword, newPassword, mustChange, deadline}]}
//	POST /lab/writeback/{id}     {code, message}: the answer to an event
var doorRoutes []route

// doorNames are what a client may find below /lab/.
var doorNames = []string{"credentials", "writeback"}

func init() {
	doorRoutes = []route{
		get("", 1, func(*front, *call) (reply, error) {
			return reply{status: http.StatusOK, body: map[string]any{"doors": doorNames}}, nil
		}),
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
