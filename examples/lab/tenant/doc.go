// Package tenant is the lab's Microsoft Entra tenant: a Model, which is pure in-memory state with its own rules,
// and a wire front (Serve), which speaks OAuth 2 and Microsoft Graph v1.0 over TLS with its own certificate authority.
//
// It promises that a client written for Microsoft Graph works against it unchanged within the part of Graph that
// directory synchronization needs: users, groups, members, managers, deleted items, delta queries, $batch, roles,
// the organization and the service principal of the application. It refuses what Graph refuses, in Graph's words,
// and it keeps nothing that Graph would not show (so a group has no source anchor).
//
// It keeps passwords as credentials, signs people in by them, and lets a person do what a directory role allows: read /me and
// reset the passwords of others. What Entra does with private services has doors of the lab's own, with the application's
// access token: credentials that a directory's engine hands in, and a relay that hands out password changes, for the engine that
// writes them into the directory (door.go). The portal where people change their own passwords is modelled too (portal.go).
//
// An HR system sends it people through API-driven provisioning, and reads in the provisioning log what became of them (scim, inbound).
//
// It does not promise Graph's permissions (every application may do everything, save where an operation names what it needs: permission.go), Graph's indexes' delays unless they
// are switched on, or anything outside the paths it names: those are answered with a clear error.
//
// What the lab itself needs beyond Graph stands under /lab/ on the same listener, behind the lab's own token: seeding of
// synced objects and role assignments, faults, counters and canonical state. See lab.go.
package tenant
