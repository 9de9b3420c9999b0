// Package dryrun tells what the service would have done. Run steps a clock from one
// event or deadline to the next through the service's own fold, and Simulate decides for
// each Alert which sinks would have been sent it, and when.
package dryrun
