package message_test

import (
	"fmt"

	"github.com/mfawatch/mfawatch/sinks/message"
)

func ExampleWording_Message() {
	a := message.SampleAlert()
	a.Actor.UserAgent = "see www.evil.com"
	m := message.Wording{Page: "https://mfawatch.example.net"}.Message(a)
	fmt.Println(m.Short)
	fmt.Println(m.Advice)
	for _, f := range m.Facts[:2] {
		fmt.Println(f.Name+":", f.Value)
	}
	for _, f := range m.Facts {
		if f.Name == "With" {
			fmt.Println(f.Name+":", f.Value)
		}
	}
	// Output:
	// HIGH: Test: MFA removed from mfawatch-test in 000000000000 by tester
	// Nothing needs to be done.
	// User: mfawatch-test
	// Account: 000000000000
	// With: see www[.]evil[.]com
}
