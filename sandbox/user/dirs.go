package user

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
)

// Dirs says where things are for this user.
type Dirs struct {
	Home    string // "" if there is none
	Config  string // ~/.config/mcpen: profiles and their locks
	State   string // ~/.local/state/mcpen: logs, each server's own directory, the package store
	Runtime string // the files of a run, while it runs
	Bus     string // the folder of the session's sockets: XDG_RUNTIME_DIR, or logind's
	Cwd     string
	Machine string // the administrator's own configuration
	// Login holds the directories by the password database. A client's configuration,
	// which may be a repository's, can set HOME and XDG variables, but these move no
	// protection of the login directories and no decision about trust.
	Login policy.Dirs
}

// logind is where it keeps the folders of sessions.
const logind = "/run/user"

// loginDir is the folder that logind made for the user's sessions, or "": su, cron
// and some editors start programs without XDG_RUNTIME_DIR beside a manager that is
// there all the same (pam_systemd(8), user@.service(5)).
func loginDir(logind string, uid int) string {
	dir := filepath.Join(logind, strconv.Itoa(uid))
	var st unix.Stat_t
	if unix.Lstat(dir, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != uid || st.Mode&0o077 != 0 {
		return ""
	}
	return dir
}

// Dirs reads the environment. An unset or relative home counts as none; the runtime
// directory then takes its place.
func (p *Person) Dirs() (Dirs, error) {
	d := Dirs{Home: Absolute(p.Getenv("HOME")), Machine: p.Machine}
	var err error
	if d.Cwd, err = os.Getwd(); err != nil {
		d.Cwd = "" // it was removed: nothing needs it
	}
	if d.Bus = Absolute(p.Getenv("XDG_RUNTIME_DIR")); d.Bus == "" {
		d.Bus = loginDir(logind, os.Getuid())
	}
	dir := func(variable, inHome string) string {
		if d := Absolute(p.Getenv(variable)); d != "" {
			return filepath.Join(d, "mcpen")
		}
		if d.Home == "" {
			return ""
		}
		return filepath.Join(d.Home, inHome, "mcpen")
	}
	d.Config = dir("XDG_CONFIG_HOME", ".config")
	d.State = dir("XDG_STATE_HOME", ".local/state")
	d.Login = policy.Dirs{Home: d.Home, State: d.State, Config: d.Config}
	if home := host.PasswdHome(p.Passwd, os.Getuid()); home != "" {
		d.Login = policy.Dirs{Home: home, State: filepath.Join(home, ".local/state/mcpen"), Config: filepath.Join(home, ".config/mcpen")}
	}
	if usable(d.Bus) {
		d.Runtime = filepath.Join(d.Bus, "mcpen")
		return d, nil
	}
	d.Runtime, err = runtimeIn(p.temporary(), d.State, false)
	return d, err
}

// DirsToRun is Dirs for starting a sandbox: it chooses the name of the runtime
// directory if there is none yet.
func (p *Person) DirsToRun() (Dirs, error) {
	d, err := p.Dirs()
	if err != nil {
		return d, err
	}
	if !usable(d.Bus) {
		d.Runtime, err = runtimeIn(p.temporary(), d.State, true)
	}
	launch.UseBus(d.Bus)
	return d, err
}

// runtimeIn is the runtime directory in a folder that others may write to. Its name is
// unguessable, so that nobody takes it first, and is kept below state. If another user
// has taken the name all the same, runtimeIn chooses another, if it may choose. Without
// a state directory, or before the choice, it returns the name of the user.
func runtimeIn(shared, state string, choose bool) (string, error) {
	plain := filepath.Join(shared, fmt.Sprintf("mcpen-%d", os.Getuid()))
	if state == "" {
		return plain, nil
	}
	kept := filepath.Join(state, "runtime", url.PathEscape(shared))
	if dir, err := os.Readlink(kept); err == nil && strings.HasPrefix(dir, plain+"-") && filepath.Dir(dir) == shared && !taken(dir) {
		return dir, nil
	}
	if !choose {
		return plain, nil
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o700); err != nil {
		return plain, nil // an unwritable home: the start checks the directory's owner
	}
	dir := plain + "-" + rand.Text()
	link := kept + "." + rand.Text()
	if err := os.Symlink(dir, link); err != nil {
		return plain, nil
	}
	if err := os.Rename(link, kept); err != nil {
		os.Remove(link)
		return "", fmt.Errorf("cannot keep the name of the runtime directory: %w", err)
	}
	// Of two that do so at once the last one's name holds.
	if now, err := os.Readlink(kept); err == nil {
		dir = now
	}
	return dir, nil
}

// taken reports whether a name belongs to another user.
func taken(dir string) bool {
	var st unix.Stat_t
	err := unix.Lstat(dir, &st)
	return err == nil && (int(st.Uid) != os.Geteuid() || st.Mode&unix.S_IFMT != unix.S_IFDIR)
}

// temporary is where a runtime directory of our own lies that no session manager
// made (cron, su, a container); its owner and mode are checked before it is used.
// A root is built there at every start, which takes ten times as long on a disk.
func (p *Person) temporary() string {
	const memory = "/dev/shm"
	if dir := Absolute(p.Getenv("TMPDIR")); dir != "" {
		return dir
	}
	if usable(memory) {
		return memory
	}
	return "/tmp"
}

// usable reports whether XDG_RUNTIME_DIR is there: su and sudo leave a stale
// value behind.
func usable(dir string) bool {
	if dir == "" {
		return false
	}
	st, err := os.Stat(dir)
	return err == nil && st.IsDir() && unix.Access(dir, unix.W_OK|unix.X_OK) == nil
}

// Absolute is a clean absolute path, or "" for any other.
func Absolute(path string) string {
	if !filepath.IsAbs(path) {
		return ""
	}
	return filepath.Clean(path)
}

// LogDir is the folder of the logs, or "" if there is no place for them.
func LogDir(d Dirs) string {
	if d.State == "" {
		return ""
	}
	return filepath.Join(d.State, "log")
}

// MachineProfiles is the folder of the profiles of this machine's administrator.
func (d Dirs) MachineProfiles() string { return filepath.Join(d.Machine, "profiles") }

// Tilde is a path as a person writes it: with "~" for the home.
func (d Dirs) Tilde(path string) string {
	if rest, ok := strings.CutPrefix(path, d.Home+"/"); ok && d.Home != "" {
		return "~/" + rest
	}
	return path
}
