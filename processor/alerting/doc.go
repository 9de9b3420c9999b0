// Package alerting decides which alerts exposures need, and words them: when to alert,
// what waits, what a campaign or a planned change stands in for, which escalation is
// due, and what is kept. Package exposure shows what happened.
//
// It is as pure as that: no clock, no I/O, no configuration of its own. [Notify] decides
// which alerts one subject needs now; [Fold] returns all that a set of events shows.
//
// # Glossary
//
//   - Alert: one immutable step of an exposure, an attempt or a campaign.
//   - Campaign: the exposures of several users by one actor, alerted together.
//   - Derived event: an event that the fold of one subject adds to another. A
//     sighting tells the actor's lane of an exposure, a membership tells the
//     account's lane which campaign covers it.
//   - Deadline: an escalation delay that passed, stored as an event.
//
// # Contract
//
// For each subject, the caller takes four steps in this order:
//
//  1. Append new events to the subject's stored events, each event ID once. Where
//     an event joins two subjects, move the events and call [State.Merge].
//  2. Call [Notify] with all stored events, the stored [State] and the time. Calls
//     for one subject are serial. [Settlement] repeats the call with what other
//     subjects derive.
//  3. BEFORE sending anything, store the [Outcome] in one transaction: State,
//     Deadlines (as events of the subject), Derived (as events of theirs), Alerts
//     (as the queue to send), the deletion of Drop, and Next.
//  4. AFTER the transaction is durable, send the Alerts in their order, and call
//     Notify again at Next or when a new event arrives, whichever is earlier.
//
// A crash before step 3 repeats step 2 with the same result. A crash after it
// sends the stored Alerts again under their IDs, which receivers use to drop
// duplicates. A caller that sends before it stores may send an alert whose
// exposure the next call reports under other circumstances.
//
// The ID of an exposure derives from its first deactivation, and the ID of a step
// from the exposure, the step and its cause; neither depends on the time of a
// call. An exposure that was alerted keeps its ID, even if a late record shows
// that it began earlier. Alerts are never withdrawn, only resolved.
package alerting
