package host

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// below lists the protected places that exist in a folder under a fixed name of one or
// several elements. The list is relative to the folder and sorted. It costs a handful
// of lookups, however large the folder is. Names with a pattern and deeper places are
// the mediator's task. why is not empty where the list may be incomplete.
func below(dir string) (found []string, why string) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, "open " + dir + ": " + name(err)
	}
	defer unix.Close(fd)
	for _, p := range plan.Protected {
		if strings.Contains(p, "*") {
			continue
		}
		var st unix.Stat_t
		switch err := unix.Fstatat(fd, p, &st, unix.AT_SYMLINK_NOFOLLOW); err {
		case nil:
			found = append(found, path.Clean(p))
		case unix.ENOENT, unix.ENOTDIR, unix.ELOOP:
		default:
			return nil, "look at " + path.Join(dir, p) + ": " + name(err)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), ""
}
