package archive

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"mcpen/sandbox/pack"
)

// Check looks at every entry of an npm tarball or a wheel before a tool
// may have it. A tool that meets a hostile entry mends it, each in its own way:
// here it is refused. The tree that comes out is checked again.
func Check(file *os.File, name string, lim pack.Limits) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if strings.HasSuffix(name, ".whl") {
		err = checkWheel(file, info.Size(), name, lim)
	} else {
		_, err = file.Seek(0, io.SeekStart)
		if err == nil {
			err = checkTarball(file, lim)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot accept archive %q: %w", name, err)
	}
	return nil
}

// archiveCount adds up an archive's unpacked entries.
type archiveCount struct {
	lim   pack.Limits
	files int
	bytes uint64
}

func (c *archiveCount) add(size uint64) error {
	c.files++
	c.bytes += size
	switch {
	case c.files > c.lim.ArchiveList:
		return fmt.Errorf("more than %d entries", c.lim.ArchiveList)
	case size > uint64(c.lim.Unpacked) || c.bytes > uint64(c.lim.Unpacked):
		return fmt.Errorf("it unpacks to more than %d bytes", c.lim.Unpacked)
	}
	return nil
}

func escape(format string, args ...any) error {
	return &pack.EscapeError{Why: fmt.Sprintf(format, args...)}
}

// entryName refuses a name that leads out of the directory of the archive.
func entryName(name string, limit int) error {
	steps := strings.FieldsFunc(name, func(r rune) bool { return r == '/' || r == '\\' })
	switch {
	case strings.HasPrefix(name, "/") || len(name) > 1 && name[1] == ':', strings.ContainsRune(name, '\\') && slices.Contains(steps, ".."):
		return escape("entry %q is absolute", name)
	case slices.Contains(steps, ".."):
		return escape("entry %q leads out of the package", name)
	case strings.ContainsRune(name, '\\'): // as careless tools of another system write it
		return fmt.Errorf("entry %q is absolute", name)
	}
	if pack.CheckPath(name, limit) != nil {
		return fmt.Errorf("entry %q has no usable name", name)
	}
	return nil
}

func checkTarball(r io.Reader, lim pack.Limits) error {
	z, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return fmt.Errorf("not a gzip file: %w", err)
	}
	// The limit holds for headers and padding too, which no entry's size counts.
	bounded := &io.LimitedReader{R: z, N: lim.Unpacked + int64(lim.ArchiveList)*1024 + 1<<20}
	t := tar.NewReader(bounded)
	count := archiveCount{lim: lim}
	for {
		h, err := t.Next()
		if bounded.N <= 0 {
			return fmt.Errorf("it unpacks to more than %d bytes", lim.Unpacked)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("not a tar file: %w", err)
		}
		if err := checkTarEntry(h, lim); err != nil {
			return err
		}
		if err := count.add(uint64(max(h.Size, 0))); err != nil {
			return err
		}
	}
	if count.files == 0 {
		return errors.New("it is empty")
	}
	return nil
}

func checkTarEntry(h *tar.Header, lim pack.Limits) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil
	case tar.TypeReg, tar.TypeDir:
	case tar.TypeSymlink:
		if path.IsAbs(h.Linkname) || strings.HasPrefix(path.Join(path.Dir(h.Name), h.Linkname), "..") {
			return escape("symlink %q to %q leads out of the package", h.Name, h.Linkname)
		}
	case tar.TypeLink:
		if err := entryName(h.Linkname, lim.Path); err != nil {
			return fmt.Errorf("hard link %q: %w", h.Name, err)
		}
	default:
		return fmt.Errorf("entry %q is neither file, directory nor link (type %q)", h.Name, h.Typeflag)
	}
	if err := entryName(h.Name, lim.Path); err != nil {
		return err
	}
	if h.FileInfo().Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		return fmt.Errorf("entry %q is setuid or setgid", h.Name)
	}
	return nil
}

func checkWheel(r io.ReaderAt, size int64, name string, lim pack.Limits) error {
	if err := checkZipLayout(r, size); err != nil {
		return err
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return fmt.Errorf("not a zip file: %w", err)
	}
	count := archiveCount{lim: lim}
	seen := map[string]bool{}
	for _, f := range z.File {
		if err := entryName(f.Name, lim.Path); err != nil {
			return err
		}
		if seen[f.Name] {
			return fmt.Errorf("entry %q is there twice", f.Name)
		}
		seen[f.Name] = true
		mode := f.Mode()
		if mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			return fmt.Errorf("entry %q is setuid or setgid", f.Name)
		}
		if t := mode.Type(); t != 0 && t != fs.ModeDir {
			return fmt.Errorf("entry %q is neither file nor directory (%s)", f.Name, t)
		}
		if err := count.add(f.UncompressedSize64); err != nil {
			return err
		}
	}
	if count.files == 0 {
		return errors.New("it is empty")
	}
	return checkDistInfo(z.File, name)
}
