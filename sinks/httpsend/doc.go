// Package httpsend sends one bounded HTTP request for a channel, and gives the
// verdict on its answer. It follows no redirect, reads a bounded reply, refuses
// link-local addresses unless allowed, and keeps URLs and secrets out of errors. It
// never retries: the dispatcher does.
package httpsend
