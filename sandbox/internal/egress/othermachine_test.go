package egress

import (
	"os"
	"os/exec"
	"testing"
)

// systemd mounts /proc with options that a user namespace cannot remove, and may hide
// other users' processes; a container's pid 1 often reaps nothing. A datagram fails at
// once there as well.
func TestUDPFailsAtOnceOnAnotherMachine(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root: nobody else mounts a /proc with options")
	}
	self, err := os.Executable()
	must(t, err)
	const stage = `mount --make-rprivate / && mount -t proc -o nosuid,nodev,noexec,hidepid=2 proc /proc && exec "$0" -test.run='^TestUDPFailsAtOnce$' -test.count=1`
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", stage, self)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
