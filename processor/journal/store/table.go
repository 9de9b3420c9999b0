package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// Tx is a transaction of the store. It adds up its changes of each table.
type Tx struct {
	*bolt.Tx
	Messages []any          // for the change log
	Events   []*trail.Event // for the change log

	changes map[string]*tally
	writes  map[string][]byte // for the change log, by WriteKey; nil: there is none
}

// NewTx returns a transaction whose changes Flush sums up.
func NewTx(t *bolt.Tx) *Tx { return &Tx{Tx: t, changes: map[string]*tally{}} }

// A Table is a bucket that is proof against damage: each value carries a
// checksum of the table's path, the key and the value, so that a value changed
// or moved elsewhere is noticed, and a tally of the table notices an entry that
// is missing, or an old one that came back.
type Table struct {
	b      *bolt.Bucket
	path   string
	seed   uint32            // checksum of the path
	change *tally            // by this transaction
	writes map[string][]byte // of the transaction
}

// Table returns the table at a path, which exists.
func (t *Tx) Table(path ...string) Table {
	b := t.Bucket([]byte(path[0]))
	for _, name := range path[1:] {
		b = b.Bucket([]byte(name))
	}
	p := strings.Join(path, "\x00")
	change := t.changes[p]
	if change == nil {
		change = new(tally)
		t.changes[p] = change
	}
	return Table{b, p, seedOf(p), change, t.writes}
}

// Put writes an entry.
func (t Table) Put(key, value []byte) error {
	old, sealed := t.b.Get(key), seal(t.seed, key, value)
	if bytes.Equal(old, sealed) {
		return nil
	}
	t.change.remove(old)
	t.change.add(sealed)
	t.write(key, sealed)
	return t.b.Put(key, sealed)
}

// Append writes an entry whose key follows all others: it fills pages that later
// entries never split.
func (t Table) Append(key, value []byte) error {
	t.b.FillPercent = 1
	return t.Put(key, value)
}

// Delete removes an entry, if it is there.
func (t Table) Delete(key []byte) error {
	old := t.b.Get(key)
	if old == nil {
		return nil
	}
	t.change.remove(old)
	t.write(key, nil)
	return t.b.Delete(key)
}

// write records a change for the change log.
func (t Table) write(key, sealed []byte) {
	if t.writes != nil {
		t.writes[WriteKey(t.path, key)] = sealed
	}
}

// Has reports whether there is an entry.
func (t Table) Has(key []byte) bool { return t.b.Get(key) != nil }

// Get returns the value, nil if there is none. It is valid until the
// transaction ends or changes the table.
func (t Table) Get(key []byte) ([]byte, error) {
	sealed := t.b.Get(key)
	if sealed == nil {
		return nil, nil
	}
	return unseal(t.seed, key, sealed)
}

// Reader returns Get for many keys. It is valid until the transaction ends or
// changes the table.
func (t Table) Reader() func(key []byte) ([]byte, error) {
	c := t.b.Cursor()
	return func(key []byte) ([]byte, error) {
		k, sealed := c.Seek(key)
		if !bytes.Equal(k, key) {
			return nil, nil
		}
		return unseal(t.seed, key, sealed)
	}
}

// Before returns the last entry below a key, nil if there is none.
func (t Table) Before(below []byte) (key, value []byte, err error) {
	c := t.b.Cursor()
	var sealed []byte
	if key, _ = c.Seek(below); key == nil {
		key, sealed = c.Last()
	} else {
		key, sealed = c.Prev()
	}
	if key == nil {
		return nil, nil, nil
	}
	value, err = unseal(t.seed, key, sealed)
	return key, value, err
}

// Number returns a value of eight bytes, 0 if there is none.
func (t Table) Number(key []byte) (uint64, error) {
	v, err := t.Get(key)
	switch {
	case err != nil || v == nil:
		return 0, err
	case len(v) != 8:
		return 0, Damaged(key)
	}
	return binary.BigEndian.Uint64(v), nil
}

// Increment adds 1 to a value of eight bytes.
func (t Table) Increment(key []byte) (uint64, error) {
	n, err := t.Number(key)
	if err != nil {
		return 0, err
	}
	return n + 1, t.Put(key, NumberKey(n+1))
}

// Ascend yields the entries from a key on, in order. At a damaged one it stops
// and sets err. The loop must not change the table.
func (t Table) Ascend(err *error, from []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		c := t.b.Cursor()
		for k, sealed := c.Seek(from); k != nil; k, sealed = c.Next() {
			v, damage := unseal(t.seed, k, sealed)
			if damage != nil {
				*err = damage
				return
			}
			if !yield(k, v) {
				return
			}
		}
	}
}

