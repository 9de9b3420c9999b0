//go:build libdeflate && cgo

package inflate_test

import (
	"testing"

	"github.com/mfawatch/mfawatch/processor/trail/inflate/internal/libdeflate"
)

func init() {
	tagged = append(tagged, func(largest int) contender {
		decoder, buffer := libdeflate.New(), make([]byte, largest+1)
		return contender{"libdeflate", func(b *testing.B, object []byte) {
			if decoder.Gunzip(buffer, object) < 0 {
				b.Fatal("damaged")
			}
		}}
	})
}
