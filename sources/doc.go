// Package sources declares Source, the origin of records, and holds the options,
// counters and waits that all sources share. One package below it reads each kind
// of source.
//
// Glossary: a delivery is the unit of acknowledgement. A source offers a delivery
// to the processor's handler; the handler acknowledges it by returning nil, or
// refuses it, and the source offers it again after a backoff.
//
// Contract: a source deletes a message, commits an offset or answers a sender
// only after the handler acknowledged the delivery. A record that the source can
// never read goes to the quarantine or is counted and named, so that no bad record
// delays its neighbours.
package sources
