// Package directory is an embedded LDAP server with the semantics of Active Directory, for tests and demonstrations.
//
// It has two halves. [Model] is the state: objects with objectGUID and update sequence numbers, links with their
// back-links, tombstones, DirSync. [Server] is the wire: LDAP over TLS, StartTLS, binds, paging and the controls that
// directory synchronization uses. A domain of tens of thousands of objects is built in memory in seconds, and what a real
// domain controller shows only when large or broken can be asked for: DirSync in many small rounds, refused cookies, lost
// connections.
//
// Where behaviour was in question, Samba 4.17 was asked, and the conformance suite beside this package asks both. What
// Samba lacks follows MS-ADTS. Access lists decide what accounts that are no administrators may add, change and delete, and not what they may read; of the rules for passwords
// length, complexity, history, minimum age and lock-out are there, and neither password settings objects nor the end of a lock-out, nor expiry. It does not
// model schema changes, replication between several domain controllers by DRSUAPI, or Kerberos; names compare by simple case folding, while AD also
// ignores accents, width and kana.
package directory
