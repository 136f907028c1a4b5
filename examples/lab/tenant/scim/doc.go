// Package scim reads bulk requests of SCIM (RFC 7644 §3.7) as Entra's API-driven inbound provisioning takes them: at most MaxOperations
// operations, each a POST to /Users with a user of the core and the enterprise schema, and of schemas of the sender's own.
//
// It is strict where the documents are: a request that breaks a rule is refused as a whole, and the error names the place. Attributes that
// nobody knows are passed over, as SCIM demands of a service (RFC 7643 §2.1 lets names differ in case, RFC 7644 §3.3 in what is understood).
// It does not judge values: whether a name is free or a text too long is found out when the user is provisioned.
//
// See https://learn.microsoft.com/graph/api/resources/synchronization-bulkupload.
package scim
