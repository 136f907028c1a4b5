// Package inbound is the lab's model of Entra's API-driven inbound provisioning to Entra ID: a job that takes bulk requests of an HR system,
// carries them out a while later, and tells what came of it in the provisioning log alone.
//
// It promises what Microsoft documents, and where that is silent what its published samples of logs show:
//
//   - A request that was accepted is carried out once, in the order of arrival, one cycle of its own each.
//   - A person is found by employeeId, which is the sender's externalId, among the users of the cloud; without one a user is created.
//     Someone whom a directory feeds is never changed, and never made a second time.
//   - Only attributes that have a value flow; what is absent, null or empty stays as it is (Entra's default, see
//     https://learn.microsoft.com/entra/identity/app-provisioning/clear-attribute-values).
//   - A manager is named by externalId. One who is not there yet is looked for again, until there is one.
//   - Nobody is ever deleted: who leaves is disabled.
//
// It does no I/O and has no goroutine: what is due is carried out when somebody calls Advance.
package inbound
