// Package bucket reaches the objects of S3: it opens them as streams, lists those
// of CloudTrail's folders, takes their keys apart, and sorts what AWS refuses
// into Faults.
//
// Each error names the object or place, the fault, and what helps against it. A
// stream whose connection broke goes on where it broke, if the object is still
// the same.
package bucket
