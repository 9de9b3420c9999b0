// Package batch reads files and buckets once: Reading finds the events in them, for
// scan and explain, Feed hands them to a pipeline, for replay, and a Checkpoint lets an
// interrupted scan go on.
package batch
