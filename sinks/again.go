package sinks

import "context"

// perhapsKey marks the context of a Send.
type perhapsKey struct{}

// WithPerhapsArrived says of a Send that an attempt before it may have arrived.
func WithPerhapsArrived(ctx context.Context) context.Context {
	return context.WithValue(ctx, perhapsKey{}, true)
}

// PerhapsArrived reports whether an attempt at the same alert before this one
// may have arrived: its answer was lost, or the program ended before it was
// noted. A channel without a key against duplicates looks first, or says that
// this may be one.
func PerhapsArrived(ctx context.Context) bool {
	is, _ := ctx.Value(perhapsKey{}).(bool)
	return is
}
