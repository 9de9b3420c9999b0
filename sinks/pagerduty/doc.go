// Package pagerduty opens, raises and resolves an incident for each exposure with
// the Events API v2. The exposure is the deduplication key, so that an event that is
// sent again changes nothing. A second service can be paged for escalations.
package pagerduty
