// Package ticket holds the parts that channels with a ticket or an incident for each
// exposure share: the key by which the ticket is found again, the text of an alert
// with the mark that shows that it was sent, choices by severity, and one request to
// the site. It keeps no state and never retries.
package ticket
