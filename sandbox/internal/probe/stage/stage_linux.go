// Package stage makes the targets of the probes, and runs the probes outside of a
// sandbox. It is for selftest and for tests.
package stage

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/probe"
)

// Canary is a variable of the launcher's environment that must not be visible inside.
const Canary = "MCPEN_PROBE_CANARY"

// suidUID owns the set-user-id copy of the hostile program.
const suidUID = 20002

// Limits that a profile for the probes must set, in the units of World.
const (
	Processes = 96
	TmpBytes  = 8 << 20
	TmpFiles  = 2000
	FileSize  = 64 << 20
	OpenFiles = 256
)

// Stage is a World that exists. It shares nothing with another Stage.
type Stage struct {
	World   probe.World // as seen from outside
	Program string      // the hostile program
	// Err receives the stderr of the probes outside. It is a file, since processes that
	// they leave behind keep it open. Nil means this process's own stderr.
	Err *os.File

	dir    string
	closes []func() error
	// inFolders are the listeners in declared folders, until the next Reset.
	inFolders []io.Closer
	watch     *exec.Cmd
}

// madeVariable is the variable that names a prebuilt hostile program, for a machine without Go.
const madeVariable = "MCPEN_HOSTILE"

// Build compiles the hostile program into dir/bin, where New finds it, and gives both
// folders to the owner. If root calls it, it also makes a set-user-id copy that belongs
// to another user.
func Build(dir string, owner int) error {
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	program := filepath.Join(dir, program)
	if err := build(program); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	b, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	for _, path := range []string{dir, bin, program} {
		if err := os.Chown(path, owner, owner); err != nil {
			return err
		}
	}
	suid := filepath.Join(bin, "suid")
	if err := os.WriteFile(suid, b, 0o755); err != nil {
		return err
	}
	if err := os.Chown(suid, suidUID, suidUID); err != nil {
		return err
	}
	return os.Chmod(suid, 0o755|os.ModeSetuid)
}

// build compiles the hostile program, or copies the prebuilt one.
func build(program string) error {
	if made, ok := os.LookupEnv(madeVariable); ok {
		data, err := os.ReadFile(made)
		if err != nil {
			return err
		}
		return os.WriteFile(program, data, 0o755)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "mcpen/sandbox/internal/probe/hostile")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the hostile program: %w\n%s", err, out)
	}
	return nil
}

// program is the path of the hostile program in the stage's folder.
const program = "bin/hostile"

// Place copies a program that carries the attacks (see probe.Mark) into dir, where New
// finds it.
func Place(dir, binary string) error {
	from, err := os.Open(binary)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(program)), 0o755); err != nil {
		return err
	}
	to, err := os.OpenFile(filepath.Join(dir, program), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = to.ReadFrom(from)
	return errors.Join(err, to.Close())
}

