// Package exposure folds CloudTrail events about MFA devices into exposures and
// decides which alerts they need.
//
// It is a pure core: no clock, no I/O, no configuration of its own. One set of
// events gives one result, whatever the order of arrival, the number of copies
// and the number of calls in between. [Fold] shows what happened; [Notify] decides
// which alerts one subject needs now.
//
// # Glossary
//
//   - Exposure: one user's time without MFA, from the first deactivation until it
//     ends. A removal that leaves another active device is a reduced exposure,
//     which nothing has to end.
//   - Alert: one immutable step of an exposure, an attempt or a campaign.
//   - Attempt: failed calls by one actor on one target.
//   - Campaign: the exposures of several users by one actor, alerted together.
//   - Lane: what is folded in one place: an account, or an actor's identity.
//   - Subject: the events of a lane that are folded together: those joined by user
//     names, devices and renames, or all events of an actor's lane. [Keys] tells
//     which an event joins.
//   - Derived event: an event that the fold of one subject adds to another. A
//     sighting tells the actor's lane of an exposure, a membership tells the
//     account's lane which campaign covers it.
//   - Planned change: an entry of the configuration that announces a removal. Its
//     alerts go to machine sinks alone.
//   - Identity: one incarnation of one user, across renames. DeleteUser ends it;
//     CreateUser begins the next one of the name.
//   - Exploited: a sign-in without MFA happened while the exposure was open.
//     Changed: credentials or rights did.
//   - Deadline: an escalation delay that passed, stored as an event.
//   - Tombstone: what a dropped event proved. Compaction keeps the tombstones that
//     a later event could still need.
//   - Redelivery cutoff: the time before which CloudTrail redelivers no record.
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
package exposure
