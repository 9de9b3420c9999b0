// Package demo is the story that the demo tells: a bundled trail, how it is published
// faster than it happened, and the words around it.
package demo
