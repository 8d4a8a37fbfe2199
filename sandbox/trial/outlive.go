package trial

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// settle is how long the helpers of a server may take to notice that it is gone.
const settle = 300 * time.Millisecond

// outliving closes the server's stdin and waits for its end, at most for the limit. It
// records the processes that go on without the server. The sandbox ends all of them once
// the first process hears of the end, so that process is stopped meanwhile (kill(2): a
// process of an outer pid namespace may do so). Where the record knows no processes,
// outliving only closes.
func (r *record) outliving(in *os.File, limit time.Duration) {
	r.mu.Lock()
	keeper, server := r.keeper, r.server
	r.mu.Unlock()
	fd, err := unix.PidfdOpen(server, 0)
	if server == 0 || err != nil {
		in.Close()
		return
	}
	defer unix.Close(fd)
	if unix.Kill(keeper, unix.SIGSTOP) == nil {
		defer unix.Kill(keeper, unix.SIGCONT)
	}
	in.Close()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(limit.Milliseconds())); err != nil || n == 0 {
		return
	}
	left := living(keeper)
	for wait := settle; len(left) > 0 && wait > 0; wait -= settle / 10 {
		time.Sleep(settle / 10)
		left = living(keeper)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for pid, name := range left {
		if _, ok := r.orphans[pid]; !ok && len(r.orphans) < 64 {
			r.orphans[pid] = visible(name) + ", " + r.phase
		}
	}
}

// living returns the names of a process's children that have not ended.
func living(parent int) map[int]string {
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	if err != nil {
		return nil
	}
	out := map[int]string{}
	for field := range strings.FieldsSeq(string(list)) {
		stat, err := os.ReadFile("/proc/" + field + "/stat") // PID (COMM) STATE …: proc_pid_stat(5)
		begin, end := strings.IndexByte(string(stat), '('), strings.LastIndexByte(string(stat), ')')
		if err != nil || begin < 0 || end < begin || len(stat) < end+3 || stat[end+2] == 'Z' || stat[end+2] == 'X' {
			continue
		}
		if pid, err := strconv.Atoi(field); err == nil {
			out[pid] = string(stat[begin+1 : end])
		}
	}
	return out
}
