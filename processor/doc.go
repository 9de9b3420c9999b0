// Package processor turns deliveries into journalled events and journalled
// events into alerts.
//
// A source calls Handle with a Delivery. Handle scans its parts, appends the
// events it finds to the journal, and returns nil when they are durable: the
// return value is the acknowledgement. Run folds the accounts with new events,
// and those that are due, into exposures, and journals the alerts that follow.
// Sinks read the alerts from the journal.
//
// Glossary: a delivery is the unit of acknowledgement; a part is one object or
// message value in it; unreadable input is counted and logged, and quarantined
// if it names a watched event; the policy decides severity, grace and
// escalation; a planned change is one that was announced beforehand.
//
// Handle and SetPolicy (Judge) are safe for concurrent use. Run is called once.
package processor
