package writes

import "golang.org/x/sys/unix"

func init() {
	for name, nr := range map[string]uintptr{"open": unix.SYS_OPEN, "creat": unix.SYS_CREAT, "mkdir": unix.SYS_MKDIR, "mknod": unix.SYS_MKNOD, "symlink": unix.SYS_SYMLINK, "link": unix.SYS_LINK, "unlink": unix.SYS_UNLINK, "rmdir": unix.SYS_RMDIR, "rename": unix.SYS_RENAME,
		"renameat": unix.SYS_RENAMEAT, "chmod": unix.SYS_CHMOD, "chown": unix.SYS_CHOWN, "lchown": unix.SYS_LCHOWN, "utime": unix.SYS_UTIME, "utimes": unix.SYS_UTIMES, "futimesat": unix.SYS_FUTIMESAT, "access": unix.SYS_ACCESS} {
		numbers[name] = nr
	}
	older = []step{
		{"open", []any{"n1", creat, 0o640}}, {"open", []any{"f", unix.O_RDWR | unix.O_APPEND, 0}}, {"open", []any{"none", writes, 0}}, {"open", []any{"n1", creat | unix.O_EXCL, 0}}, {"creat", []any{"n2", 0o604}}, {"creat", []any{"l", 0}}, {"creat", []any{"d", 0}}, {"mkdir", []any{"d2", 0o711}}, {"mkdir", []any{"d", 0o711}},
		{"mknod", []any{"p", unix.S_IFIFO | 0o600, 0}}, {"mknod", []any{"r", unix.S_IFREG | 0o600, 0}}, {"symlink", []any{text("to"), "s"}}, {"symlink", []any{text("to"), "f"}}, {"link", []any{"f", "h"}}, {"link", []any{"l", "hl"}}, {"link", []any{"f", "h"}}, {"unlink", []any{"h"}}, {"unlink", []any{"d"}}, {"unlink", []any{"none"}}, {"rmdir", []any{"e"}}, {"rmdir", []any{"d"}}, {"rmdir", []any{"f"}},
		{"rename", []any{"r", "r2"}}, {"rename", []any{"r2", "d/r3"}}, {"rename", []any{"none", "x"}}, {"renameat", []any{cwd, "d/r3", cwd, "r4"}}, {"chmod", []any{"r4", 0o606}}, {"chmod", []any{"l", 0o600}}, {"chmod", []any{"none", 0}}, {"chown", []any{"f", -1, -1}}, {"chown", []any{"none", -1, -1}}, {"lchown", []any{"s", -1, -1}}, {"chown", []any{"s", -1, -1}},
		{"utimes", []any{"f", timesOf(30, 1, 31, 2)}}, {"utimes", []any{"f", timesOf(30, 1_000_000, 31, 2)}}, {"utimes", []any{"f", timesOf(30, 1, 31, -1)}}, {"utimes", []any{"n1", timesOf(30, 999_999, 32, 999_999)}}, {"utime", []any{"n2", timesOf(33, 34, 0, 0)}}, {"utime", []any{"none", 0}}, {"utime", []any{"r4", 1}}, {"futimesat", []any{cwd, "r4", timesOf(35, 3, 36, 4)}}, {"futimesat", []any{cwd, "none", 0}}, {"utimes", []any{"l", 0}},
		{"utimes", []any{"f", timesOf(40, 0, 41, 0)}}, {"access", []any{"f", unix.W_OK}}, {"access", []any{"none", 0}}, {"access", []any{"d", unix.W_OK | unix.X_OK}}, {"access", []any{"s", 0}}, {"access", []any{"f", 64}},
	}
	olderRefused = []step{
		{"open", []any{".git/config", writes, 0}}, {"creat", []any{".git/x", 0o600}}, {"mkdir", []any{".git/x", 0o700}}, {"mknod", []any{".git/x", unix.S_IFREG | 0o600, 0}}, {"symlink", []any{text("to"), ".git/x"}}, {"link", []any{"f", ".git/x"}}, {"link", []any{".git/config", "x"}}, {"unlink", []any{".git/config"}}, {"rmdir", []any{".git"}}, {"rename", []any{".git", "g"}}, {"rename", []any{"f", ".git/x"}},
		{"renameat", []any{cwd, ".git/config", cwd, "x"}}, {"chmod", []any{".git/config", 0o600}}, {"chown", []any{".git/config", -1, -1}}, {"lchown", []any{".git/config", -1, -1}}, {"utime", []any{".git/config", 0}}, {"utimes", []any{".git/config", 0}}, {"futimesat", []any{cwd, ".git/config", 0}}, {"access", []any{".git/config", unix.W_OK}},
	}
}
