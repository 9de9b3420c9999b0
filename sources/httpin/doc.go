// Package httpin takes records that are posted over HTTP: by Amazon Data
// Firehose, EventBridge, Vector, Fluent Bit and the like.
//
// One request is one delivery. It is answered 200 after its records are durable,
// 4xx if it can never be taken, and 503 if the sender is to send it again.
package httpin
