package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Sizes and signatures of APPNOTE.TXT, 4.3.
const (
	zipEnd, zipEndSize       = 0x06054b50, 22
	zipCentral, zipEntrySize = 0x02014b50, 46
	zipLocal, zipLocalSize   = 0x04034b50, 30
	zipDescriptor            = 0x08074b50
)

// zipEntry is the central directory's description of one entry.
type zipEntry struct {
	name            string
	flags, method   uint16
	crc, size, full uint32 // size: compressed
	at              uint32
}

// checkZipLayout holds a zip file to the one reading that all readers share: one
// directory at its very end, 32 bits wide, and one entry behind the other from the
// first byte on, each as the directory says. Where bytes belong to no entry, or a
// zip64 record stands beside the ordinary one, two readers see two archives.
func checkZipLayout(r io.ReaderAt, size int64) error {
	end := make([]byte, zipEndSize)
	if size < zipEndSize {
		return errors.New("not a zip file: too short")
	}
	if _, err := r.ReadAt(end, size-zipEndSize); err != nil {
		return err
	}
	le := binary.LittleEndian
	count, length, start := le.Uint16(end[10:]), int64(le.Uint32(end[12:])), int64(le.Uint32(end[16:]))
	switch {
	case le.Uint32(end) != zipEnd || le.Uint16(end[20:]) != 0:
		return errors.New("something follows the zip file's directory")
	case le.Uint32(end[4:]) != 0 || le.Uint16(end[8:]) != count:
		return errors.New("the zip file has more than one part")
	case start+length+zipEndSize != size:
		return errors.New("the zip file has bytes that belong to no entry, or a zip64 directory")
	case length > 64<<20:
		return errors.New("the zip file's directory is too large")
	}
	directory := make([]byte, length)
	if _, err := r.ReadAt(directory, start); err != nil {
		return err
	}
	entries, err := zipEntries(directory)
	if err != nil {
		return err
	}
	if len(entries) != int(count) {
		return fmt.Errorf("the zip file's directory has %d entries and says %d", len(entries), count)
	}
	slices.SortFunc(entries, func(a, b zipEntry) int { return int(int64(a.at) - int64(b.at)) })
	next := int64(0)
	for _, e := range entries {
		if int64(e.at) != next {
			return fmt.Errorf("the zip file has bytes before entry %q that belong to none", e.name)
		}
		if next, err = e.end(r, start); err != nil {
			return fmt.Errorf("entry %q: %w", e.name, err)
		}
	}
	if next != start {
		return errors.New("the zip file has bytes that belong to no entry")
	}
	return nil
}

func zipEntries(directory []byte) ([]zipEntry, error) {
	le := binary.LittleEndian
	var out []zipEntry
	for len(directory) > 0 {
		if len(directory) < zipEntrySize || le.Uint32(directory) != zipCentral {
			return nil, errors.New("the zip file's directory does not read")
		}
		d := directory
		e := zipEntry{flags: le.Uint16(d[8:]), method: le.Uint16(d[10:]), crc: le.Uint32(d[16:]), size: le.Uint32(d[20:]), full: le.Uint32(d[24:]), at: le.Uint32(d[42:])}
		name, whole := int(le.Uint16(d[28:])), zipEntrySize+int(le.Uint16(d[28:]))+int(le.Uint16(d[30:]))+int(le.Uint16(d[32:]))
		if whole > len(d) {
			return nil, errors.New("the zip file's directory does not read")
		}
		e.name = string(d[zipEntrySize : zipEntrySize+name])
		if e.size == ^uint32(0) || e.full == ^uint32(0) || e.at == ^uint32(0) {
			return nil, fmt.Errorf("entry %q is a zip64 one", e.name)
		}
		out = append(out, e)
		directory = d[whole:]
	}
	return out, nil
}

// end is where the entry's bytes end, if they begin as the directory says.
func (e zipEntry) end(r io.ReaderAt, limit int64) (int64, error) {
	le := binary.LittleEndian
	head := make([]byte, zipLocalSize+len(e.name))
	if _, err := r.ReadAt(head, int64(e.at)); err != nil {
		return 0, err
	}
	const described = 1 << 3 // the sizes follow the data
	switch {
	case le.Uint32(head) != zipLocal || string(head[zipLocalSize:]) != e.name || int(le.Uint16(head[26:])) != len(e.name):
		return 0, errors.New("it has another name where it begins")
	case le.Uint16(head[6:]) != e.flags || le.Uint16(head[8:]) != e.method:
		return 0, errors.New("it is packed otherwise than the directory says")
	}
	body := int64(e.at) + int64(len(head)) + int64(le.Uint16(head[28:]))
	end := body + int64(e.size)
	crc, size, full := le.Uint32(head[14:]), le.Uint32(head[18:]), le.Uint32(head[22:])
	if e.flags&described == 0 {
		wide := size == ^uint32(0) && full == ^uint32(0) // the local header alone may be wide
		if crc != e.crc || !wide && (size != e.size || full != e.full) {
			return 0, errors.New("its size is another where it begins")
		}
		return end, nil
	}
	return e.described(r, end, limit)
}

// described skips the descriptor after an entry: three or four numbers, whose sizes may
// be wide.
func (e zipEntry) described(r io.ReaderAt, at, limit int64) (int64, error) {
	le := binary.LittleEndian
	buf := make([]byte, min(24, limit-at))
	if _, err := r.ReadAt(buf, at); err != nil {
		return 0, err
	}
	marked := 0
	if len(buf) >= 4 && le.Uint32(buf) == zipDescriptor {
		marked = 4
	}
	b := buf[marked:]
	switch {
	case len(b) >= 12 && le.Uint32(b) == e.crc && le.Uint32(b[4:]) == e.size && le.Uint32(b[8:]) == e.full:
		return at + int64(marked) + 12, nil
	case len(b) >= 20 && le.Uint32(b) == e.crc && le.Uint64(b[4:]) == uint64(e.size) && le.Uint64(b[12:]) == uint64(e.full):
		return at + int64(marked) + 20, nil
	}
	return 0, errors.New("its size is another where it ends")
}
