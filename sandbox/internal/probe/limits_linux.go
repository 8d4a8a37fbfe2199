package probe

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// limits are attempts to exhaust the machine. Each stops a little above the limit of
// the profile.
func limits() []Probe {
	return []Probe{
		{ID: "file-size", Loss: "the disk, in one file", How: "pwrite(2) behind the limit",
			Want: "EFBIG", By: Limits,
			Run: func(w World) Result {
				signal.Ignore(unix.SIGXFSZ)
				f, err := os.OpenFile(filepath.Join(w.Project, "large"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
				if err != nil {
					return refused(err)
				}
				defer os.Remove(f.Name())
				defer f.Close()
				_, err = f.WriteAt([]byte("x"), w.FileSize)
				return outcome(err, "")
			}},
		{ID: "open-files", Loss: "the kernel's memory, in descriptors", How: "dup(2) beyond the limit",
			Want: "EMFILE", By: Limits,
			Run: func(w World) Result {
				for range w.OpenFiles + 1 {
					fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
					if err != nil {
						return refused(err)
					}
					defer unix.Close(fd)
				}
				return worked("")
			}},
		{ID: "inotify-instances", Loss: "the next server, and the editor: nobody of the user's watches files any more", How: "inotify_init1(2) as often as half of what the user has",
			Want: "EMFILE", By: Namespaces,
			Run: func(w World) Result {
				for range w.Instances / 2 {
					fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
					if err != nil {
						return refused(err)
					}
					defer unix.Close(fd)
				}
				return worked("")
			}},
		{ID: "raise-nofile", Loss: "the limits", How: "setrlimit(2) back to a hard limit that was given up",
			Want: "EPERM", By: Limits, Twin: TwinRoot, Absent: "EPERM", // root without CAP_SYS_RESOURCE
			Run: func(World) Result {
				var lim unix.Rlimit
				if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
					return refused(err)
				}
				lower := unix.Rlimit{Cur: lim.Max - 1, Max: lim.Max - 1}
				if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lower); err != nil {
					return refused(err)
				}
				return outcome(unix.Setrlimit(unix.RLIMIT_NOFILE, &lim), "")
			}},
		{ID: "tmp-bytes", Loss: "the machine's memory", How: "filling /tmp",
			Want: "ENOSPC", By: Limits,
			Run: func(w World) Result { return filled(w.Tmp, w.TmpBytes, w.FileSize) }},
		{ID: "shm-bytes", Loss: "the machine's memory", How: "filling /dev/shm",
			Want: "ENOSPC|ENOENT", By: Limits,
			Run: func(w World) Result { return filled("/dev/shm", w.TmpBytes, w.FileSize) }},
		{ID: "tmp-inodes", Loss: "the machine's memory, in empty files", How: "creating files in /tmp",
			Want: "ENOSPC", By: Limits,
			Run: func(w World) Result {
				dir, err := os.MkdirTemp(w.Tmp, "many")
				if err != nil {
					return refused(err)
				}
				defer os.RemoveAll(dir)
				for i := range w.TmpFiles + 1 {
					if r := created(filepath.Join(dir, itoa(int(i)))); !r.OK {
						return r
					}
				}
				return worked(itoa(int(w.TmpFiles)) + " files")
			}},
		{ID: "zombies", Loss: "the process table", How: "children whose parent is gone and that nobody reaps",
			Want: Held, By: Namespaces, Twin: TwinUserns,
			Run: func(World) Result { return orphans(20) }},
		{ID: "fork-bomb", Loss: "the machine", How: "as many processes as the limit says, and one more",
			Want: "EAGAIN", By: Limits,
			Run: func(w World) Result { return forked(w.Processes + 1) }},
	}
}

// filled writes bytes+1 bytes into files of a folder.
func filled(dir string, bytes, each int64) Result {
	block := make([]byte, min(1<<20, each))
	for left := bytes + 1; left > 0; {
		f, err := os.CreateTemp(dir, "fill")
		if err != nil {
			return refused(err)
		}
		defer os.Remove(f.Name())
		defer f.Close()
		for file := each; file > 0 && left > 0; {
			n, err := f.Write(block[:min(int64(len(block)), file, left)])
			if err != nil {
				return refused(err)
			}
			file, left = file-int64(n), left-int64(n)
		}
	}
	return worked("filled")
}

// forked makes n single-threaded processes that wait until they are killed. Meanwhile
// it makes only raw calls: at the limit the runtime could not start a thread.
func forked(n int) Result {
	r := worked(itoa(n) + " processes")
	pids := make([]int, 0, n)
	for range n {
		pid, errno := idle()
		if errno != 0 {
			r = refused(errno)
			break
		}
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		unix.Kill(pid, unix.SIGKILL)
		reap(pid)
	}
	return r
}

// orphans leaves n dead processes to the local reaper and checks that it reaps them. A
// process is gone once kill(2) says so; one that stays a zombie stays for ever.
func orphans(n int) Result {
	self, err := os.Executable()
	if err != nil {
		return refused(err)
	}
	var pids []int
	for range n {
		out, err := again(self, verbOrphan).Output()
		if err != nil {
			return refused(err)
		}
		pid, err := strconv.Atoi(string(out))
		if err != nil {
			return refused(err)
		}
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		if reaped(pid) {
			continue
		}
		return worked("process " + itoa(pid) + " was never reaped")
	}
	return held("all reaped")
}

// reaped waits for the end of a process through its pidfd, which the kernel signals at
// its death. It then gives the parent a few seconds to reap it, since nothing signals
// that.
func reaped(pid int) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return true
	}
	if err == nil {
		defer unix.Close(fd)
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(deadline.Milliseconds()/2))
	}
	for range 3000 {
		if unix.Kill(pid, 0) == unix.ESRCH {
			return true
		}
		unix.Poll(nil, 1)
	}
	return false
}
