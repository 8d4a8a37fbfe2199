package probe

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ipc are the host's shared memory, semaphores and queues.
func ipc() []Probe {
	const loss = "what the user's programs share in memory"
	row := func(id, how, want string, by Layers, run func(*arena, World) error) Probe {
		return Probe{ID: id, Loss: loss, How: how, Want: want, By: by, Absent: "ENOSYS",
			Run: func(w World) Result { return outcome(run(new(arena), w), "") }}
	}
	return []Probe{
		row("sysv-shm", "shmget(2) of a key that exists outside", "ENOENT", Namespaces, func(a *arena, w World) error {
			_, err := sys(a, unix.SYS_SHMGET, uintptr(w.IPC), 0, 0)
			return err
		}),
		row("sysv-sem", "semget(2) of a key that exists outside", "ENOENT", Namespaces, func(a *arena, w World) error {
			_, err := sys(a, unix.SYS_SEMGET, uintptr(w.IPC), 0, 0)
			return err
		}),
		row("sysv-msg", "msgget(2) of a key that exists outside", "ENOENT", Namespaces, func(a *arena, w World) error {
			_, err := sys(a, unix.SYS_MSGGET, uintptr(w.IPC), 0)
			return err
		}),
		row("mqueue", "mq_open(3) of a queue that exists outside", "ENOENT", Namespaces, func(a *arena, w World) error {
			return closed(sys(a, unix.SYS_MQ_OPEN, a.str(w.Queue), unix.O_RDWR|unix.O_CLOEXEC, 0, 0))
		}),
		row("posix-shm", "open(2) of a file in the host's /dev/shm", "ENOENT", Namespaces|Landlock, func(_ *arena, w World) error {
			return readable(filepath.Join("/dev/shm", w.Shm))
		}),
	}
}
