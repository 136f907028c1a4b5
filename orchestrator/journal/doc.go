// Package journal exports finished segments of the log to an archive in another folder, with a signed head, and checks archives.
//
// An archive is a folder with the segments of a log as they were, from the first record on without a gap, and head.json: the list of segments, the
// number and hash of their last record, the time, and a signature by a key of the installation (ed25519). The chain in the segments reveals damage,
// the signature reveals changes by anybody without the key. [Export] adds what is new, [Read] and [Verify] check. A segment has its name before the
// head lists it, and the head is replaced in one step: a crash leaves the archive as it was, with files that the next export writes again.
package journal
