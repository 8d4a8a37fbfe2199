/*
 * What "mcpen run" has the kernel begin before the Go runtime starts (graceperiod.go).
 */
#define _GNU_SOURCE
#include "rejoin.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The start of a file, ended by a NUL, or -1. */
static int head(const char *name, char *text, size_t size)
{
	const int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return -1;
	text[n] = 0;
	return 0;
}

/* The path of a process's group of version 2, of text in the form of
 * /proc/self/cgroup (cgroups(7)), which it changes. NULL: it has none. */
static const char *group(char *text)
{
	char *line, *rest;

	for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		if (strncmp(line, "0::", 3) == 0)
			return line + 3;
	return NULL;
}

/* Whether a file with a number in each line has this one. */
static int listed(const char *name, unsigned int number)
{
	const int fd = open(name, O_RDONLY | O_CLOEXEC);
	char text[4096];
	unsigned int have = 0;
	int found = 0;
	ssize_t n, i;

	if (fd < 0)
		return 0;
	while (!found && (n = read(fd, text, sizeof text)) > 0)
		for (i = 0; i < n && !found; i++) {
			found = text[i] == '\n' && have == number;
			have = text[i] == '\n' ? 0 : have * 10 + (text[i] - '0');
		}
	close(fd);
	return found;
}

void mcpen_rejoin(const char *cgroups, const char *root, int pid)
{
	char text[8192], name[PATH_MAX], number[16];
	const char *path;
	int fd, n;

	if (head(cgroups, text, sizeof text) < 0 || (path = group(text)) == NULL)
		return;
	n = snprintf(name, sizeof name, "%s%s/cgroup.procs", root, path);
	/* Where a namespace and a mount are not of one mind the path may be another
	 * group's, and nobody is to leave his own. */
	if (n >= (int)sizeof name || !listed(name, pid) || (fd = open(name, O_WRONLY | O_CLOEXEC)) < 0)
		return;
	n = snprintf(number, sizeof number, "%d", pid);
	(void)!write(fd, number, n);
	close(fd);
}

__attribute__((constructor)) static void begin(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "run") != 0)
		return;
	/* Beside a version 1 nobody is moved in this one. */
	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) != 0)
		return;
	/* A process, for an execve would wait for a thread that waits in the kernel;
	 * and one without a signal for its parent, who knows nothing of it. */
	if (syscall(SYS_clone, 0, NULL, NULL, NULL, NULL) != 0)
		return;
	/* What the client gave to mcpen is not this one's to hold open. */
	syscall(SYS_close_range, 0, ~0U, 0);
	mcpen_rejoin("/proc/self/cgroup", "/sys/fs/cgroup", getpid());
	_exit(0);
}
