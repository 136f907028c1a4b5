// Package journal keeps parts of the log that were written to their end in a folder elsewhere, with a signed head, and checks such a folder.
//
// An archive is a folder with the segments of a log as they were, from the first record on without a gap, and head.json: which segments there are, the number and hash of
// the last record in them, when that was, and a signature by a key of the installation (ed25519). The chain in the segments finds damage, the signature whoever could write
// the files and has not the key. [Export] adds what is new, [Read] and [Verify] check. A segment has its name before the head knows it, and the head is replaced in one
// step: a crash leaves the archive as it was, with files that the next export writes again.
package journal
