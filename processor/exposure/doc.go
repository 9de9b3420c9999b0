// Package exposure folds CloudTrail events about MFA devices into exposures: who was
// without MFA, since when, by whom, what happened meanwhile, and how severe it is. It
// holds the words of an [Alert], too, which every channel reads; package alerting
// decides which alerts exposures need.
//
// It is a pure core: no clock, no I/O, no configuration of its own. One set of
// events gives one result, whatever the order of arrival, the number of copies
// and the number of calls in between. [FoldSubject] folds the events of one subject,
// and [Subject.Compact] keeps a [Memory] of those that are dropped.
//
// # Glossary
//
//   - Exposure: one user's time without MFA, from the first deactivation until it
//     ends. A removal that leaves another active device is a reduced exposure,
//     which nothing has to end.
//   - Attempt: failed calls by one actor on one target.
//   - Lane: what is folded in one place: an account, or an actor's identity.
//   - Subject: the events of a lane that are folded together: those joined by user
//     names, devices and renames, or all events of an actor's lane. [Keys] tells
//     which an event joins.
//   - Planned change: an entry of the configuration that announces a removal. Its
//     alerts go to machine sinks alone.
//   - Identity: one incarnation of one user, across renames. DeleteUser ends it;
//     CreateUser begins the next one of the name.
//   - Exploited: a sign-in without MFA happened while the exposure was open.
//     Changed: credentials or rights did.
//   - Tombstone: what a dropped event proved. Compaction keeps the tombstones that
//     a later event could still need.
//   - Redelivery cutoff: the time before which CloudTrail redelivers no record.
//
// The ID of an exposure derives from its first deactivation, not from the time of a
// call.
package exposure
