// Package s3 reads the objects that the messages of an SQS queue name.
//
// One message is one delivery, with all the objects that it names. The message is
// deleted after the handler acknowledged the delivery; a message that fails is put
// back and comes again after a wait. A message with a fault of its own (an object
// that is missing, denied or damaged) goes to the quarantine after
// Config.MaxReceives; an outage never counts against a message.
//
// Glossary: a notification is the content of a message, without the envelopes
// of SNS, EventBridge or Lambda around it. An attempt is one try at a message.
// A cause is the reason for which a message goes to the quarantine.
package s3
