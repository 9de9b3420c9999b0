// Package service is the running pipeline. New builds it from a configuration, Run runs
// it until its context is done, Reload changes what differs while it runs, and Close
// closes what is open, the journal last. It serves nothing over HTTP: see package web.
package service
