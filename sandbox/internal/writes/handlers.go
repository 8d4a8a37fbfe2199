package writes

import "golang.org/x/sys/unix"

// handlers are the calls that the filter sends, with the indexes of their arguments; -1
// means that the call lacks the argument.
var handlers = map[string]func(*call) outcome{
	"open":   openFile(-1, 0, func(c *call) (uint64, uint32) { return c.r.Args[1] & 0xffffffff, uint32(c.r.Args[2]) }),
	"openat": openFile(0, 1, func(c *call) (uint64, uint32) { return c.r.Args[2] & 0xffffffff, uint32(c.r.Args[3]) }),
	"creat": openFile(-1, 0, func(c *call) (uint64, uint32) {
		return unix.O_CREAT | unix.O_WRONLY | unix.O_TRUNC, uint32(c.r.Args[1])
	}),

	"mkdir":     mkdir(-1, 0, 1),
	"mkdirat":   mkdir(0, 1, 2),
	"mknod":     mknod(-1, 0, 1),
	"mknodat":   mknod(0, 1, 2),
	"symlink":   symlink(0, -1, 1),
	"symlinkat": symlink(0, 1, 2),
	"link":      link(-1, 0, -1, 1, -1),
	"linkat":    link(0, 1, 2, 3, 4),
	"unlink":    unlink(-1, 0, func(*call) int { return 0 }),
	"rmdir":     unlink(-1, 0, func(*call) int { return unix.AT_REMOVEDIR }),
	"unlinkat":  unlink(0, 1, func(c *call) int { return c.arg(2) }),
	"rename":    rename(-1, 0, -1, 1, -1),
	"renameat":  rename(0, 1, 2, 3, -1),
	"renameat2": rename(0, 1, 2, 3, 4),

	"truncate":     truncate,
	"chmod":        chmod(-1, 0, 1, -1),
	"fchmodat":     chmod(0, 1, 2, -1),
	"fchmodat2":    chmod(0, 1, 2, 3),
	"fchmod":       fchmod,
	"chown":        chown(-1, 0, 1, -1, true),
	"lchown":       chown(-1, 0, 1, -1, false),
	"fchownat":     chown(0, 1, 2, 4, true),
	"fchown":       fchown,
	"utime":        utimes(-1, 0, 1, 0),
	"utimes":       utimes(-1, 0, 1, 1000),
	"futimesat":    utimes(0, 1, 2, 1000),
	"utimensat":    utimensat,
	"setxattr":     setxattr(true),
	"lsetxattr":    setxattr(false),
	"fsetxattr":    fsetxattr,
	"removexattr":  removexattr(true),
	"lremovexattr": removexattr(false),
	"fremovexattr": fremovexattr,
	"access":       access(-1, 0, 1, -1),
	"faccessat":    access(0, 1, 2, -1),
	"faccessat2":   access(0, 1, 2, 3),

	"connect": connect,
}
