// Package web serves a running Service over HTTP: metrics, health, pages, and the
// admin API for dead letters and the quarantine.
//
// An Admin manages them in a journal; a Client calls the API of a running service.
// Browsers are kept out of the API, and foreign Host headers out of everything but
// /healthz while the server listens on loopback: see guarded and ownHostsOnly.
package web
