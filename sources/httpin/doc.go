// Package httpin accepts records over HTTP POST, from Amazon Data Firehose,
// EventBridge, Vector, Fluent Bit and the like.
//
// One request is one delivery. The answer is 200 after its records are durable,
// 4xx for a permanent refusal, and 503 if the sender has to retry.
//
// Glossary: a sender posts records. A stranger is a connection without a token so
// far. The memory budget is shared by all requests; a request reserves its part of
// it after its sender was authenticated.
package httpin
