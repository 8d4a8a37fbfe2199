package stage

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/probe"
)

// Outside runs the probes outside of the sandbox, each where its twin must succeed, and
// returns their results by ID. It leaves out rows that need root if the caller is not
// root. If via is set, it is executed instead of the hostile program, with that
// program's command line appended.
func (s *Stage) Outside(probes []probe.Probe, via ...string) (map[string]probe.Result, error) {
	probes = slices.Clone(probes)
	probes = slices.DeleteFunc(probes, func(p probe.Probe) bool { return p.Twin == probe.TwinRoot && os.Geteuid() != 0 })
	for i, p := range probes {
		if p.Twin == probe.TwinRoot {
			probes[i].Twin = probe.TwinPlain
		}
	}
	results := map[string]probe.Result{}
	for _, at := range Sites(probes) {
		got, err := s.At(at, via...)
		if err != nil {
			return nil, err
		}
		maps.Copy(results, got)
	}
	return results, s.Reset()
}

// Site is a place outside where probes run together.
type Site struct {
	Twin probe.Twin // as root or plain: as this process's user
	TTY  bool
	IDs  []string
}

// Sites returns the sites of the probes, in their order.
func Sites(probes []probe.Probe) []Site {
	var sites []Site
	for _, p := range probes {
		i := slices.IndexFunc(sites, func(s Site) bool { return s.Twin == p.Twin && s.TTY == p.TTY })
		if i < 0 {
			i, sites = len(sites), append(sites, Site{Twin: p.Twin, TTY: p.TTY})
		}
		sites[i].IDs = append(sites[i].IDs, p.ID)
	}
	return sites
}

// At runs the probes of one site, and does not restore the world afterwards.
func (s *Stage) At(at Site, via ...string) (map[string]probe.Result, error) {
	return s.run(at.Twin, at.TTY, at.IDs, via)
}

// run starts the hostile program as a careless launcher would: a socket (or a terminal)
// on stdin, a file on stdout, an extra descriptor, a supplementary group, the whole
// environment.
func (s *Stage) run(twin probe.Twin, tty bool, ids, via []string) (map[string]probe.Result, error) {
	if err := s.Reset(); err != nil {
		return nil, err
	}
	out, err := s.Output(filepath.Join(s.World.Project, "results.jsonl"))
	if err != nil {
		return nil, err
	}
	world, err := json.Marshal(s.World)
	if err != nil {
		return nil, err
	}
	argv := slices.Concat(via, []string{s.Program, probe.Mark, "run", string(world), out}, ids)
	if twin == probe.TwinUserns {
		argv = append([]string{s.Program, probe.Mark, "proc"}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), Canary+"=launcher")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Groups: []uint32{20009}}
	}
	if twin == probe.TwinUserns {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID |
				unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		}
	}
	stdin, other, err := clientEnd(tty)
	if err != nil {
		return nil, err
	}
	defer other.Close()
	defer stdin.Close()
	if tty {
		cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	}
	stdout, err := os.Create(filepath.Join(s.dir, "home", "stdout"))
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, s.Err
	if s.Err == nil {
		cmd.Stderr = os.Stderr
	}
	cmd.ExtraFiles = []*os.File{stdout}
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(stdout.Name())
		return nil, fmt.Errorf("cannot run the probes outside: %w\n%s", err, said)
	}
	return Read(out)
}

// Socket returns a socket for stdin, and the client's end of it.
func Socket() (end, other *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "stdin"), os.NewFile(uintptr(fds[1]), "client"), nil
}

// clientEnd returns a socket, which clients built on libuv use for their servers'
// stdio, or the slave side of a terminal; and its other end.
func clientEnd(tty bool) (end, other *os.File, err error) {
	if !tty {
		return Socket()
	}
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		master.Close()
		return nil, nil, os.NewSyscallError("ioctl", err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		master.Close()
		return nil, nil, err
	}
	return slave, master, nil
}

// Output makes the empty file that collects the results.
func (s *Stage) Output(path string) (string, error) {
	return path, os.WriteFile(path, nil, 0o600)
}

// Read returns the results in a file by ID.
func Read(path string) (map[string]probe.Result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	results := map[string]probe.Result{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r probe.Result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("cannot read results: %w", err)
		}
		results[r.ID] = r
	}
	return results, lines.Err()
}
