package pack

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"strings"
)

// checkDistInfo holds a wheel to one dist-info: its own. A second one would be
// another package, of which no lock knows.
func checkDistInfo(files []*zip.File, name string) error {
	w, ok := parseWheel(name)
	if !ok {
		return fmt.Errorf("%q is no wheel's name", name)
	}
	found := ""
	for _, f := range files {
		for _, top := range []string{firstStep(installedAt(f.Name)), firstStep(f.Name)} {
			stem, is := strings.CutSuffix(top, ".dist-info")
			if !is {
				stem, is = strings.CutSuffix(top, ".egg-info")
			}
			if !is {
				continue
			}
			project, version, _ := strings.Cut(stem, "-")
			if normalizePyPI(project) != w.name || !sameVersion(version, w.version) || found != "" && found != top {
				return fmt.Errorf("it brings %q, which is another package", top)
			}
			found = top
		}
	}
	if !strings.HasSuffix(found, ".dist-info") {
		return fmt.Errorf("it has no dist-info of %s %s", w.name, w.version)
	}
	return nil
}

func firstStep(p string) string {
	s, _, _ := strings.Cut(p, "/")
	return s
}

// installedAt is where an installer puts a wheel's file, below its target
// directory; "" for nowhere (PEP 427).
func installedAt(name string) string {
	top, rest, ok := strings.Cut(name, "/")
	if !ok || !strings.HasSuffix(top, ".data") {
		return name
	}
	scheme, rest, _ := strings.Cut(rest, "/")
	switch scheme {
	case "purelib", "platlib", "data":
		return rest
	case "scripts":
		return "bin/" + rest
	}
	return ""
}

// checkOverlaps refuses wheels of which one would overwrite a file of another's:
// who comes last would decide what runs under the name of the first.
func (w *work) checkOverlaps() error {
	type owner struct {
		wheel string
		file  *zip.File
	}
	owners := map[string]owner{}
	for _, d := range w.lock.Dependencies {
		f := w.proxy.servedAs(d.Integrity)
		for _, o := range d.others() {
			if f == nil {
				f = w.proxy.servedAs(o.Integrity)
			}
		}
		if f == nil {
			return fmt.Errorf("cannot install %q: the wheel %q was not taken from the index", d.Path, d.File)
		}
		z, err := zip.OpenReader(f.path)
		if err != nil {
			return err
		}
		defer z.Close()
		for _, file := range z.File {
			at := installedAt(file.Name)
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
				return refuse("cannot install %s: %q is in %s and in %s, and differs", w.ref, at, was.wheel, d.Path)
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
