// Package braces finds the braces of JSON that stand outside of strings, 64 bytes
// at a time, with the vector instructions of amd64.
package braces

// Size is how many bytes a block has.
const Size = 64

// A Block says where in 64 bytes braces stand, the first byte in the lowest bit.
type Block struct{ Opens, Closes uint64 }

// A State is what is known of the bytes before a block.
type State struct {
	_ uint64 // for find: all ones in a string
	_ uint64 // for find: 1 behind a backslash that escapes

	// Depth is how many braces are open, Least and Most between which numbers it
	// stays, in whatever order those of a block come.
	Depth, Least, Most int
}

// Find fills blocks with the braces in w, as far as w has whole blocks and a byte
// behind them, and returns how many. With the zero value of the rest of s, w
// begins outside of strings; afterwards s is the state behind the blocks.
//
// Find stops before a block that needs a closer look, with a brace in a string,
// a line's end, a backslash outside of strings, or a brace behind which another byte
// comes than a quote or a closing brace if it opens, and a comma, a bracket or
// another one if it closes; or where {} would be torn apart. It may not go on
// behind such a block.
func Find(w []byte, blocks []Block, s *State) int {
	n := min((len(w)-1)/Size, len(blocks))
	if !Fast || n <= 0 {
		return 0
	}
	return find(&w[0], n, &blocks[0], s)
}
