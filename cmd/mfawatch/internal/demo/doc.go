// Package demo is the story of the demo: a bundled trail, how it is published
// faster than it happened, and the words around it.
package demo
