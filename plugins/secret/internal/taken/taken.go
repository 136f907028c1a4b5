// Package taken is where a test learns that a decoder has the bytes of a secret at hand.
package taken

// Now is called by each [secret.Take], before the value exists; nil in programs. It is set before anything runs beside it.
var Now func()
