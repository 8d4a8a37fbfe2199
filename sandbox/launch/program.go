package launch

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/scope"
	"mcpen/sandbox/policy"
)

// orderVariable passes the descriptor of the order to the launcher.
const orderVariable = "MCPEN_ORDER"

// procsVariable limits the processors of Go programs.
const procsVariable = "GOMAXPROCS"

// Become executes the launcher image in place of this process, with its arguments,
// environment and stdio unchanged. The files stay open until the launcher ends. Become
// returns only on error, and then nothing has changed.
func Become(image *os.File, o Order, args, env []string, files ...*os.File) error {
	order, err := o.pack()
	if err != nil {
		return err
	}
	defer order.Close()
	for _, f := range append(files, order) {
		// No other exec can happen meanwhile and leak these.
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
			return os.NewSyscallError("fcntl(F_SETFD)", err)
		}
		defer unix.FcntlInt(f.Fd(), unix.F_SETFD, unix.FD_CLOEXEC)
	}
	// The stages of a start wait for one another. With more than one processor each of
	// them would only start threads that look for work.
	env = without(env, orderVariable, procsVariable, scope.Variable)
	if o.Plan.Holds(policy.LayerLandlock) && o.Plan.Landlock.ABI >= scope.ABI {
		env = append(env, scope.Variable+"=1")
	}
	env = append(env, orderVariable+"="+strconv.Itoa(int(order.Fd())), procsVariable+"=1")
	err = syscall.Exec("/proc/self/fd/"+strconv.Itoa(int(image.Fd())), args, env)
	return &os.PathError{Op: "execve", Path: image.Name(), Err: err}
}

// received returns the order of a launcher, found through its environment.
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

func without(env []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(names, name)
	})
}