// New makes the world of the current user in dir, where Build or Place has put the
// program. The declared folders lie below the home, as people's folders do. New applies
// the changes to the World before it creates anything. The caller must close the Stage.
func New(dir string, changes ...func(*probe.World)) (*Stage, error) {
	s := &Stage{dir: dir, Program: filepath.Join(dir, program)}
	home := filepath.Join(dir, "home")
	s.World = probe.World{
		Home:    home,
		Secret:  filepath.Join(home, ".ssh", "id_rsa"),
		Outside: filepath.Join(home, "other"),
		Project: filepath.Join(home, "project"),
		Docs:    filepath.Join(home, "docs"),
		State:   filepath.Join(home, ".local", "state", "mcpen", "audit.jsonl"),
		Socket:  filepath.Join(home, "run", "agent.sock"),
		Tmp:     filepath.Join(home, "tmp"),
		SuidUID: suidUID,
		Canary:  Canary,

		Processes: Processes, TmpBytes: TmpBytes, TmpFiles: TmpFiles, FileSize: FileSize, OpenFiles: OpenFiles,
	}
	if suid := filepath.Join(dir, "bin", "suid"); exists(suid) {
		s.World.Suid = suid
	}
	text, err := os.ReadFile("/proc/sys/user/max_inotify_instances")
	if err == nil {
		s.World.Instances, err = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if err != nil {
		return nil, err
	}
	s.World.Node, _ = exec.LookPath("node")
	s.World.Python = "/usr/bin/python3"
	if !exists(s.World.Python) {
		s.World.Python = ""
	}
	for _, change := range changes {
		change(&s.World)
	}
	for _, step := range []func() error{s.Reset, s.stranger, s.listeners, s.sysv, s.posix, s.keyring} {
		if err := step(); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// Close ends and removes everything outside of the stage's folder.
func (s *Stage) Close() error {
	var errs []error
	for _, c := range s.inFolders {
		errs = append(errs, c.Close())
	}
	s.inFolders = nil
	for i := len(s.closes) - 1; i >= 0; i-- {
		errs = append(errs, s.closes[i]())
	}
	s.closes = nil
	return errors.Join(errs...)
}

// Reset recreates the folders and files, since probes remove and move some.
func (s *Stage) Reset() error {
	w := s.World
	if err := removeTree(w.Project); err != nil {
		return err
	}
	for _, dir := range []string{w.Docs, w.Outside, w.Tmp} {
		if err := removeTree(dir); err != nil {
			return err
		}
	}
	for _, dir := range []string{
		w.Outside, w.Docs, w.Tmp, filepath.Dir(w.Secret), filepath.Dir(w.State), filepath.Dir(w.Socket),
		filepath.Join(w.Project, ".git", "hooks"), filepath.Join(w.Project, ".vscode"),
		filepath.Join(w.Project, "sub", ".git", "hooks"), filepath.Join(w.Project, "d1/d2/d3/.git"), filepath.Join(w.Project, ".githooks"),
		filepath.Join(w.Project, "shared"), filepath.Join(w.Project, ".claude"), filepath.Join(w.Project, "team"), filepath.Join(w.Project, "bare/objects"),
		filepath.Join(w.Project, "bare/refs"), filepath.Join(w.Project, "pyenv/lib"),
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(filepath.Dir(s.Program), "planted")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for path, text := range map[string]string{
		w.Secret:                                         "-----BEGIN OPENSSH PRIVATE KEY-----\n",
		w.State:                                          "{}\n",
		filepath.Join(w.Outside, "kept"):                 "kept\n",
		filepath.Join(w.Docs, "page"):                    "a page\n",
		filepath.Join(w.Docs, "page-to-remove"):          "a page\n",
		filepath.Join(w.Docs, "page-to-move"):            "a page\n",
		filepath.Join(w.Project, ".git", "config"):       "[core]\n\thooksPath = .githooks\n",
		filepath.Join(w.Project, "d1/d2/d3/.git/config"): "[core]\n",
		filepath.Join(w.Project, ".githooks/pre-commit"): "#!/bin/sh\n",
		filepath.Join(w.Project, "shared/settings"):      "{}\n",
		filepath.Join(w.Project, "bare/HEAD"):            "ref: refs/heads/main\n",
		filepath.Join(w.Project, "bare/config"):          "[core]\n",
		filepath.Join(w.Project, "pyenv/pyvenv.cfg"):     "home = /usr/bin\n",
		filepath.Join(w.Project, ".vscode/tasks.json"):   "{}\n",
		filepath.Join(w.Project, "sub/.git/config"):      "[core]\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	for path, text := range map[string]string{
		filepath.Join(w.Docs, "to-key"):                   "../.ssh/id_rsa",
		filepath.Join(w.Project, ".vscode/settings.json"): "../shared/settings",
		filepath.Join(w.Project, ".claude/hook"):          "../team/post-merge",
	} {
		if err := os.Symlink(text, path); err != nil {
			return err
		}
	}
	if err := os.Link(filepath.Join(w.Project, "d1/d2/d3/.git/config"), filepath.Join(w.Project, "other-name")); err != nil {
		return err
	}
	return s.daemons()
}

// daemons listens, until the next Reset, on unix sockets in declared folders.
func (s *Stage) daemons() error {
	for _, c := range s.inFolders {
		c.Close()
	}
	s.inFolders = nil
	for _, path := range []string{filepath.Join(s.World.Docs, "daemon.sock"), filepath.Join(s.World.Project, "daemon.sock")} {
		l, err := net.Listen("unix", path)
		if err != nil {
			return err
		}
		s.inFolders = append(s.inFolders, l)
	}
	l, err := net.ListenPacket("unixgram", filepath.Join(s.World.Docs, "log.sock"))
	if err != nil {
		return err
	}
	s.inFolders = append(s.inFolders, l)
	return nil
}

// removeTree removes a folder of the stage.
func removeTree(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("cannot clear the stage: %w", err)
	}
	return nil
}

func exists(path string) bool {
	return unix.Access(path, unix.F_OK) == nil
}
