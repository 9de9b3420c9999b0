//go:build !amd64

package vector

// Fast reports whether the processor has the instructions.
const Fast = false

func braces(*byte, int, *Block, *State) int { return 0 }

func pair(*byte, int) int { return 0 }
