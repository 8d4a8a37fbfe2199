package trial

import (
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Bounds of a folder that is copied, or a bundle that is unpacked.
const (
	maxCopied      = 512 << 20 // bytes
	maxCopiedFiles = 60_000
)

// CopyFolder copies files, folders and symlinks, and nothing else.
func CopyFolder(from, to string) error {
	total, files := int64(0), 0
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if files++; files > maxCopiedFiles {
			return fmt.Errorf("it has more than %d files", maxCopiedFiles)
		}
		switch {
		case d.IsDir() && d.Name() == ".git" && p != from:
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			text, err := os.Readlink(p)
			if err != nil {
				return err
			}
			return os.Symlink(text, target)
		case d.Type().IsRegular():
			n, err := copyRegular(p, target, maxCopied-total)
			total += n
			return err
		}
		return nil
	})
}

func copyRegular(from, to string, most int64) (int64, error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return 0, err
	}
	return writeBounded(to, in, st.Mode().Perm(), most)
}

// writeBounded writes a file that must not be there yet.
func writeBounded(to string, in io.Reader, mode fs.FileMode, most int64) (int64, error) {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode|0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(out, io.LimitReader(in, most+1))
	if e := out.Close(); err == nil {
		err = e
	}
	if err == nil && n > most {
		err = fmt.Errorf("it is larger than %d MiB", maxCopied>>20)
	}
	return n, err
}

// Unzip unpacks files and folders below a folder, and nothing else.
func Unzip(z *zip.Reader, to string) error {
	if len(z.File) > maxCopiedFiles {
		return fmt.Errorf("it has more than %d files", maxCopiedFiles)
	}
	left := int64(maxCopied)
	for _, f := range z.File {
		if !filepath.IsLocal(f.Name) {
			return fmt.Errorf("it holds the name %q", f.Name)
		}
		target := filepath.Join(to, f.Name)
		if f.FileInfo().IsDir() {
			if err := os.MkdirAll(target, 0o755); err != nil {
				return err
			}
			continue
		}
		if !f.Mode().IsRegular() {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		in, err := f.Open()
		if err != nil {
			return err
		}
		n, err := writeBounded(target, in, f.Mode().Perm()&0o755|0o444, left)
		in.Close()
		if left -= n; err != nil {
			return err
		}
	}
	return nil
}
