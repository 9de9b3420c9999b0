// Package output writes the tables, fields, numbers, JSON lines and the progress bar
// of commands. It removes control characters from untrusted text.
package output
