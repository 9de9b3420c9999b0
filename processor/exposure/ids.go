package exposure

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// ID returns a hash of the parts that keeps them apart.
func ID(kind string, parts ...string) string {
	h := sha256.New()
	write(h, kind)
	for _, p := range parts {
		write(h, p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func write(h hash.Hash, part string) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(part)))
	h.Write(n[:])
	h.Write([]byte(part))
}

// exposureID derives an exposure's ID from its first deactivation.
func exposureID(first *trail.Event) string {
	return ID("exposure", first.Partition, first.Account, first.ID)
}
