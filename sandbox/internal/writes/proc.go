package writes

import "strconv"

// procFD is the magic link of a thread's descriptor (proc_pid_fd(5)).
func procFD(tid, fd int) string { return "/proc/" + strconv.Itoa(tid) + "/fd/" + strconv.Itoa(fd) }
