//go:build !amd64

package braces

// Fast reports whether the processor has the instructions that Find uses.
const Fast = false

func find(*byte, int, *Block, *State) int { return 0 }
