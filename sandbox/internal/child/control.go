package child

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Control is one end of the socket between the launcher and the stages inside. It
// carries whole messages and, with some, descriptors. Send and Receive may run at the
// same time, each on one goroutine.
type Control struct {
	f *os.File
}

// Kind is the kind of a Message.
type Kind string

// The messages. pid 1 sends Listeners; then the exec stage sends Notify (if the plan
// asks for it); then pid 1 sends Started or Failed, and finally Exited. The launcher
// sends Signal, a single byte, because C code reads it (keeper.c). The end of the
// socket tells each side that the other is gone.
const (
	Listeners Kind = "listeners" // descriptors: see listeners.Listen
	Laid      Kind = "laid"      // two descriptors: the desk's home, and its folder for temporary files
	Notify    Kind = "notify"    // one descriptor: the seccomp listener, if there is no mediator
	Seen      Kind = "seen"      // the mediator refused a call, or saw one fail: Data is a seccomp.Call
	Started   Kind = "started"   // the server runs; PID is its pid inside
	Failed    Kind = "failed"    // it will not run: Step and Error give the reason
	Exited    Kind = "exited"    // Code or Signal
	Signal    Kind = "signal"    // send Signal to the server; 0 acknowledges Exited
)

// Message is one message.
type Message struct {
	Kind   Kind            `json:"kind"`
	PID    int             `json:"pid,omitempty"`
	Step   string          `json:"step,omitempty"`
	Error  string          `json:"error,omitempty"`
	Errno  int             `json:"errno,omitempty"`
	Code   int             `json:"code,omitempty"`
	Signal int             `json:"signal,omitempty"`
	Stage  []int           `json:"stage,omitempty"` // of the keeper's Failed: see Explain
	Data   json.RawMessage `json:"data,omitempty"`

	Files []*os.File `json:"-"` // the receiver must close them
}

func (m Message) encode() ([]byte, error) {
	if m.Kind == Signal {
		return []byte{byte(m.Signal)}, nil
	}
	return json.Marshal(m)
}

func decode(data []byte) (Message, error) {
	if len(data) == 1 {
		return Message{Kind: Signal, Signal: int(data[0])}, nil
	}
	var m Message
	return m, json.Unmarshal(data, &m)
}

// maxMessage bounds a message, in bytes; real ones are far smaller.
const maxMessage = 64 << 10

// maxFiles bounds the descriptors of one message (SCM_MAX_FD is 253).
const maxFiles = 200

// NewControl returns the launcher's end and the file for pid 1. The caller must close
// both.
func NewControl() (*Control, *os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return &Control{os.NewFile(uintptr(pair[0]), "control")}, os.NewFile(uintptr(pair[1]), "control"), nil
}

// patience is the longest time for which Send waits for room for descriptors: the other
// side receives them as soon as it gets a processor.
const patience = 10 * time.Second

// Send sends one message with its Files, which stay open. The kernel limits the
// descriptors in flight of all of a user's processes to the limit of open files
// (ETOOMANYREFS, unix(7)). At the limit Send waits until some have arrived.
func (c *Control) Send(m Message) error {
	data, err := m.encode()
	if err != nil {
		return fmt.Errorf("internal error: cannot encode a message: %w", err)
	}
	var oob []byte
	if len(m.Files) > 0 {
		fds := make([]int, len(m.Files))
		for i, f := range m.Files {
			fds[i] = int(f.Fd())
		}
		oob = unix.UnixRights(fds...)
	}
	for began, pause := time.Now(), time.Millisecond; ; {
		err := unix.Sendmsg(int(c.f.Fd()), data, oob, nil, unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
		case err == unix.ETOOMANYREFS && time.Since(began) < patience:
			time.Sleep(pause)
			pause = min(2*pause, 50*time.Millisecond)
		default:
			return os.NewSyscallError("sendmsg", err)
		}
	}
}

// Receive waits for one message. It returns io.EOF once the other side is gone. It
// blocks a thread; Shutdown wakes it, Close does not.
func (c *Control) Receive() (Message, error) {
	buf := make([]byte, maxMessage)
	oob := make([]byte, unix.CmsgSpace(4*maxFiles))
	var n, on, flags int
	for {
		var err error
		n, on, flags, _, err = unix.Recvmsg(int(c.f.Fd()), buf, oob, unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err == unix.ECONNRESET {
			return Message{}, io.EOF
		}
		if err != nil {
			return Message{}, os.NewSyscallError("recvmsg", err)
		}
		break
	}
	files, err := rights(oob[:on])
	if err != nil {
		return Message{}, err
	}
	if n == 0 && len(files) == 0 {
		return Message{}, io.EOF
	}
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		closeAll(files)
		return Message{}, errors.New("internal error: a message was cut")
	}
	m, err := decode(buf[:n])
	if err != nil {
		closeAll(files)
		return Message{}, fmt.Errorf("internal error: cannot decode a message: %w", err)
	}
	m.Files = files
	return m, nil
}

// Shutdown shuts down both directions: a Receive on either side returns.
func (c *Control) Shutdown() error {
	return os.NewSyscallError("shutdown", unix.Shutdown(int(c.f.Fd()), unix.SHUT_RDWR))
}

// Close closes this end.
func (c *Control) Close() error { return c.f.Close() }

func rights(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, os.NewSyscallError("recvmsg", err)
	}
	var files []*os.File
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue // not descriptors
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
