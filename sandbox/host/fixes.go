package host

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// cause says why this process cannot make the namespaces, and how to mend it.
type cause struct {
	why      string
	fix      func(Facts) []string
	appArmor bool // fix is AppArmorProfile
}

// causeOf finds the cause of the first failed step. The kernel's errno does not name
// it: EPERM stands for a filter, for AppArmor and for a masked /proc alike. The step
// and the survey decide.
func causeOf(f Facts) cause {
	step, failed := f.Depths.failed(namespaceSteps...)
	none := func(Facts) []string { return nil }
	if !failed { // nothing was tried: a limit spoke
		step = Step{Name: stepUser, Errno: unix.ENOSPC}
	}
	eperm := step.Errno == unix.EPERM || step.Errno == unix.EACCES
	maps := []string{stepGroups, stepUIDs, stepGIDs, stepRoot}
	switch {
	case f.Around.CloneUser == "0" && f.Host.UID != 0:
		return cause{why: "kernel.unprivileged_userns_clone is 0", fix: func(Facts) []string { return sysctlFix("kernel.unprivileged_userns_clone", "1") }}
	case step.Name == stepUser && step.Errno == unix.ENOSPC, f.Around.MaxUser == "0":
		return cause{why: "no more user namespaces are allowed", fix: func(Facts) []string { return sysctlFix("user.max_user_namespaces", "15000") }}
	case step.Errno == unix.EUSERS:
		return cause{why: "user namespaces are nested too deeply", fix: none}
	case f.Around.Flatpak, f.Around.Snap:
		return cause{why: "the client is itself confined", fix: none}
	case step.Name == stepProc && eperm && f.Around.RestrictUser != "1":
		return cause{why: "parts of /proc are masked here, and the kernel lets nobody uncover them with a new one", fix: unmaskFix}
	case eperm && f.Around.RestrictUser == "1" && f.Host.UID != 0:
		return cause{why: "AppArmor keeps user namespaces of unconfined programs without rights", fix: func(f Facts) []string { return appArmorFix(f.Binary) }, appArmor: true}
	case eperm && confining(f.Around) && f.Host.UID != 0:
		return cause{why: fmt.Sprintf("AppArmor's profile %q lets no program of it have user namespaces", f.Around.AppArmor), fix: func(f Facts) []string { return appArmorFix(f.Binary) }, appArmor: true}
	case (step.Name == stepUser || step.Name == stepHostname) && (eperm || step.Errno == unix.ENOSYS):
		return cause{why: "a system call filter or a chroot is in the way", fix: func(f Facts) []string { return containerFix(f.Around.Container) }}
	case step.Name == stepUser && step.Errno == unix.EINVAL:
		return cause{why: "the kernel has no user namespaces", fix: none}
	case slices.Contains(maps, step.Name) && eperm:
		return cause{why: "a security module refuses the map", fix: func(f Facts) []string { return containerFix(f.Around.Container) }}
	case step.Name == stepPrivate && eperm:
		return cause{why: "the process that started mcpen is in a Landlock domain or a security profile, where nobody may mount",
			fix: func(Facts) []string { return []string{"# start mcpen outside of that sandbox"} }}
	}
	if old, known := belowFloor(f.Host.Kernel); old && known && step.Errno == unix.ENOSYS {
		return cause{why: "this kernel is too old", fix: none}
	}
	return cause{why: "refused here", fix: func(f Facts) []string { return containerFix(f.Around.Container) }}
}

// confining reports whether an AppArmor profile confines this process, as an
// administrator may set one for sessions. The profile of a container does not count; it
// is its runtime's.
func confining(s Survey) bool {
	return s.Container == "" && s.AppArmor != "" && s.AppArmor != "unconfined" && !strings.HasSuffix(s.AppArmor, "(unconfined)")
}

// sysctlFix sets a value now and for later boots.
func sysctlFix(key, value string) []string {
	return []string{
		fmt.Sprintf("echo '%s = %s' | sudo tee -a /etc/sysctl.d/90-mcpen.conf", key, value),
		"sudo sysctl --system",
	}
}

