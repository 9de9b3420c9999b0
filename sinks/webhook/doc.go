// Package webhook posts each alert as JSON to a URL, signed as Standard Webhooks
// specifies. The ID of the alert is the ID of the message, so that the receiver
// recognizes a copy.
package webhook
