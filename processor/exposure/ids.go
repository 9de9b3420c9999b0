package exposure

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strconv"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// id returns a hash of the parts that keeps them apart.
func id(kind string, parts ...string) string {
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
	return id("exposure", first.Partition, first.Account, first.ID)
}

// attemptID derives the ID of an attempt, and of its only step, from its first
// event.
func attemptID(first *trail.Event) string {
	return id("attempt", first.Partition, first.Account, first.ID)
}

// campaignID derives a campaign's ID from its first deactivation.
func campaignID(first *trail.Event) string {
	return id("campaign", first.Partition, first.Account, first.ID)
}

// deadlineID derives the ID of an escalation delay that passed.
func deadlineID(exposure string, number int) string {
	return id("deadline", exposure, strconv.Itoa(number))
}

// stepID derives a step's ID from its cause. The round is 0, unless the
// exposure was alerted as resolved and turned out to be open: then it is the
// number of times.
func stepID(exposure string, s Step, cause string, round int) string {
	if round == 0 {
		return id("step", exposure, string(s), cause)
	}
	return id("step", exposure, string(s), cause, strconv.Itoa(round))
}
