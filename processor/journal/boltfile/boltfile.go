// Package boltfile checks a bbolt file page by page, before bbolt opens it. A
// check returns the first defect with its page; it follows no page number twice,
// so that it ends whatever the bytes are.
package boltfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// The layout of bbolt's files, version 2. Its own check follows page numbers as
// they stand, for ever if damage has made a circle of them; and opening the
// store trusts the list of free pages. So the file is checked here first, by
// reading it, without a memory map.
const (
	pageHead    = 16 // number, flags, count, overflow
	elementSize = 16
	bucketHead  = 16 // root page, sequence

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	bucketElement = 0x01 // flag of a leaf's element whose value is a bucket

	storeMagic   = 0xED0CDAED
	storeVersion = 2

	maxDepth = 64 // of pages; a tree of any size that fits a disk has fewer than 20
)

var native = binary.NativeEndian

func damagedPage(id uint64, format string, args ...any) error {
	return fmt.Errorf("page %d: %s", id, fmt.Sprintf(format, args...))
}

// A Head is one of the two heads of a file. Commits write them in turn.
type Head struct {
	TxID                  uint64 // of the commit that wrote it
	Root, Freelist, Pages uint64
}

// ReadHead reads the newer head. Both have to be whole: with one alone the last
// commit may be missing.
func ReadHead(f io.ReaderAt, pageSize int) (Head, error) {
	var heads [2]Head
	for i := range heads {
		b := make([]byte, pageHead+64)
		if _, err := f.ReadAt(b, int64(i*pageSize)); err != nil {
			return Head{}, damagedPage(uint64(i), "read: %v", err)
		}
		b = b[pageHead:]
		sum := fnv.New64a()
		sum.Write(b[:56])
		if native.Uint32(b) != storeMagic || native.Uint32(b[4:]) != storeVersion || native.Uint64(b[56:]) != sum.Sum64() {
			return Head{}, damagedPage(uint64(i), "it is no head of a store")
		}
		heads[i] = Head{Root: native.Uint64(b[16:]), Freelist: native.Uint64(b[32:]), Pages: native.Uint64(b[40:]), TxID: native.Uint64(b[48:])}
	}
	if heads[0].TxID > heads[1].TxID {
		heads[0], heads[1] = heads[1], heads[0]
	}
	return heads[1], nil
}

// A Walk reads each page of a file once.
type Walk struct {
	File     io.ReaderAt
	PageSize int
	Bucket   func(path string)                    // called with each bucket
	Entry    func(path string, key, value []byte) // called with each entry; the bytes are valid during the call
	Used     []bool                               // by page, after Check

	buffers [][]byte
}

// Check reads all pages of the tree under the head, and checks that each
// page is part of it once or free.
func (w *Walk) Check(size int64, head Head) error {
	if head.Pages < 2 || head.Pages > uint64(size)/uint64(w.PageSize) {
		return fmt.Errorf("%d bytes long where %d pages of %d are in use", size, head.Pages, w.PageSize)
	}
	w.Used = make([]bool, head.Pages)
	w.Used[0], w.Used[1] = true, true
	if err := w.tree(head.Root, nil, nil, "", 0); err != nil {
		return err
	}
	if err := w.free(head.Freelist); err != nil {
		return err
	}
	for id, used := range w.Used {
		if !used {
			return damagedPage(uint64(id), "it is neither used nor free")
		}
	}
	return nil
}

// read returns a page with its overflow, valid until the next of that depth.
func (w *Walk) read(id uint64, depth int) ([]byte, error) {
	if id >= uint64(len(w.Used)) {
		return nil, damagedPage(id, "there are only %d", len(w.Used))
	}
	if depth >= maxDepth {
		return nil, damagedPage(id, "%d levels deep", depth)
	}
	for len(w.buffers) <= depth {
		w.buffers = append(w.buffers, nil)
	}
	at := int64(id) * int64(w.PageSize)
	var head [pageHead]byte
	if _, err := w.File.ReadAt(head[:], at); err != nil {
		return nil, damagedPage(id, "read: %v", err)
	}
	n := uint64(native.Uint32(head[12:])) + 1
	if native.Uint64(head[:]) != id || id+n > uint64(len(w.Used)) {
		return nil, damagedPage(id, "it says it is page %d, %d long", native.Uint64(head[:]), n)
	}
	for i := id; i < id+n; i++ {
		if w.Used[i] {
			return nil, damagedPage(i, "it is used twice")
		}
		w.Used[i] = true
	}
	length := int(n) * w.PageSize
	if cap(w.buffers[depth]) < length {
		w.buffers[depth] = make([]byte, length)
	}
	p := w.buffers[depth][:length]
	if _, err := w.File.ReadAt(p, at); err != nil {
		return nil, damagedPage(id, "read: %v", err)
	}
	return p, nil
}

