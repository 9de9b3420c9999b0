// Package dryrun computes what the service would have done. Run steps a clock from
// one event or deadline to the next through the service's own fold, and Simulate
// asks the queue of each sink which alerts it would have been sent, and when. Sends
// take no time, and rates and groups are left out.
package dryrun
