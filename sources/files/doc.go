// Package files reads records from files, folders, standard input and named
// pipes, once or as they grow.
//
// A file that is read once is one delivery. Of a stream, or of a followed file,
// the documents available are one delivery. Confirmed speaks rsyslog's protocol,
// which answers each line.
//
// Glossary: a document is a line, or a JSON value over several lines. A poll lists
// the followed paths; fsnotify only triggers an earlier poll, so a missed event
// loses nothing. An offset is how far a file was acknowledged; it is stored over
// restarts.
package files
