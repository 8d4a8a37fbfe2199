package launch

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// orderVariable tells the launcher the descriptor of its order.
const orderVariable = "MCPEN_ORDER"

// ErrNone says that there is no launcher to turn into.
var ErrNone = errors.New("this mcpen carries no launcher")

// Program is the launcher on its way into a sealed memory file, which is what
// libcontainer starts a sandbox from without copying it (CVE-2019-5736).
type Program struct {
	done chan struct{}
	file *os.File
	err  error // behind done
}

// Prepare starts to write the launcher's binary down. The empty binary is none.
func Prepare(binary string) *Program {
	p := &Program{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.file, p.err = executable(binary)
	}()
	return p
}

func executable(binary string) (*os.File, error) {
	if binary == "" {
		return nil, ErrNone
	}
	const flags = unix.MFD_ALLOW_SEALING | unix.MFD_CLOEXEC
	f, err := sealed("mcpen", flags|unix.MFD_EXEC, bytesOf(binary))
	if errors.Is(err, unix.EINVAL) { // Linux before 6.3: all memory files are executable
		f, err = sealed("mcpen", flags, bytesOf(binary))
	}
	return f, err
}

// Become turns this process into the launcher, with its arguments, environment
// and stdio as they are. The files stay open in it until it ends. It returns only
// with an error, and then nothing has changed.
func (p *Program) Become(o Order, args, env []string, files ...*os.File) error {
	order, err := o.pack()
	if err != nil {
		return err
	}
	defer order.Close()
	if <-p.done; p.err != nil {
		return p.err
	}
	for _, f := range append(files, order) {
		// Nothing else executes a program meanwhile that these could leak into.
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
			return os.NewSyscallError("fcntl(F_SETFD)", err)
		}
		defer unix.FcntlInt(f.Fd(), unix.F_SETFD, unix.FD_CLOEXEC)
	}
	env = append(withoutOrder(env), orderVariable+"="+strconv.Itoa(int(order.Fd())))
	err = syscall.Exec("/proc/self/fd/"+strconv.Itoa(int(p.file.Fd())), args, env)
	return &os.PathError{Op: "execve", Path: p.file.Name(), Err: err}
}

// received is the order of a launcher, found by its environment.
func received(env []string) (Order, error) {
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, orderVariable+"="); ok {
			fd, err := strconv.Atoi(v)
			if err != nil || fd < 3 {
				return Order{}, fmt.Errorf("internal error: %s=%q is no descriptor", orderVariable, v)
			}
			return unpack(fd)
		}
	}
	return Order{}, errors.New("internal error: the launcher was started without an order; it is a part of mcpen, which starts it")
}

func withoutOrder(env []string) []string {
	var out []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, orderVariable+"=") {
			out = append(out, kv)
		}
	}
	return out
}
