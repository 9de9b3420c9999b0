// Package web serves a running Service over HTTP: metrics, health, pages, and the API by
// which dead letters and the quarantine are managed. Admin manages them in a journal;
// Client does the same at a service that runs. Pages of other sites get nothing: see
// guarded.
package web
