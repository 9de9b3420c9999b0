// Package message puts an alert into words for people, and into JSON for programs. A
// Message is a pure function of the alert and the Wording; its text is clean,
// bounded and without links that a record chose. Templates of the operator replace
// parts of it.
package message
