// Package processor turns deliveries into journalled events, and journalled
// events into alerts.
//
// A source calls Handle with each Delivery and acknowledges it when Handle
// returns nil. Run folds the journalled events into exposures and journals their
// alerts, which the sinks' workers read from the journal.
//
// Glossary: a delivery is the unit of acknowledgement, a part one object or
// message value of it. The quarantine holds watched records and messages that
// could not be read. A planned change was agreed to beforehand: it is upcoming,
// active, used, or unused once it has expired.
package processor
