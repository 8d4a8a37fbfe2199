package host

import (
	"os"
	"path/filepath"
	"strings"
)

// Survey describes the surroundings of a process. It does not say whether a feature
// works. It says why one may not, and for which system a remedy has to be written.
type Survey struct {
	Distro    string `json:"distro,omitempty"`    // ID and ID_LIKE of os-release
	Container string `json:"container,omitempty"` // "docker", "podman", "kubernetes", …
	Flatpak   bool   `json:"flatpak,omitempty"`
	Snap      bool   `json:"snap,omitempty"`
	WSL       bool   `json:"wsl,omitempty"`

	AppArmor     string `json:"apparmor,omitempty"`      // the profile that confines this process, "unconfined" or ""
	RestrictUser string `json:"restrict_user,omitempty"` // kernel.apparmor_restrict_unprivileged_userns
	CloneUser    string `json:"clone_user,omitempty"`    // kernel.unprivileged_userns_clone
	MaxUser      string `json:"max_user,omitempty"`      // user.max_user_namespaces
	SELinux      string `json:"selinux,omitempty"`       // "enforcing", "permissive" or ""
	Yama         string `json:"yama,omitempty"`          // kernel.yama.ptrace_scope
	MemfdNoexec  string `json:"memfd_noexec,omitempty"`  // vm.memfd_noexec
	LandlockErr  string `json:"landlock_err,omitempty"`  // why there is no Landlock
	Runtime      string `json:"runtime,omitempty"`       // the fault of XDG_RUNTIME_DIR, "" for none
}

// Survey looks around this process. It does not read Home, Env and Paths of the Ask.
func (a Ask) Survey() Survey {
	s := Survey{
		Distro:       distro(a.at("/etc/os-release")),
		Container:    a.container(),
		Flatpak:      Exists(a.at("/.flatpak-info")),
		WSL:          Exists(a.at("/proc/sys/fs/binfmt_misc/WSLInterop")) || strings.Contains(strings.ToLower(sysctl(a, "kernel/osrelease")), "microsoft"),
		RestrictUser: sysctl(a, "kernel/apparmor_restrict_unprivileged_userns"),
		CloneUser:    sysctl(a, "kernel/unprivileged_userns_clone"),
		MaxUser:      sysctl(a, "user/max_user_namespaces"),
		Yama:         sysctl(a, "kernel/yama/ptrace_scope"),
		MemfdNoexec:  sysctl(a, "vm/memfd_noexec"),
		Runtime:      runtimeDir(a.Bus),
	}
	if err := landlockErr(); err != nil {
		s.LandlockErr = name(err)
	}
	for _, attr := range []string{"/proc/thread-self/attr/apparmor/current", "/proc/thread-self/attr/current"} {
		if b, err := os.ReadFile(a.at(attr)); err == nil && Exists(a.at("/sys/module/apparmor")) {
			s.AppArmor = strings.TrimSpace(strings.TrimRight(string(b), "\x00"))
			break
		}
	}
	s.Snap = strings.HasPrefix(s.AppArmor, "snap.")
	if b, err := os.ReadFile(a.at("/sys/fs/selinux/enforce")); err == nil {
		s.SELinux = "permissive"
		if strings.TrimSpace(string(b)) == "1" {
			s.SELinux = "enforcing"
		}
	}
	return s
}

// container names the container of this process, or returns "".
func (a Ask) container() string {
	if b, err := os.ReadFile(a.at("/run/systemd/container")); err == nil && strings.TrimSpace(string(b)) != "" {
		return strings.TrimSpace(string(b))
	}
	for _, mark := range []struct{ path, name string }{
		{"/.dockerenv", "docker"},
		{"/run/.containerenv", "podman"},
		{"/var/run/secrets/kubernetes.io", "kubernetes"},
	} {
		if Exists(a.at(mark.path)) {
			return mark.name
		}
	}
	return ""
}

// distro returns ID and ID_LIKE of os-release.
func distro(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	var ids []string
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key == "ID" || key == "ID_LIKE" {
			ids = append(ids, strings.Trim(value, `"'`))
		}
	}
	return strings.Join(ids, " ")
}

// runtimeDir returns the fault of XDG_RUNTIME_DIR, or "".
func runtimeDir(dir string) string {
	if dir == "" {
		return "XDG_RUNTIME_DIR is not set"
	}
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return "XDG_RUNTIME_DIR " + filepath.Clean(dir) + ": " + name(err)
	case !info.IsDir():
		return "XDG_RUNTIME_DIR " + filepath.Clean(dir) + " is no folder"
	case info.Mode().Perm()&0o077 != 0:
		return "XDG_RUNTIME_DIR " + filepath.Clean(dir) + " is open to others"
	}
	return ""
}
