package braces

import "golang.org/x/sys/cpu"

// Fast reports whether the processor has the instructions that Find needs.
var Fast = cpu.X86.HasAVX2 && cpu.X86.HasPCLMULQDQ && cpu.X86.HasPOPCNT

// find is Find for n whole blocks from *w on, 1 or more, and the byte behind them.
//
//go:noescape
func find(w *byte, n int, blocks *Block, s *State) int
