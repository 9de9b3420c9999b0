// Package file appends alerts to a file, one line of JSON each, synced to disk
// before Send returns. A line can be there twice, with the same id, after a crash or
// a failed write.
package file
