package httpsend_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// Tests that wait for a time limit run in parallel, more than there are cores.
func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // -parallel sets it again
	goleak.VerifyTestMain(m)
}
