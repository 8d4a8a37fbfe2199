package program

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/host"
)

// settings are the folders of /etc from which the system's runtimes read their
// configuration, by program name. They are as public as the runtime.
var settings = []struct{ program, folder string }{
	{"php*", "php*"},
	{"perl*", "perl"},
	{"chromium*", "chromium"}, {"chromium*", "chromium.d"}, {"chromium*", "chromium-browser"},
	{"google-chrome*", "opt/chrome"},
	{"firefox*", "firefox"},
	{"R", "R"}, {"Rscript", "R"},
	{"dotnet", "dotnet"},
	{"mono*", "mono"},
	{"convert*", "ImageMagick-*"}, {"magick*", "ImageMagick-*"},
	{"gs", "ghostscript"},
}

// jvmFolders are folders below the root of a Java runtime whose files distributions
// keep in /etc.
var jvmFolders = []string{"", "conf", "conf/management", "conf/security", "lib", "lib/management", "lib/security"}

// grantSettings grants the folders of /etc that the program at real reads.
func (f *finder) grantSettings(real string) {
	led := f.led
	f.led = nil // it does not matter which runtime a link leads to
	defer func() { f.led = led }()
	name := filepath.Base(real)
	for _, s := range settings {
		if ok, _ := filepath.Match(s.program, name); !ok || !f.system(real) {
			continue
		}
		found, err := filepath.Glob(f.at(filepath.Join("/etc", s.folder)))
		if err != nil {
			continue // cannot happen, the pattern is a constant
		}
		for _, path := range found {
			f.needFolder(path, name)
		}
	}
	for _, path := range f.jvmSettings(real) {
		f.needFolder(path, name)
	}
}

// jvmSettings returns the folders of /etc to which the links of a Java runtime lead.
// Without its java.security the runtime has no TLS.
func (f *finder) jvmSettings(real string) (out []string) {
	root := filepath.Dir(filepath.Dir(real))
	if filepath.Base(filepath.Dir(real)) != "bin" || !host.Exists(filepath.Join(root, "lib/jvm.cfg")) && !host.Exists(filepath.Join(root, "lib/security")) {
		return nil
	}
	etc := f.at("/etc") + "/"
	for _, folder := range jvmFolders {
		dir := filepath.Join(root, folder)
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.Type()&os.ModeSymlink == 0 {
				continue
			}
			text, err := os.Readlink(filepath.Join(dir, e.Name()))
			rest, ok := strings.CutPrefix(text, etc)
			top, _, deeper := strings.Cut(rest, "/")
			if path := etc + top; err == nil && ok && deeper && top != "ssl" && !slices.Contains(out, path) {
				out = append(out, path)
			}
		}
	}
	return out
}

// needFolder grants a real folder, and no symlink to one.
func (f *finder) needFolder(path, name string) {
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		f.need(path, "settings of %s", name)
	}
}
