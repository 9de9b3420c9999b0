package inflate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"io"
)

// A stage is the part of a member that comes next.
type stage uint8

const (
	atHeader stage = iota
	atExtraSize
	atExtra
	atName
	atComment
	atHeaderSum
	atData
	atTrailer
	atEnd
)

// Parts of the headers: of gzip its flags, of zlib one.
const (
	gzipHeaderSize = 10

	flagHeaderSum = 1 << 1
	flagExtra     = 1 << 2
	flagName      = 1 << 3
	flagComment   = 1 << 4

	flagDictionary = 1 << 5
)

var (
	errGzipHeader = fmt.Errorf("%w: it does not begin as gzip does", ErrCorrupt)
	errZlibHeader = fmt.Errorf("%w: it does not begin as zlib does", ErrCorrupt)
	errDictionary = fmt.Errorf("%w: it needs a preset dictionary", ErrCorrupt)
	errHeaderSum  = fmt.Errorf("%w: in a gzip header", ErrChecksum)
	gzipMagic     = [3]byte{0x1f, 0x8b, 8}
)

// A members decodes an input: its members with their headers and trailers. Its
// owner sets in, out and pause as for a core, but calls run.
type members struct {
	core
	format Format
	stage  stage
	count  int // members read to their end

	flags     byte
	headerSum uint32 // CRC-32 of the member's header so far
	left      int    // bytes left of the extra field

	sum    uint32 // of the member's contents, up to summed: CRC-32
	adler  hash.Hash32
	size   uint32 // their length
	summed int    // an index of out
}

// reset prepares for another input of a format.
func (m *members) reset(f Format) {
	m.format, m.stage, m.count = f, atHeader, 0
	m.begin()
}

// begin prepares for the contents of a member.
func (m *members) begin() {
	m.restart()
	m.sum, m.size, m.summed = 0, 0, m.n
	if m.format == Zlib {
		if m.adler == nil {
			m.adler = adler32.New()
		}
		m.adler.Reset()
	}
}

// release drops the memory of others.
func (m *members) release() { m.in, m.out = nil, nil }

// run decodes until the input ends, with io.EOF, until it is found to be
// damaged, or until input or room is needed.
func (m *members) run() error {
	for {
		if err := m.advance(); err != nil {
			return err
		}
	}
}

func (m *members) advance() error {
	switch m.stage {
	case atData:
		err := m.inflate()
		m.digest()
		if err == nil {
			m.stage = atTrailer
		}
		return err
	case atTrailer:
		return m.trailer()
	case atEnd:
		if m.at < len(m.in) {
			return ErrGarbage
		}
		if !m.last {
			return errInput
		}
		return io.EOF
	}
	switch m.format {
	case Gzip:
		return m.gzipHeader()
	case Zlib:
		return m.zlibHeader()
	}
	m.stage = atData
	return nil
}

// digest adds what was inflated to the checksum, while it is in the cache.
func (m *members) digest() {
	fresh := m.out[m.summed:m.n]
	m.summed = m.n
	m.size += uint32(len(fresh))
	switch m.format {
	case Gzip:
		m.sum = crc32.Update(m.sum, crc32.IEEETable, fresh)
	case Zlib:
		m.adler.Write(fresh)
	}
}

// take reads n bytes, fewer than reserve.
func (m *members) take(n int) ([]byte, error) {
	if len(m.in)-m.at < n {
		return nil, m.short()
	}
	b := m.in[m.at : m.at+n]
	m.at += n
	return b, nil
}

// gzipHeader reads the next field of a gzip header.
func (m *members) gzipHeader() error {
	switch m.stage {
	case atHeader:
		return m.gzipBegin()
	case atExtraSize:
		if m.flags&flagExtra == 0 {
			break
		}
		b, err := m.take(2)
		if err != nil {
			return err
		}
		m.addHeader(b)
		m.left = int(binary.LittleEndian.Uint16(b))
	case atExtra:
		if m.flags&flagExtra == 0 {
			break
		}
		b := m.in[m.at:min(m.at+m.left, len(m.in))]
		m.addHeader(b)
		m.at += len(b)
		if m.left -= len(b); m.left > 0 {
			return m.short()
		}
	case atName:
		if err := m.text(flagName); err != nil {
			return err
		}
	case atComment:
		if err := m.text(flagComment); err != nil {
			return err
		}
	case atHeaderSum:
		if m.flags&flagHeaderSum == 0 {
			break
		}
		b, err := m.take(2)
		if err != nil {
			return err
		}
		if binary.LittleEndian.Uint16(b) != uint16(m.headerSum) {
			return errHeaderSum
		}
	}
	m.stage++
	return nil
}

// gzipBegin reads the fixed part of a gzip header, or finds the end of the
// input where a header might be.
func (m *members) gzipBegin() error {
	rest := m.in[m.at:]
	for i, c := range rest[:min(len(rest), len(gzipMagic))] {
		switch {
		case c == gzipMagic[i]:
		case m.count > 0:
			return ErrGarbage
		default:
			return errGzipHeader
		}
	}
	if len(rest) == 0 && m.last && m.count > 0 {
		return io.EOF
	}
	b, err := m.take(gzipHeaderSize)
	if err != nil {
		return err
	}
	m.flags, m.headerSum = b[3], 0
	m.addHeader(b)
	m.begin()
	m.stage = atExtraSize
	return nil
}

// text reads a text that a zero byte ends, if the flag announces one.
func (m *members) text(flag byte) error {
	if m.flags&flag == 0 {
		return nil
	}
	rest := m.in[m.at:]
	end := bytes.IndexByte(rest, 0)
	if end >= 0 {
		rest = rest[:end+1]
	}
	m.addHeader(rest)
	m.at += len(rest)
	if end < 0 {
		return m.short()
	}
	return nil
}

func (m *members) addHeader(b []byte) {
	if m.flags&flagHeaderSum != 0 {
		m.headerSum = crc32.Update(m.headerSum, crc32.IEEETable, b)
	}
}

func (m *members) zlibHeader() error {
	b, err := m.take(2)
	if err != nil {
		return err
	}
	method, window := b[0]&15, b[0]>>4
	switch {
	case method != 8, window > 7, binary.BigEndian.Uint16(b)%31 != 0:
		return errZlibHeader
	case b[1]&flagDictionary != 0:
		return errDictionary
	}
	m.stage = atData
	return nil
}

// trailer checks what follows the contents of a member.
func (m *members) trailer() error {
	m.stage = atEnd
	switch m.format {
	case Gzip:
		b, err := m.take(8)
		if err != nil {
			m.stage = atTrailer
			return err
		}
		if binary.LittleEndian.Uint32(b) != m.sum || binary.LittleEndian.Uint32(b[4:]) != m.size {
			return ErrChecksum
		}
		m.stage = atHeader
	case Zlib:
		b, err := m.take(4)
		if err != nil {
			m.stage = atTrailer
			return err
		}
		if binary.BigEndian.Uint32(b) != m.adler.Sum32() {
			return ErrChecksum
		}
	}
	m.count++
	return nil
}
