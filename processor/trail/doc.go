// Package trail reads CloudTrail as it comes over the wire, and turns its
// watched records into events.
//
// Words:
//
//   - A document is one JSON value, or several in a row. An object or a message
//     holds one, compressed or not.
//   - An envelope is a pipeline's wrapping around records: a Records list, an
//     SNS message, a CloudWatch Logs batch, a string, base64.
//   - A record is an object with CloudTrail's own members. Its content was
//     written by its caller, and is never a record, an envelope or an event.
//   - A mapped record is one whose members a pipeline has renamed, to those of ECS
//     or OCSF. It is opaque as a record is; the record as it was, if kept, is a
//     document, and ECS is put together from its members otherwise.
//   - A watched name is an eventName that may matter; an Event is a record with
//     one, parsed.
//   - A finding is a part of a document that waits for proof: of the objects
//     around it none is a record.
//
// A document goes through three steps. The sweep searches it for eventName with
// vector instructions: most documents end there, without an allocation. Compressed
// ones are swept as they are inflated, while each piece is in the processor's cache;
// that is skimming, and keeps nothing of a document. From its last position a walk
// goes forward to a watched name, and keeps the open objects. An object is settled as record or wrapper by its
// own members, at the latest when it closes, or after 1 MiB, which no record
// reaches. A proven record is parsed. Strings and base64 that hold records are
// documents of their own, to which the same applies.
//
// A Scanner promises:
//
//   - Every watched record is found once, wherever it stands, and none is found
//     in what a caller wrote, whatever its size, nesting, order and escapes.
//   - The work is linear in the input: a sweep, and at most one walk for names,
//     one for base64, and one reading of the members of objects with watched names.
//     A document that skimming shows to need more is inflated and swept once more,
//     and the next one is walked as it is inflated.
//   - A record that does not match costs no allocation. Memory is bounded by the
//     window and by the compressed input that skimming keeps, never by the input.
//   - Input that cannot be read goes to Visitor.Unreadable with a Reason, and
//     never stops its neighbours: in lines, damage ends with its line; elsewhere
//     an object that is not closed is reported, with the names that it hides.
package trail
