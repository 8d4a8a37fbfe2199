// Package launch carries out one run: an Order holds the plan, the Journal is its log,
// and a PinFile stores a person's decisions about the server's definitions. It also
// reports why a run failed. All input comes from the order: the package reads no
// arguments, profiles or packages. Package server prepares those.
//
// "mcpen run" ends in it. A program that starts servers itself may do the same with
// Order.Run. The launcher (cmd/mcpen-launcher) contains nothing but this package. mcpen
// carries that program and executes it in its place once the plan is complete: the
// launcher has half the size and a fresh heap, stays beside the server for the server's
// whole life, and the stages inside the sandbox are copies of it. mcpen itself does the
// work if it carries no launcher, or if the machine does not execute memory files.
package launch

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// Order is the complete input of a run.
type Order struct {
	Version int       `json:"version"` // plan.Version: both are of one build
	Plan    plan.Plan `json:"plan"`
	// Secrets are the values of the plan's secrets, by variable.
	Secrets map[string]string `json:"secrets,omitempty"`
	// Logins are the credentials of the plan's proxies, by their address.
	Logins map[string]string `json:"logins,omitempty"`

	Procs   int    `json:"procs"`             // the number of processors that a running server's launcher may use
	Quiet   bool   `json:"quiet,omitempty"`   // no line on stderr at the start
	Verbose bool   `json:"verbose,omitempty"` // the start's line names every gap, also those of the last start
	Death   string `json:"death,omitempty"`   // a hint for a server that ends with an error
	Bus     string `json:"bus,omitempty"`     // the folder of the session's sockets: see UseBus
	Allow   string `json:"allow,omitempty"`   // the server's name for "mcpen allow"; "": its profile cannot be written
	// Withheld names the variables that are set where mcpen was started and that the
	// server does not get.
	Withheld []string `json:"withheld,omitempty"`
	Logs     string   `json:"logs,omitempty"`   // the directory of the logs; "": none
	Pins     PinFile  `json:"pins"`             // the decisions about this server's definitions
	Keep     bool     `json:"keep,omitempty"`   // store the definitions seen for the first time in Pins
	Config   string   `json:"config,omitempty"` // the configuration, where the user's other servers have their pins
	State    string   `json:"state,omitempty"`  // the state directory, with the index of those pins
}

// NewOrder makes an order for a plan with the values of its secrets.
func NewOrder(p plan.Plan) Order {
	o := Order{Version: plan.Version, Plan: p, Secrets: map[string]string{}, Logins: map[string]string{}, Procs: runtime.GOMAXPROCS(0)}
	for _, one := range p.Network.Proxies.Both() {
		o.Logins[one.Via] = string(one.Login)
	}
	for _, s := range p.Process.Secrets {
		o.Secrets[s.Name] = string(s.Value)
	}
	return o
}

// pack writes the order into a sealed memory file, which no other process can change.
func (o Order) pack() (*os.File, error) {
	data, err := plan.Encode(o)
	if err != nil {
		return nil, fmt.Errorf("internal error: cannot encode the order: %w", err)
	}
	return sealed("mcpen-order", data)
}

// unpack reads an order from a descriptor and closes it.
func unpack(fd int) (Order, error) {
	f := os.NewFile(uintptr(fd), "order")
	if f == nil {
		return Order{}, fmt.Errorf("internal error: no descriptor %d", fd)
	}
	defer f.Close()
	seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if err != nil || seals&allSeals != allSeals {
		return Order{}, errors.New("internal error: the order is no sealed memory file")
	}
	st, err := f.Stat()
	if err != nil {
		return Order{}, fmt.Errorf("cannot read the order: %w", err)
	}
	data := make([]byte, st.Size())
	if _, err := f.ReadAt(data, 0); err != nil && len(data) > 0 {
		return Order{}, fmt.Errorf("cannot read the order: %w", err)
	}
	var o Order
	if err := plan.Decode(data, &o); err != nil {
		return Order{}, fmt.Errorf("internal error: cannot decode the order: %w", err)
	}
	if o.Version != plan.Version {
		return Order{}, fmt.Errorf("internal error: order version %d, want %d", o.Version, plan.Version)
	}
	values := map[string]plan.Opaque{}
	for _, s := range o.Plan.Process.Secrets {
		v, ok := o.Secrets[s.Name]
		if !ok {
			return Order{}, fmt.Errorf("internal error: the secret %q was not fetched", s.Name)
		}
		values[s.Name] = plan.Opaque(v)
	}
	logins := map[string]plan.Opaque{}
	for via, login := range o.Logins {
		logins[via] = plan.Opaque(login)
	}
	o.Plan = o.Plan.WithSecrets(values).WithLogins(logins)
	return o, nil
}

const allSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// sealed returns a memory file that nobody can change any more.
func sealed(name string, data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_ALLOW_SEALING|unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(data); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, allSeals); err != nil {
		f.Close()
		return nil, os.NewSyscallError("fcntl(F_ADD_SEALS)", err)
	}
	return f, nil
}
