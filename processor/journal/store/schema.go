package store

import (
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// The tables of the store itself.
const (
	StateTable = "state"   // idKey → the file's identity; the rest is the owner's
	metaTable  = "meta"    // formatKey → format, the only value without a checksum; positionKey
	tallyTable = "tallies" // path of a table → its tally
)

var (
	formatKey   = []byte("format")
	idKey       = []byte("id")       // random, distinguishes this file from every other
	positionKey = []byte("position") // how far the file follows the change log
)

// tables returns the names at the top of the file.
func (c Schema) tables() []string {
	return slices.Concat([]string{metaTable, tallyTable, StateTable}, c.Tables, slices.Sorted(maps.Keys(c.Groups)))
}

// HasMember reports whether a group has the member.
func (t *Tx) HasMember(group, name string) bool {
	return t.Bucket([]byte(group)).Bucket([]byte(name)) != nil
}

// Members returns the members of a group, sorted.
func (t *Tx) Members(group string) (names []string, err error) {
	err = t.Bucket([]byte(group)).ForEachBucket(func(name []byte) error {
		names = append(names, string(name))
		return nil
	})
	return names, err
}

// MakeMember makes a member of a group with its tables, those that are not there.
func (t *Tx) MakeMember(group, name string, tables ...string) error {
	return makeMember(t.Tx, group, name, tables)
}

func makeMember(t *bolt.Tx, group, name string, tables []string) error {
	b, err := t.Bucket([]byte(group)).CreateBucketIfNotExists([]byte(name))
	for _, table := range tables {
		if err == nil {
			_, err = b.CreateBucketIfNotExists([]byte(table))
		}
	}
	return err
}
