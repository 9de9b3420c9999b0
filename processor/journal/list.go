package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// A numberList holds the numbers of some events of a subject, ascending. Its key ends
// with the first, and its value has the distance of each of the others to the one
// before.
//
// Events lie in order of arrival, so that those of one transaction share pages
// however many subjects they belong to. Only the lists are written all over, and
// they are small: about three bytes an event.
type numberList []uint64

// maxList bounds what a further event of a subject rewrites.
const maxList = 64

func (l numberList) put(tx *store.Tx, subject string) error {
	var value []byte
	for i, number := range l[1:] {
		value = binary.AppendUvarint(value, number-l[i])
	}
	return tx.Table(listTable).Put(listKey(subject, l[0]), value)
}

func listKey(subject string, first uint64) []byte {
	return append(store.NamePrefix(subject), store.NumberKey(first)...)
}

func parseList(key, value []byte) (numberList, error) {
	if len(key) < 8 {
		return nil, store.Damaged(key)
	}
	r, number := &reader{rest: value}, binary.BigEndian.Uint64(key[len(key)-8:])
	l := append(make(numberList, 0, 8), number)
	for len(r.rest) > 0 {
		number += r.uvarint()
		if r.bad || number <= l[len(l)-1] {
			return nil, store.Damaged(key)
		}
		l = append(l, number)
	}
	return l, nil
}

// lists returns the lists of a subject.
func lists(tx *store.Tx, subject string) (all []numberList, err error) {
	prefix := store.NamePrefix(subject)
	for k, v := range tx.Table(listTable).Ascend(&err, prefix) {
		if !bytes.HasPrefix(k, prefix) {
			break
		}
		l, err := parseList(k, v)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, err
}

// putEvent writes an event of a subject, and returns the number that is new with it.
func putEvent(tx *store.Tx, subject string, value []byte) (number uint64, err error) {
	if number, err = tx.Table(store.StateTable).Increment(generationKey); err != nil {
		return 0, err
	}
	var l numberList
	if k, v, err := tx.Table(listTable).Before(listKey(subject, number)); err != nil {
		return 0, err
	} else if prefix := store.NamePrefix(subject); bytes.HasPrefix(k, prefix) {
		if l, err = parseList(k, v); err != nil {
			return 0, err
		}
	}
	if len(l) == maxList || len(l) > 0 && l[len(l)-1] >= number {
		l = nil
	}
	if err := append(l, number).put(tx, subject); err != nil {
		return 0, err
	}
	return number, tx.Table(eventTable).Append(store.NumberKey(number), value)
}

// getEvent returns an event as it is stored, valid until the transaction ends or
// changes the table; nil where there is none.
func getEvent(tx *store.Tx, number uint64) ([]byte, error) {
	return tx.Table(eventTable).Get(store.NumberKey(number))
}

// deleteEvents removes events of a subject.
func deleteEvents(tx *store.Tx, subject string, numbers map[uint64]bool) error {
	if len(numbers) == 0 {
		return nil
	}
	all, err := lists(tx, subject)
	if err != nil {
		return err
	}
	for _, l := range all {
		left := make(numberList, 0, len(l))
		for _, number := range l {
			if !numbers[number] {
				left = append(left, number)
			} else if err := tx.Table(eventTable).Delete(store.NumberKey(number)); err != nil {
				return err
			}
		}
		if len(left) == len(l) {
			continue
		}
		if len(left) == 0 || left[0] != l[0] {
			if err := tx.Table(listTable).Delete(listKey(subject, l[0])); err != nil {
				return err
			}
		}
		if len(left) > 0 {
			if err := left.put(tx, subject); err != nil {
				return err
			}
		}
	}
	return nil
}

// subjectNumbers returns the numbers of all events of a subject, ascending.
func subjectNumbers(tx *store.Tx, subject string) (numberList, error) {
	all, err := lists(tx, subject)
	if err != nil {
		return nil, err
	}
	numbers := slices.Concat(all...)
	slices.Sort(numbers)
	return numbers, nil
}

// eventReader returns a function that returns an event that is listed.
func eventReader(tx *store.Tx) func(number uint64) (key, value []byte, err error) {
	get := tx.Table(eventTable).Reader()
	return func(number uint64) (key, value []byte, err error) {
		key = store.NumberKey(number)
		if value, err = get(key); err == nil && value == nil {
			err = fmt.Errorf("%w: event %d is missing", store.ErrDamaged, number)
		}
		return key, value, err
	}
}
