// Package s3 reads the objects that the messages of an SQS queue name.
//
// One message is one delivery, however many objects it names. The message is
// deleted after the handler took all of them; a message that fails comes again
// after a wait. A message whose fault is its own (an object that is missing,
// denied or damaged) goes to the quarantine after Config.MaxReceives; an outage
// never counts against a message.
package s3
