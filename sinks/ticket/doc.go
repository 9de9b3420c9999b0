// Package ticket holds what ServiceNow and Zendesk share: the key by which the
// ticket of an exposure is found again, the text of an alert with the mark that
// shows that it was sent, choices by severity, and one request to the site. It keeps
// no state and never retries.
package ticket
