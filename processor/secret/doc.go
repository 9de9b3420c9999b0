// Package secret reads secrets and certificates from text or files, and keeps them out
// of logs, errors and printed configurations. Files are read at each use, so that a
// secret can change under its name.
package secret
