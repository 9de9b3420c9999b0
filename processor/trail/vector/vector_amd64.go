package vector

import "golang.org/x/sys/cpu"

// Fast reports whether the processor has the instructions.
var Fast = cpu.X86.HasAVX2 && cpu.X86.HasPCLMULQDQ && cpu.X86.HasPOPCNT

// braces is Braces for n whole blocks from *w on, 1 or more, and the byte behind.
//
//go:noescape
func braces(w *byte, n int, blocks *Block, s *State) int

// pair is Pair for n whole blocks from *w on, 1 or more, and the byte behind.
//
//go:noescape
func pair(w *byte, n int) int
