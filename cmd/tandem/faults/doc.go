// Package faults holds the tests that break things around the real tandem binary on purpose and read what it says: each bad input ends in a message
// that says what, where and what to do, with the exit code of the contract, nothing on standard output where JSON was asked for, no stack trace, and
// nothing half done that the next run does not finish.
package faults
