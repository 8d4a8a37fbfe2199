package install

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"strings"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/archive"
)

// checkOverlaps refuses two wheels if one would overwrite a file of the other: the last
// one would decide which code runs under the name of the first.
func (w *work) checkOverlaps() error {
	type owner struct {
		wheel string
		file  *zip.File
	}
	owners := map[string]owner{}
	for _, d := range w.lock.Dependencies {
		f := w.mirror.ServedAs(d.Integrity)
		for _, o := range d.Others() {
			if f == nil {
				f = w.mirror.ServedAs(o.Integrity)
			}
		}
		if f == nil {
			return fmt.Errorf("cannot install %q: the wheel %q was not taken from the index", d.Path, d.File)
		}
		z, err := zip.OpenReader(f.Path)
		if err != nil {
			return err
		}
		defer z.Close()
		for _, file := range z.File {
			at := archive.InstalledAt(file.Name)
			if at == "" || strings.HasSuffix(at, "/") {
				continue
			}
			at = path.Clean(at)
			was, taken := owners[at]
			if !taken {
				owners[at] = owner{d.Path, file}
				continue
			}
			if same, err := sameContent(was.file, file); err != nil || !same {
				return pack.Refuse("cannot install %s: %q is in %s and in %s, and differs", w.ref, at, was.wheel, d.Path)
			}
		}
	}
	return nil
}

// sameContent compares two files of zips.
func sameContent(a, b *zip.File) (bool, error) {
	if a.UncompressedSize64 != b.UncompressedSize64 || a.CRC32 != b.CRC32 {
		return false, nil
	}
	var sums [2][]byte
	for i, f := range []*zip.File{a, b} {
		r, err := f.Open()
		if err != nil {
			return false, err
		}
		h := sha256.New()
		_, err = io.Copy(h, r)
		r.Close()
		if err != nil {
			return false, err
		}
		sums[i] = h.Sum(nil)
	}
	return bytes.Equal(sums[0], sums[1]), nil
}
