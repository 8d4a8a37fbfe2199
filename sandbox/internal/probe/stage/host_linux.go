package stage

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/probe"
)

// beyond is a pid that no process inside a sandbox reaches, since pids count from 1
// there.
const beyond = 4096

// stranger starts the process outside. Its pid must not also exist inside, where an
// attack by pid would hit the wrong process. If the machine's pids have just wrapped
// around, stranger uses up some pids first.
func (s *Stage) stranger() error {
	for {
		p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
		if err != nil {
			return err
		}
		if _, err := p.Wait(); err != nil {
			return err
		}
		if p.Pid >= beyond {
			break
		}
	}
	cmd := exec.Command(s.Program, probe.Mark, "wait")
	cmd.Env = []string{Canary + "=stranger"}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.watch = cmd
	s.World.Stranger, s.World.Pid = cmd.Process.Pid, cmd.Process.Pid
	s.closes = append(s.closes, func() error {
		stdin.Close()
		return cmd.Wait()
	})
	return nil
}

// listeners starts the host's services on loopback and on unix sockets.
func (s *Stage) listeners() error {
	four, err := listenLow()
	if err != nil {
		return err
	}
	s.serve(four)
	port := four.Addr().(*net.TCPAddr).Port
	s.World.TCP = uint16(port)
	// Without IPv6, the probe's row says so.
	if six, err := net.Listen("tcp6", fmt.Sprintf("[::1]:%d", port)); err == nil {
		s.serve(six)
	}
	os.Remove(s.World.Socket)
	path, err := net.Listen("unix", s.World.Socket)
	if err != nil {
		return err
	}
	s.serve(path)
	s.World.Abstract = "mcpen-probe-" + rand.Text()
	abstract, err := net.Listen("unix", "@"+s.World.Abstract)
	if err != nil {
		return err
	}
	s.serve(abstract)

	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	s.World.UDP = uint16(udp.LocalAddr().(*net.UDPAddr).Port)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64)
		for {
			n, from, err := udp.ReadFromUDP(buf)
			if err != nil {
				return
			}
			udp.WriteToUDP(buf[:n], from)
		}
	}()
	s.closes = append(s.closes, func() error {
		err := udp.Close()
		<-done
		return err
	})
	return nil
}

// listenLow listens on a port that the kernel picks, outside of the local ports of a
// sandbox: Landlock allows those, and the network namespace would refuse them instead.
func listenLow() (net.Listener, error) {
	for {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil || l.Addr().(*net.TCPAddr).Port < 50000 {
			return l, err
		}
		defer l.Close()
	}
}

// serve accepts and closes connections until the stage is closed.
func (s *Stage) serve(l net.Listener) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	s.closes = append(s.closes, func() error {
		err := l.Close()
		<-done
		return err
	})
}

// sysv makes a shared memory segment, a semaphore and a message queue.
func (s *Stage) sysv() error {
	var key [4]byte
	rand.Read(key[:])
	s.World.IPC = int(binary.NativeEndian.Uint32(key[:])&0x7fffffff | 1)
	const create = unix.IPC_CREAT | unix.IPC_EXCL | 0o600
	for _, c := range []struct {
		name     string
		get, ctl uintptr
		args     [2]uintptr
	}{
		{"shmget", unix.SYS_SHMGET, unix.SYS_SHMCTL, [2]uintptr{4096, create}},
		{"semget", unix.SYS_SEMGET, unix.SYS_SEMCTL, [2]uintptr{1, create}},
		{"msgget", unix.SYS_MSGGET, unix.SYS_MSGCTL, [2]uintptr{create, 0}},
	} {
		id, _, errno := unix.Syscall(c.get, uintptr(s.World.IPC), c.args[0], c.args[1])
		if errno != 0 {
			return os.NewSyscallError(c.name, errno)
		}
		s.closes = append(s.closes, func() error {
			second, third := uintptr(unix.IPC_RMID), uintptr(0)
			if c.name == "semget" {
				second, third = 0, unix.IPC_RMID // semctl(id, number, command)
			}
			if _, _, errno := unix.Syscall(c.ctl, id, second, third); errno != 0 {
				return os.NewSyscallError(c.name, errno)
			}
			return nil
		})
	}
	return nil
}

// posix makes a message queue and a file of shared memory.
func (s *Stage) posix() error {
	s.World.Queue = "mcpen-probe-" + rand.Text()
	if err := queue(s.World.Queue); err != nil {
		return err
	}
	s.closes = append(s.closes, func() error { return unqueue(s.World.Queue) })

	s.World.Shm = "mcpen-probe-" + rand.Text()
	path := "/dev/shm/" + s.World.Shm
	if err := os.WriteFile(path, []byte("shared"), 0o600); err != nil {
		return err
	}
	s.closes = append(s.closes, func() error { return os.Remove(path) })
	return nil
}

// keyring makes the user's own keyring, as a login does: without it there would be no
// keys to see. The kernel keeps it.
func (s *Stage) keyring() error {
	const user = -4 // KEY_SPEC_USER_KEYRING, keyctl(2)
	if _, err := unix.KeyctlGetKeyringID(user, true); err != nil {
		return os.NewSyscallError("keyctl", err)
	}
	return nil
}
