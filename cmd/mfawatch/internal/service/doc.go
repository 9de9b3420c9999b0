// Package service is the running pipeline: it builds the journal, the processor,
// the sources and the sinks of a configuration, starts and supervises them,
// reloads, and stops them in order. A task runs in the background; a supervisor
// restarts it when it fails.
package service
