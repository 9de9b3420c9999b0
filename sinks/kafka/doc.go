// Package kafka writes each alert as a record of a topic, keyed by account and user,
// and returns when all in-sync replicas have it. A record can be there twice after a
// lost answer; its id is the same.
package kafka
