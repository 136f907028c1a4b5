// Package notify notifies people by webhook and e-mail of alarms, and of their end.
//
// [Next] decides what to send: a pure function of earlier notifications, the present alarms and the time. A [Queue], a pure value, contains what has to be delivered. A
// [Notifier] is the edge around both. The orchestrator opens one when it opens ([Open]). While it serves, one goroutine calls [Notifier.Look] with the present alarms every few
// seconds, and another one [Notifier.Run], which delivers until its context ends. [Notifier.Test] may be called at any time.
//
// Decisions and queue are stored in one step before anything is sent, so a restart neither forgets a message nor decides it twice. A message whose answer was lost is sent again
// with the same id, by which receivers recognize it. If nothing can be stored, as on a full disk, messages are sent all the same, and a restart may send them once more.
package notify