// tree walks a page and all below it. Keys are at least low and less than high,
// where those are not nil.
func (w *Walk) tree(id uint64, low, high []byte, path string, depth int) error {
	p, err := w.read(id, depth)
	if err != nil {
		return err
	}
	if native.Uint16(p[8:]) == leafPage {
		return w.leaf(id, p, low, high, path, depth)
	}
	count := int(native.Uint16(p[10:]))
	if native.Uint16(p[8:]) != branchPage || count == 0 || pageHead+count*elementSize > len(p) {
		return damagedPage(id, "it is no branch of %d", count)
	}
	key := func(i int) ([]byte, error) {
		at := pageHead + i*elementSize
		return cut(id, p, at, native.Uint32(p[at:]), native.Uint32(p[at+4:]))
	}
	first, err := key(0)
	for i := 0; i < count && err == nil; i++ {
		end := high
		if i+1 < count {
			if end, err = key(i + 1); err != nil {
				return err
			}
		}
		if err := ordered(id, low, first, end); err != nil {
			return err
		}
		if err := w.tree(native.Uint64(p[pageHead+i*elementSize+8:]), first, end, path, depth+1); err != nil {
			return err
		}
		low, first = first, end
	}
	return err
}

func (w *Walk) leaf(id uint64, p, low, high []byte, path string, depth int) error {
	count := int(native.Uint16(p[10:]))
	if pageHead+count*elementSize > len(p) {
		return damagedPage(id, "it is no leaf of %d", count)
	}
	for i := range count {
		at := pageHead + i*elementSize
		pos, keySize := native.Uint32(p[at+4:]), native.Uint32(p[at+8:])
		key, err := cut(id, p, at, pos, keySize)
		if err != nil {
			return err
		}
		value, err := cut(id, p, at, pos+keySize, native.Uint32(p[at+12:]))
		if err != nil {
			return err
		}
		if err := ordered(id, low, key, high); err != nil {
			return err
		}
		if i > 0 && bytes.Equal(key, low) {
			return damagedPage(id, "key %.100q is there twice", key)
		}
		low = key
		switch native.Uint32(p[at:]) {
		case 0:
			w.Entry(path, key, value)
		case bucketElement:
			if err := w.nested(id, key, value, path, depth); err != nil {
				return err
			}
		default:
			return damagedPage(id, "element %d has flags %x", i, native.Uint32(p[at:]))
		}
	}
	return nil
}

// nested walks the bucket that is an element of a leaf. A small one lies in the
// element itself, as a page.
func (w *Walk) nested(id uint64, key, value []byte, path string, depth int) error {
	if len(value) < bucketHead {
		return damagedPage(id, "bucket %.100q is cut short", key)
	}
	if path != "" {
		path += "\x00"
	}
	path += string(key)
	w.Bucket(path)
	if root := native.Uint64(value); root != 0 {
		return w.tree(root, nil, nil, path, depth+1)
	}
	inline := value[bucketHead:]
	if len(inline) < pageHead || native.Uint16(inline[8:]) != leafPage {
		return damagedPage(id, "bucket %.100q holds no leaf", key)
	}
	return w.leaf(id, inline, nil, nil, path, depth)
}

// free marks the pages that are listed as free.
func (w *Walk) free(id uint64) error {
	p, err := w.read(id, 0)
	if err != nil {
		return err
	}
	if native.Uint16(p[8:]) != freelistPage {
		return damagedPage(id, "it is no list of free pages")
	}
	count, list := uint64(native.Uint16(p[10:])), p[pageHead:]
	if count == 0xFFFF {
		count, list = native.Uint64(list), list[8:]
	}
	if count > uint64(len(list)/8) {
		return damagedPage(id, "it lists %d free pages", count)
	}
	last := uint64(0)
	for i := range count {
		free := native.Uint64(list[8*i:])
		if free <= last || free >= uint64(len(w.Used)) || w.Used[free] {
			return damagedPage(id, "page %d cannot be free", free)
		}
		w.Used[free], last = true, free
	}
	return nil
}

// cut returns size bytes of the page p, pos behind at.
func cut(id uint64, p []byte, at int, pos, size uint32) ([]byte, error) {
	from := uint64(at) + uint64(pos)
	if end := from + uint64(size); end <= uint64(len(p)) {
		return p[from:end:end], nil
	}
	return nil, damagedPage(id, "an element ends behind it")
}

func ordered(id uint64, low, key, high []byte) error {
	if bytes.Compare(key, low) < 0 || high != nil && bytes.Compare(key, high) >= 0 {
		return damagedPage(id, "key %.100q is out of order", key)
	}
	return nil
}