// containerFix returns the runtime's options with which a container can hold the
// sandbox. They take away protections of the container, so they are listed per runtime
// and never are --privileged.
func containerFix(container string) []string {
	switch container {
	case "":
		return []string{"# start mcpen outside of the sandbox, chroot or service that refuses it"}
	case "podman":
		return []string{"podman run --security-opt unmask=ALL --security-opt seccomp=unconfined …"}
	case "kubernetes":
		return []string{
			"# in the pod's spec:",
			"hostUsers: false",
			"# in the container's spec:",
			"securityContext: {procMount: Unmasked, seccompProfile: {type: Unconfined}}",
		}
	}
	return []string{
		"docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined --security-opt apparmor=unconfined …",
		"# or in devcontainer.json, then rebuild:",
		`"runArgs": ["--security-opt=seccomp=unconfined", "--security-opt=systempaths=unconfined", "--security-opt=apparmor=unconfined"]`,
	}
}

func unmaskFix(f Facts) []string {
	switch f.Around.Container {
	case "":
		return []string{"# see what covers it:", "findmnt -R /proc"}
	case "podman", "kubernetes": // podman's filter lets nobody without CAP_SYS_ADMIN set a host name
		return containerFix(f.Around.Container)
	}
	return []string{
		"docker run --security-opt systempaths=unconfined …",
		"# or in devcontainer.json, then rebuild:",
		`"runArgs": ["--security-opt=systempaths=unconfined"]`,
	}
}

// AppArmorProfile returns a profile that confines nothing and lets the program at path
// make user namespaces. Ubuntu 23.10 and later demand one for each such program. It
// returns "" for a path that a profile cannot hold.
func AppArmorProfile(path string) string {
	if !strings.HasPrefix(path, "/") || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return ""
	}
	var quoted strings.Builder
	for _, r := range path {
		if strings.ContainsRune(`\"*?[]{}^`, r) { // apparmor.d(5), globbing
			quoted.WriteByte('\\')
		}
		quoted.WriteRune(r)
	}
	return fmt.Sprintf(`abi <abi/4.0>,
include <tunables/global>

profile mcpen "%s" flags=(unconfined) {
  userns,
  include if exists <local/mcpen>
}
`, quoted.String())
}

// AppArmorFile is the path of the profile.
const AppArmorFile = "/etc/apparmor.d/mcpen"

// appArmorFix installs the profile.
func appArmorFix(binary string) []string {
	profile := AppArmorProfile(binary)
	if profile == "" {
		return []string{"# install mcpen at an absolute path without odd characters, and call this again"}
	}
	lines := []string{"sudo tee " + AppArmorFile + " >/dev/null <<'EOF'"}
	lines = append(lines, strings.Split(strings.TrimSuffix(profile, "\n"), "\n")...)
	return append(lines, "EOF", "sudo apparmor_parser -r "+AppArmorFile)
}

// landlockFix turns Landlock on. A kernel that answers EOPNOTSUPP has Landlock and was
// booted without it.
func landlockFix(f Facts) []string {
	switch {
	case f.Around.WSL:
		return []string{
			"# in Windows:", "wsl --update", "# and in %UserProfile%\\.wslconfig, then wsl --shutdown:",
			"[wsl2]", "kernelCommandLine = lsm=landlock,lockdown,yama,integrity,bpf",
		}
	case f.Around.Container != "" && !strings.Contains(f.Around.LandlockErr, "EOPNOTSUPP"):
		return containerFix(f.Around.Container)
	case f.Around.Container != "":
		return []string{"# on the host of the container, whose kernel was started without Landlock"}
	case !strings.Contains(f.Around.LandlockErr, "EOPNOTSUPP"):
		return []string{"# a kernel with CONFIG_SECURITY_LANDLOCK is needed, 5.13 or newer"}
	}
	debian := []string{
		`sudo sed -i "s/^GRUB_CMDLINE_LINUX=\"/&lsm=landlock,$(cat /sys/kernel/security/lsm) /" /etc/default/grub`,
		"sudo update-grub && sudo reboot",
	}
	fedora := []string{
		`sudo grubby --update-kernel=ALL --args="lsm=landlock,$(cat /sys/kernel/security/lsm)"`,
		"sudo reboot",
	}
	switch {
	case strings.Contains(f.Around.Distro, "fedora"), strings.Contains(f.Around.Distro, "rhel"):
		return fedora
	case strings.Contains(f.Around.Distro, "debian"), strings.Contains(f.Around.Distro, "ubuntu"):
		return debian
	}
	return slices.Concat([]string{"# Debian, Ubuntu:"}, debian, []string{"# Fedora:"}, fedora)
}
