/*
 * Restricts the launcher before the Go runtime starts (scope.go).
 */
#include <errno.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct landlock_ruleset_attr of ABI 6 and its constants (linux/landlock.h), which the
 * headers of older systems lack. */
struct ruleset {
	__u64 handled_access_fs, handled_access_net, scoped;
};
#define SCOPE_ABSTRACT_UNIX_SOCKET 1
#define SCOPE_SIGNAL 2

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif

__attribute__((constructor)) static void scope(void)
{
	const struct ruleset all = {.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL};
	const char *asked = getenv("MCPEN_SCOPE");
	int fd;

	if (asked == NULL || strcmp(asked, "1") != 0)
		return;
	fd = syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
	if (fd >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_landlock_restrict_self, fd, 0) == 0) {
		close(fd);
		return;
	}
	dprintf(2, "mcpen: error: cannot confine the launcher: landlock: %s\nmcpen: hint: mcpen doctor\n", strerror(errno));
	_exit(125);
}
