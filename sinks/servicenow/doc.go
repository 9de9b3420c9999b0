// Package servicenow keeps an incident for each exposure, or an alert of Event
// Management. It finds the incident again by its correlation_id, so that an incident
// is opened once, and leaves one that a person resolved or closed alone. The
// reference holds its sys_id and number.
package servicenow
