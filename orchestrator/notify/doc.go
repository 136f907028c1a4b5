// Package notify tells people by webhook and e-mail what is wrong, and that it is over.
//
// What to tell is decided by [Next], a pure function of what was told, what is wrong and the time; and what to do with what could not be delivered by a [Queue], a pure
// value. A [Notifier] is the edge around both. It is opened when a host opens. [Notifier.Look] is called with what is wrong, every few seconds by one goroutine;
// [Notifier.Run] delivers, until its context ends; [Notifier.Test] may be called at any time.
//
// What was decided and what waits are kept in one step before anything is sent, so a restart neither forgets a message nor decides it twice. A message whose answer was
// lost is sent again, with the same id. Where nothing can be kept, as on a full disk, messages are sent all the same, and a restart may tell them once more.
package notify
