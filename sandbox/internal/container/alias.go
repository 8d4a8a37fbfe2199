package container

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"unicode/utf8"

	"mcpen/sandbox/plan"
)

// A path of the host may consist of any bytes. libcontainer passes its mounts to its
// child in JSON, which holds only text, and follows links in sources and targets. So a
// path that is not text is replaced by a link to it. So is the source of a nameless mount.

// alias returns the source and the target that libcontainer gets for the mount i of a
// root.
func alias(rootfs string, i int, m plan.Mount) (source, target string) {
	source, target = m.Source, m.Target
	if !utf8.ValidString(source) {
		source = sourceLink(rootfs, i)
	}
	if !utf8.ValidString(target) {
		target = "/" + targetLink(i)
	}
	return source, target
}

func sourceLink(rootfs string, i int) string {
	return filepath.Join(filepath.Dir(rootfs), sourceName(i))
}

func sourceName(i int) string { return "source-" + strconv.Itoa(i) }

// emptyName is the empty directory beside the skeleton, which a nameless mount needs.
const emptyName = "none"

func targetLink(i int) string { return ".mcpen-" + strconv.Itoa(i) }

// linkAlias makes the links of the mount i.
func linkAlias(rootfs string, i int, m plan.Mount) error {
	source, target := alias(rootfs, i, m)
	if m.Nameless {
		source = sourceLink(rootfs, i)
		if err := os.MkdirAll(filepath.Join(filepath.Dir(rootfs), emptyName), 0o755); err != nil {
			return err
		}
	}
	for _, l := range []struct{ at, was, to string }{{source, m.Source, m.Source}, {filepath.Join(rootfs, target), filepath.Join(rootfs, m.Target), m.Target}} {
		if l.at == l.was {
			continue
		}
		if err := os.Symlink(l.to, l.at); err != nil {
			return fmt.Errorf("cannot make a link to %q: %w", l.to, err)
		}
	}
	return nil
}

// Unlink removes the links of a root, after all mounts are made.
func Unlink(rootfs string, p plan.Plan) error {
	for i, m := range p.Root {
		if utf8.ValidString(m.Target) {
			continue
		}
		if err := os.Remove(filepath.Join(rootfs, targetLink(i))); err != nil {
			return fmt.Errorf("cannot take a link out of the sandbox's root: %w", err)
		}
	}
	return nil
}
