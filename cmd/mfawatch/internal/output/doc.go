// Package output writes what commands print: tables, fields, numbers, JSON lines and a
// progress bar. Text of others is made fit for a terminal.
package output
