// Package files reads records from files, folders, standard input and named
// pipes, once or as they grow.
//
// A file that is read once is one delivery. Of a stream, or a file that is
// followed, the documents that have come are one delivery; a document is a line,
// or a JSON value that spans several. Confirmed speaks rsyslog's protocol, which
// answers each line.
package files
