// Package safetext makes text that an attacker may have chosen fit to show: in one
// line, without invisible characters, within a bound, and without anything that a
// mail or chat client turns into a link. Every channel for people uses it; none
// escapes less than its own format needs besides.
package safetext
