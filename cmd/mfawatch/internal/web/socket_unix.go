//go:build unix

package web

import "syscall"

// ownerOnly gives files and sockets that the process makes to their owner alone,
// until it is undone. A mode that is set after a socket exists would leave a gap.
func ownerOnly() (undo func()) {
	before := syscall.Umask(0o177)
	return func() { syscall.Umask(before) }
}
