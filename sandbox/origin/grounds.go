package origin

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/host"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// Grounds returns the folders whose content a server or a repository could have made:
// the workspace, every server's state, and every folder that a server may write.
func Grounds(at user.Dirs, workspace string) []plan.Ground {
	var out []plan.Ground
	add := func(dir, who string) {
		if f := host.Look(dir); dir != "" && f.Exists && f.Dir {
			out = append(out, plan.Ground{Dir: f.Real, Who: who})
		}
	}
	add(workspace, "whoever filled the workspace")
	for _, state := range []string{at.State, at.Login.State} {
		if state != "" {
			add(filepath.Join(state, "servers"), "a server")
		}
	}
	for _, dir := range written(at) {
		add(dir, "a server that was given "+dir)
	}
	return out
}

// writtenFile lists the folders that servers may write to, one on a line, in quotes.
// Its bounds are in bytes and in folders; it drops folders that no longer exist.
func writtenFile(at user.Dirs) string {
	if at.Login.State == "" {
		return ""
	}
	return filepath.Join(at.Login.State, "written")
}

const maxWritten = 1 << 20

// written reads the list. An unreadable list protects nothing: it only adds to the
// known facts about the workspace and repositories.
func written(at user.Dirs) []string {
	data, err := wholefile.Read(writtenFile(at), maxWritten)
	if err != nil {
		return nil
	}
	var out []string
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if dir, err := strconv.Unquote(lines.Text()); err == nil {
			out = append(out, dir)
		}
	}
	return out
}

// RecordWritten adds the folders that a plan gives to write to the list, before
// anything can have been written there.
func RecordWritten(at user.Dirs, p plan.Plan) error {
	file, have := writtenFile(at), written(at)
	var more []string
	for _, m := range p.Root {
		own := at.State != "" && strings.HasPrefix(m.Target, at.State+"/")
		if m.Kind == plan.MountBind && m.Writable && m.Dir && m.Source != "" && !own && !slices.Contains(have, m.Source) {
			more = append(more, m.Source)
		}
	}
	if file == "" || len(more) == 0 {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil // nothing is kept in this home: the log says so
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("cannot keep what is given to servers: %w", err)
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("cannot keep what is given to servers: %w", os.NewSyscallError("flock", err))
	}
	err = wholefile.Replace(file, listed(append(written(at), more...)), 0o644)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
		return nil
	}
	return err
}

// listed is the text of the list, without folders that are gone.
func listed(dirs []string) []byte {
	var out []byte
	slices.Sort(dirs)
	for _, d := range slices.Compact(dirs) {
		if info, err := os.Lstat(d); err == nil && info.IsDir() && len(out) < maxWritten-8192 {
			out = append(strconv.AppendQuote(out, d), '\n')
		}
	}
	return out
}
