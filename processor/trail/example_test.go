package trail_test

import (
	"fmt"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// The first bytes show the form of a document.
func ExampleSniff() {
	fmt.Println(trail.Sniff([]byte(`{"Records":[]}`)) == trail.FormJSON)
	fmt.Println(trail.Sniff([]byte{0x1f, 0x8b, 8}).Compressed())
	fmt.Println(trail.Sniff([]byte("hello")) == trail.FormUnknown)
	// Output:
	// true
	// true
	// true
}
