// Package route decides who is notified of an alert, when, and through which
// recipients. It is a pure core: every decision is a function of alerts,
// configuration and time.
//
// # Glossary
//
//   - Route: a matcher with the human sinks that are notified of what it matches.
//   - Machine sink: gets every alert. Human sink: a Reader or a Pager.
//   - Mute times: hours in which human sinks are not notified.
//   - Lane: the queue of one exposure at one sink, in the order of the journal.
//   - Superseded: a later alert of the lane makes it outdated for people.
//   - Suppressed: the routes keep it from the sink.
//   - Group window: the time in which alerts of one account or actor share a
//     message after the first.
//   - Urgent: a lane that holds a critical alert. It waits for no group and no
//     rate.
//
// # Contract
//
// [Router] decides on one alert at one sink, [Sink.Next] on the head of a lane,
// and [Queue] on the order of all lanes of a sink. The caller of a Queue adds the
// alerts of the journal in their order, and loops:
//
//  1. Call [Queue.Next] with the time.
//  2. On Send, deliver the items, AFTER that record the delivery, and report it
//     with [Queue.Done], [Queue.GiveUp], [Queue.Retry] or [Queue.Close].
//  3. On Drop, record that the sink is done with the alert, and why.
//  4. On Hold, wait until the time, or for the next alert or the end of a send.
//
// A caller that crashes loses no decision: from the same journal, a new Queue
// comes to the same ones, except that group windows begin again.
package route
