package journal

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// formatName is what the file says it holds, with the version of how behind it.
const formatName = "mfawatch.journal/"

// upgrades take a file from the version of their index to the next one. The
// last one leads to this version's format. Version 0 was never released.
var upgrades = []func(tx *bolt.Tx) error{
	1: addTries,
	2: addJudgement,
}

// version is that of the format that is written.
var version = len(upgrades)

func format(version int) []byte { return []byte(formatName + strconv.Itoa(version)) }

// checkFormat accepts the formats that can be read or upgraded, and a store with
// nothing in it, whose version is 0.
func checkFormat(tx *bolt.Tx) (found int, err error) {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		if name, _ := tx.Cursor().First(); name != nil {
			return 0, fmt.Errorf("%w: a store of something else than mfawatch", ErrFormat)
		}
		return 0, nil
	}
	got := string(meta.Get(formatKey))
	number, ok := strings.CutPrefix(got, formatName)
	found, err = strconv.Atoi(number)
	if !ok || err != nil || found < 1 || string(format(found)) != got {
		return 0, fmt.Errorf("%w %q, want %q", ErrFormat, got, format(version))
	}
	if found > version {
		return 0, fmt.Errorf("%w %q, of a later version; this one knows %q", ErrFormat, got, format(version))
	}
	return found, nil
}

// upgrade takes the file from the version found to this one, in one transaction:
// it is either all there or not at all.
func (j *Journal) upgrade(found int) error {
	if found == version {
		return nil
	}
	err := j.db.Update(func(tx *bolt.Tx) error {
		for _, step := range upgrades[found:] {
			if err := step(tx); err != nil {
				return err
			}
		}
		return tx.Bucket(metaBucket).Put(formatKey, format(version))
	})
	if err != nil {
		return fmt.Errorf("upgrade from format %d to %d: %w", found, version, err)
	}
	j.log.Info("the journal was upgraded: an older mfawatch can no longer read it", "from", found, "to", version)
	return nil
}

// addJudgement leaves everything as it is: what was told of an account may hold
// campaigns and announcements from here on, which older programs would drop.
func addJudgement(*bolt.Tx) error { return nil }

// addTries gives every sink its bucket of tries, and the dirty marks their time.
// Alerts without the exact time can be read as they are.
func addTries(tx *bolt.Tx) error {
	sinks := tx.Bucket(sinksBucket)
	err := sinks.ForEachBucket(func(name []byte) error {
		_, err := sinks.Bucket(name).CreateBucketIfNotExists(triesBucket)
		return err
	})
	if err != nil {
		return err
	}
	marks := map[string][]byte{}
	dirty, now := tx.Bucket(dirtyBucket), exactKey(time.Now())
	err = dirty.ForEach(func(k, v []byte) error {
		if len(v) == 8 {
			marks[string(k)] = append([]byte(string(v)), now...)
		}
		return nil
	})
	for name, mark := range marks {
		if err := dirty.Put([]byte(name), mark); err != nil {
			return err
		}
	}
	return err
}
