// Package dispatch sends the journal's alerts to one sink: a [Worker] with its
// queue, retries, circuit breaker, groups and delivery records. package route
// decides on the order; this package does the I/O.
//
// # Glossary
//
//   - Lane: the queue of one exposure. At most one attempt of it runs.
//   - Attempt: one send of an alert, a batch, or a group.
//   - Batch: several alerts in one call of a sinks.BatchSender, each on its own.
//   - Group: several alerts in one message of a sinks.GroupSender.
//   - Back off: to wait before an attempt is made again.
//   - Evict: to forget a lane that is empty and recorded.
//   - Circuit: open while the channel is down or misconfigured. Then one alert is
//     tried at a time, with longer and longer waits.
//   - Delivery record: what the journal keeps of the end of an alert, or of a
//     failed attempt.
//   - Dead letter: an alert that was given up, kept in the journal with its cause.
//   - Sick: an alert that fails by itself, while others are delivered.
//   - Withheld: names and texts of the record, for a channel that refuses them.
//
// # Contract
//
// An alert is delivered at least once, with the same ID each time: a crash between
// a send and its record sends it again. Within an exposure, alerts are sent in the
// order of the journal; an alert that fails delays only its exposure. Over
// exposures, critical alerts go first, then the worst of the first 65,536 that are
// pending, then the oldest, except that an exposure of many alerts lets others that
// are as severe go first after each 32, if they are at most 65,536 alerts newer.
// Critical alerts are neither grouped nor held by the rate, and human sinks have sends
// in reserve for them, as many as Concurrency. While the circuit is open, they and
// those of high severity are tried once each without waiting for the next probe, at
// most one a second, and no group is sent: its alerts are tried one by one.
//
// A channel that throttles is sent nothing new for as long as it asked, except by
// a restart, and except for new critical alerts after a minute, one a minute; sends
// that are running are not stopped. If the channel accepts one, only the alerts that
// were throttled wait. The wait before a retry is random, with an upper bound and no
// lower one.
package dispatch
