// Package email sends alerts as mail over SMTP, in text and HTML, to each recipient
// by itself. The mails of an exposure are one conversation, and a mail that is sent
// again has the same Message-ID. The reference holds the recipients that a mail
// reached.
package email
