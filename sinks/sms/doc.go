// Package sms sends alerts as text messages of one part, through AWS (SNS or End
// User Messaging) or Twilio. No provider recognizes a copy: Twilio is asked for what
// it sent, and a message of AWS is marked as perhaps a copy. The reference holds the
// numbers that were reached.
package sms
