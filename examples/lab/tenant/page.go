package tenant

import (
	"html/template"
	"net/http"
)

// homePage is what a person sees who opens the endpoint in a browser.
var homePage = template.Must(template.New("home").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Lab tenant {{.Name}}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#222}code{background:#eee;padding:.1em .3em}td{padding:.1rem 1rem .1rem 0}</style></head>
<body><h1>Lab tenant {{.Name}}</h1>
<p>This is a laboratory's Entra tenant: it speaks the Microsoft Graph v1.0 wire protocol for directory synchronization and keeps everything in memory.
It is not Microsoft's, and nothing here reaches Microsoft.</p>
<table><tr><td>Tenant id</td><td><code>{{.TenantID}}</code></td></tr>
<tr><td>Verified domains</td><td>{{range .Domains}}<code>{{.}}</code> {{end}}</td></tr>
<tr><td>Users</td><td>{{.Users}}</td></tr><tr><td>Groups</td><td>{{.Groups}}</td></tr>
<tr><td>Deleted items</td><td>{{.Deleted}}</td></tr></table>
<p>Graph: <code>/v1.0/users</code>, <code>/v1.0/groups</code>, <code>/v1.0/users/delta</code>, … with a bearer token from
<code>/{{.TenantID}}/oauth2/v2.0/token</code>. The lab's own door is <code>/lab/…</code>, with the lab token.</p>
</body></html>`))

func (f *front) home(w http.ResponseWriter) {
	deleted := f.model.List(User, Query{Deleted: true, Count: true, Limit: 1}).Count + f.model.List(Group, Query{Deleted: true, Count: true, Limit: 1}).Count
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = homePage.Execute(w, map[string]any{"Name": f.model.Domains()[0], "TenantID": f.tenantID, "Domains": f.model.Domains(), "Deleted": deleted,
		"Users": f.model.List(User, Query{Count: true, Limit: 1}).Count, "Groups": f.model.List(Group, Query{Count: true, Limit: 1}).Count}) // the reader may have left
}

// nothing answers a path that is neither Graph's, the authority's nor the lab's.
func (f *front) nothing(w http.ResponseWriter, r *http.Request) {
	writeError(w, r, &Error{Status: http.StatusNotFound, Code: "ResourceNotFound",
		Message: "This is a lab tenant; it serves /v1.0/…, /" + f.tenantID + "/oauth2/v2.0/token and /lab/…, but not " + r.URL.Path + "."})
}
