// Package stdout prints alerts to standard output, as lines of JSON or as text for a
// terminal.
package stdout
