/*
Package journal is the durable log between a record that was read and an alert
that was delivered. One file, a bbolt store, holds the events, the exposures that
were folded from them, the alerts, and how far each sink has come. A process that
is killed at any point goes on from that file: no event is lost, and an alert is
sent again only with the same ID.

# Glossary

  - event: a watched CloudTrail record, or an event derived from one, as
    trail.Event; known by lane, ID and name
  - subject: the events of a lane that are folded together; see exposure.Keys
  - join: to make two subjects one, since an event belongs to both
  - fold: the pure function from all events of one subject to its exposures
  - due: when a subject has to be folded again although no event came
  - refold: a fold without a new event, because the policy changed
  - throttle: the pause between folds, so that a burst is folded in few steps
  - gather: the pause between commits to a change log, so that a burst shares them
  - alert: one step of an exposure; numbered in the order of journalling
  - lane: an account, or an actor's identity. Of a sink: the alerts of one
    exposure, which it gets in order
  - cursor, of a sink: the first alert that the sink may not have acked
  - cursor, of a source: a value that the source wants back after a restart
  - ack: the record that a sink needs an alert no more; see Outcome
  - delivery: what became of an alert at a sink, kept as long as the alert
  - story: the alerts of one exposure with their deliveries
  - dead letter: an alert that a sink did not get and is not sent any more
  - requeue: to append a dead letter as a new number for one sink
  - quarantine: records that could not be read, kept for an operator
  - change log: the durable copy of a journal outside its file, which is then a cache
  - compactor: Compact, which removes what is older than the retention

# The life of an alert

The caller drives an alert in these steps. Each that writes returns when its
transaction is on disk, so a crash between two steps repeats the second.

 1. A source delivers. Append makes the events durable, and only then the source
    acks its delivery. An event that is known already is skipped, so a delivery
    may be offered again.

 2. Appended wakes the processor. Fold calls the Folder for each subject that is
    dirty or due, and for those that their derived events reach, and stores
    state, alerts, deadlines, derived events and the next due time in one
    transaction. It then calls back with the alerts that are new, and closes the
    channel of Alerted. An alert whose ID is in the journal is not added again.

 3. Alerted wakes the dispatcher of each sink. Pending returns the alerts that
    the sink has not acked, Take the alert itself with the sink's reference for
    the exposure. ErrAcked from Take means that another call acked it meanwhile.

 4. The dispatcher sends. A crash here sends the alert again, with the same ID.

 5. Done acks the alert with its Outcome and keeps the reference. Failed records
    an attempt that is going to be repeated. Bury makes the alert a dead letter.
    The cursor moves over all alerts that are acked without a gap.

 6. Compact removes the alert when each registered sink has acked it and the
    retention is over. A dead letter stays until DropDead or Requeue.

# Contract

Durability: when a method returns nil, its writes are on disk. After an error
nothing was written, or retrying is a no-op: an error does not say which.

Order: alerts have ascending numbers, those of one subject in the order in which
the Folder returned them, those of one transaction in order of time. Pending
returns them in that order. Requeue keeps the order within an exposure.

Change log: a journal with a ChangeLog commits each transaction to it first, and
then to its file, which is a cache: one that is missing, damaged, or of another
format is made again. After a commit of unknown outcome every method fails with
store.ErrLost; closing the journal and opening it restores it.

Callers: one process has the file open. The processor calls Append, Quarantine,
Fold and Compact; a source Offsets and KeepOffsets; a dispatcher Pending, Take,
Done, Failed and Bury for its own sink; commands and pages the rest. Register
precedes the first Fold.

Concurrency: all methods are safe for concurrent use. Writers that come while a
transaction runs share the next one, and so one fsync. Readers wait for no
commit. Callbacks run without locks, except that one Fold runs at a time.

Damage: Open reads the whole file and refuses one that was changed, with
store.ErrDamaged: each page is used once or free, keys are in order, each seal and
each tally is right, and due times, keys, cursors and numbers agree with each other. It
never changes a file that it refuses, and never starts a new journal in the place
of a damaged one. While the file is open, each value that is read is checked, and
each commit makes sure that the path still leads to the open file, or fails with
store.ErrReplaced.
*/
package journal
