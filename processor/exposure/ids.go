package exposure

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"
	"strconv"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// id is a hash of its parts, of which none can run into the next.
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
	io.WriteString(h, part)
}

// exposureID names an exposure by its first deactivation.
func exposureID(first *trail.Event) string {
	return id("exposure", first.Partition, first.Account, first.ID)
}

// attemptID names an attempt, and its one step, by its first event.
func attemptID(first *trail.Event) string {
	return id("attempt", first.Partition, first.Account, first.ID)
}

// waveID names a campaign by the first deactivation in it.
func waveID(first *trail.Event) string {
	return id("campaign", first.Partition, first.Account, first.ID)
}

// deadlineID names an escalation delay that passed.
func deadlineID(exposure string, number int) string {
	return id("deadline", exposure, strconv.Itoa(number))
}

// stepID names a step by what caused it. The round is 0, unless an exposure
// that was told as resolved turned out to be open: then it is how often.
func stepID(exposure string, s Step, cause string, round int) string {
	if round == 0 {
		return id("step", exposure, string(s), cause)
	}
	return id("step", exposure, string(s), cause, strconv.Itoa(round))
}