// Descend yields the entries below a key, nil: all, from the last on, as Ascend does.
func (t Table) Descend(err *error, below []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		c := t.b.Cursor()
		k, sealed := c.Last()
		if below != nil && bytes.Compare(k, below) >= 0 {
			c.Seek(below)
			k, sealed = c.Prev()
		}
		for ; k != nil; k, sealed = c.Prev() {
			v, damage := unseal(t.seed, k, sealed)
			if damage != nil {
				*err = damage
				return
			}
			if !yield(k, v) {
				return
			}
		}
	}
}

// First returns the first key, nil if the table is empty.
func (t Table) First() []byte {
	k, _ := t.b.Cursor().First()
	return k
}

// Cursor returns a cursor over the keys. The values that it returns are sealed.
func (t Table) Cursor() *bolt.Cursor { return t.b.Cursor() }

// A tally sums up a table: the number of entries and the sum of their checksums.
type tally struct{ count, sum uint64 }

func (t *tally) add(sealed []byte) {
	t.count++
	t.sum += uint64(binary.BigEndian.Uint32(sealed))
}

// remove takes an entry out; nil is none.
func (t *tally) remove(sealed []byte) {
	if len(sealed) >= sealSize {
		t.count--
		t.sum -= uint64(binary.BigEndian.Uint32(sealed))
	}
}

func (t *tally) encode() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, t.count), t.sum)
}

func decodeTally(key, v []byte) (tally, error) {
	if len(v) != 16 {
		return tally{}, Damaged(key)
	}
	return tally{binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])}, nil
}

// Count returns how many entries the table at the path has.
func (t *Tx) Count(path ...string) (int, error) {
	p := strings.Join(path, "\x00")
	stored, err := t.stored(p)
	if change := t.changes[p]; change != nil {
		stored.count += change.count
	}
	return int(stored.count), err
}

// stored returns the tally of the table as of the last transaction.
func (t *Tx) stored(path string) (tally, error) {
	key := []byte(path)
	sealed := t.Bucket([]byte(tallyTable)).Get(key)
	if sealed == nil {
		return tally{}, nil
	}
	v, err := unseal(seedOf(tallyTable), key, sealed)
	if err != nil {
		return tally{}, err
	}
	return decodeTally(key, v)
}

// Flush stores the tallies of the tables that the transaction changed.
func (t *Tx) Flush() error {
	for path, change := range t.changes {
		if *change == (tally{}) {
			continue
		}
		stored, err := t.stored(path)
		if err != nil {
			return err
		}
		stored.count += change.count
		stored.sum += change.sum
		key := []byte(path)
		sealed := Seal(tallyTable, key, stored.encode())
		if t.writes != nil {
			t.writes[WriteKey(tallyTable, key)] = sealed
		}
		if err := t.Bucket([]byte(tallyTable)).Put(key, sealed); err != nil {
			return err
		}
	}
	return nil
}

const sealSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func seedOf(path string) uint32 { return crc32.Checksum([]byte(path), castagnoli) }

// Seal returns the value as the table at a path keeps it at the key.
func Seal(path string, key, value []byte) []byte { return seal(seedOf(path), key, value) }

// seal puts a checksum of table, key and value in front of the value.
func seal(seed uint32, key, value []byte) []byte {
	sealed := make([]byte, sealSize, sealSize+len(value))
	binary.BigEndian.PutUint32(sealed, checksum(seed, key, value))
	return append(sealed, value...)
}

// unseal returns the value, in the memory of sealed.
func unseal(seed uint32, key, sealed []byte) ([]byte, error) {
	if len(sealed) < sealSize || binary.BigEndian.Uint32(sealed) != checksum(seed, key, sealed[sealSize:]) {
		return nil, fmt.Errorf("%w: checksum of entry %.100q", ErrDamaged, key)
	}
	return sealed[sealSize:], nil
}

func checksum(seed uint32, key, value []byte) uint32 {
	var length [4]byte // keeps a byte from moving between key and value
	binary.BigEndian.PutUint32(length[:], uint32(len(key)))
	return crc32.Update(crc32.Update(crc32.Update(seed, castagnoli, length[:]), castagnoli, key), castagnoli, value)
}

// Damaged returns ErrDamaged for the entry of a key.
func Damaged(key []byte) error { return fmt.Errorf("%w: entry %.100q", ErrDamaged, key) }
