// Package vector searches CloudTrail's JSON with the vector instructions of amd64,
// 64 bytes at a time. Fast is false on a processor without
// them: the caller has to search by other means.
package vector

// Size is how many bytes a block has.
const Size = 64

// Pair returns where in w a tN or a \u begins, the first of them, or len(w)-1 if
// there is none: the first makes an eventName likely, the second another spelling
// of it.
func Pair(w []byte) int {
	i, last := 0, len(w)-1
	if n := last / Size; Fast && n > 0 {
		if i = pair(&w[0], n); i < n*Size {
			return i
		}
	}
	for ; i < last; i++ {
		if w[i] == 't' && w[i+1] == 'N' || w[i] == '\\' && w[i+1] == 'u' {
			return i
		}
	}
	return last
}

// A Block says where in 64 bytes braces stand, the first byte in the lowest bit.
type Block struct{ Opens, Closes uint64 }

// A State describes the bytes before a block.
type State struct {
	_ uint64 // for braces: all ones in a string
	_ uint64 // for braces: 1 behind a backslash that escapes

	// Depth is how many braces are open, Least and Most between which numbers it
	// stays, in whatever order those of a block come.
	Depth, Least, Most int
}

// Braces fills blocks with the braces in w, as far as w has whole blocks and a byte
// behind them, and returns how many. With the zero value of the rest of s, w
// begins outside of strings; afterwards s is the state behind the blocks.
//
// Braces stops before a block that needs a closer look, with a brace in a string,
// a line's end, a backslash outside of strings, or a brace behind which another byte
// comes than a quote or a closing brace if it opens, and a comma, a bracket or
// another one if it closes; or where {} would be torn apart. It may not go on
// behind such a block.
func Braces(w []byte, blocks []Block, s *State) int {
	n := min((len(w)-1)/Size, len(blocks))
	if !Fast || n <= 0 {
		return 0
	}
	return braces(&w[0], n, &blocks[0], s)
}
