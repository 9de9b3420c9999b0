// Package bucket opens objects of S3 as streams, lists the folders of CloudTrail,
// parses their keys, and sorts errors of AWS into Faults.
//
// Each error names the object or folder, the fault, and its remedy. A stream whose
// connection broke resumes there if the object is unchanged.
//
// Glossary: a Fault is a class of errors by remedy. Wanted is the filter of a
// listing. A span is a range of keys.
package bucket
