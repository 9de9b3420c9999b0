//go:build !unix

package web

// ownerOnly does nothing: a socket has no mode.
func ownerOnly() (undo func()) { return func() {} }
