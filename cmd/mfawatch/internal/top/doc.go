// Package top shows a running service in a terminal, once or live: its health, open
// exposures, sinks and sources, in as many lines as there is room for. It draws text
// that an attacker may have chosen without control characters.
package top
