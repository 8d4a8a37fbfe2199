package writes

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// walk visits a directory and everything below it, and follows no symlink.
type walk struct {
	// each is called for every entry, with its path below the start, its open directory
	// and its type (DT_*). into says whether to visit it.
	each func(rel string, dir int, kind uint8) (into bool, held plan.ProtectedPlace, found bool)
	// dir is called for every directory, the first one included, before its entries.
	dir func(rel string, dir int) (held plan.ProtectedPlace, found bool)
	// lax skips directories that may not be listed. Otherwise such a directory is a
	// finding.
	lax bool
	// lost, if set, is called when the walk misses something for lack of descriptors or
	// memory.
	lost func(error)
}

// run walks below an entry of a directory until there is a finding.
func (w walk) run(at int, base string) (plan.ProtectedPlace, bool) {
	return w.into(at, base, "", make([]byte, 32<<10))
}

func (w walk) into(at int, base, rel string, buf []byte) (plan.ProtectedPlace, bool) {
	fd, err := unix.Openat(at, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		w.miss(err)
		gone := err == unix.ENOENT || err == unix.ENOTDIR || err == unix.ELOOP
		return plan.ProtectedPlace{Place: rel, Why: "it cannot be looked through: " + err.Error()}, !gone && !w.lax
	}
	defer unix.Close(fd)
	if w.dir != nil {
		if held, found := w.dir(rel, fd); found {
			return held, true
		}
	}
	var deeper []string
	for {
		n, err := unix.Getdents(fd, buf)
		w.miss(err)
		if err != nil || n == 0 {
			break // a directory that was removed meanwhile has no entries
		}
		for _, e := range entries(buf[:n]) {
			name := join(rel, e.name)
			kind := e.kind
			if kind == unix.DT_UNKNOWN {
				kind = kindOf(fd, e.name)
			}
			into, held, found := w.each(name, fd, kind)
			if found {
				return held, true
			}
			if into && kind == unix.DT_DIR {
				deeper = append(deeper, e.name)
			}
		}
	}
	for _, name := range deeper {
		if held, found := w.into(fd, name, join(rel, name), buf); found {
			return held, true
		}
	}
	return plan.ProtectedPlace{}, false
}

// miss reports an error that makes the walk incomplete.
func (w walk) miss(err error) {
	if w.lost != nil && lacking(err) {
		w.lost(err)
	}
}

// lacking reports whether an error means that this process lacks a resource, as opposed
// to a fault of the file.
func lacking(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)
}

func join(dir, base string) string {
	if dir == "" {
		return base
	}
	return dir + "/" + base
}

// kindOf is the type of an entry, for file systems that do not report it.
func kindOf(dir int, base string) uint8 {
	var st unix.Stat_t
	if unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return unix.DT_UNKNOWN
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return unix.DT_DIR
	case unix.S_IFLNK:
		return unix.DT_LNK
	}
	return unix.DT_REG
}

// dirent is one struct linux_dirent64 (getdents(2)).
type dirent struct {
	name string
	kind uint8
}

// entries decodes the output of getdents64, without "." and "..".
func entries(buf []byte) []dirent {
	const head = 19 // d_ino, d_off, d_reclen, d_type
	var out []dirent
	for len(buf) > head {
		size := int(binary.NativeEndian.Uint16(buf[16:]))
		if size <= head || size > len(buf) {
			break
		}
		name := buf[head:size]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		if s := string(name); s != "." && s != ".." {
			out = append(out, dirent{s, buf[18]})
		}
		buf = buf[size:]
	}
	return out
}
