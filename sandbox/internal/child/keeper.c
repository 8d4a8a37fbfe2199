/*
 * The keeper: pid 1 of the sandbox after it has forked the exec stage. It reports
 * whether the stage became the server, reaps, forwards signals, ends with the launcher,
 * and reports how the server ended. To become the keeper, pid 1 executes this binary
 * again, and this constructor takes over before the Go runtime starts: a Go process
 * that only waits would hold megabytes in every sandbox.
 *
 * Its command line is "mcpen-keeper PID". Descriptor 3 is the exec stage's report,
 * descriptor 4 the control socket (boot.go); all others are /dev/null. It has no
 * capabilities.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec.h"

#define REPORT 3
#define CONTROL 4
#define HEARD_MS 5000 /* as in mediate.go: a stopped launcher keeps no process waiting */

static void woken(int sig)
{
	(void)sig; /* it only makes ppoll return */
}

static char text[128];

static void tell(int n)
{
	while (send(CONTROL, text, n, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

/* Waits until the exec stage has become the server, which closes its end of the pipe
 * without writing, or until it reports a failure. */
static void started(pid_t server)
{
	struct mcpen_failure f;
	ssize_t n;

	do
		n = read(REPORT, &f, sizeof f); /* one write of less than PIPE_BUF bytes is atomic */
	while (n < 0 && errno == EINTR);
	if (n == 0) {
		tell(snprintf(text, sizeof text, "{\"kind\":\"started\",\"pid\":%d}", server));
		return;
	}
	if (n == sizeof f)
		tell(snprintf(text, sizeof text, "{\"kind\":\"failed\",\"stage\":[%d,%d,%d]}", f.step, f.error, f.which));
	_exit(1); /* without a report, the launcher says that pid 1 ended */
}

/* Waits until the launcher acknowledges the end with signal number 0. Before that, the
 * launcher reads the counters of the control groups. The user manager removes its
 * groups with their last process, which is this one. */
static void heard(void)
{
	struct pollfd control = {.fd = CONTROL, .events = POLLIN};
	unsigned char sig = 1;

	while (poll(&control, 1, HEARD_MS) > 0 && recv(CONTROL, &sig, 1, MSG_DONTWAIT) == 1 && sig != 0)
		;
}

/* Kills all other processes of the namespace, reports how the server ended, and
 * exits. */
static void ended(int status)
{
	int code = 0, sig = 0;

	if (WIFSIGNALED(status))
		sig = WTERMSIG(status);
	else
		code = WEXITSTATUS(status);
	if (getpid() == 1)
		kill(-1, SIGKILL);
	tell(snprintf(text, sizeof text, "{\"kind\":\"exited\",\"code\":%d,\"signal\":%d}", code, sig));
	heard();
	_exit(0);
}

static void keep(pid_t server)
{
	struct pollfd control = {.fd = CONTROL, .events = POLLIN};
	sigset_t none;
	unsigned char sig;
	ssize_t n;
	pid_t pid;
	int status;

	started(server);
	close(REPORT);
	sigemptyset(&none);
	for (;;) {
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == server)
				ended(status);
		if (ppoll(&control, 1, NULL, &none) <= 0)
			continue; /* a child ended */
		n = recv(CONTROL, &sig, 1, MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n != 1)
			_exit(1); /* the launcher is gone */
		kill(server, sig); /* the server is not reaped, so the number is still its own */
	}
}

/* Renames the process to the third argument, if there is one: the server of a trial
 * sees the process name of an ordinary machine. */
static const char *renamed(int argc, char **argv)
{
	static char name[16];
	size_t room;

	if (argc < 3)
		return argv[0];
	snprintf(name, sizeof name, "%s", argv[2]);
	room = argv[argc - 1] + strlen(argv[argc - 1]) - argv[0];
	memset(argv[0], 0, room);
	snprintf(argv[0], room, "%s", name);
	return name;
}

__attribute__((constructor)) static void keeper(int argc, char **argv)
{
	struct sigaction wake = {.sa_handler = woken};
	sigset_t child;
	int server;

	if (argc < 2 || argc > 3 || strcmp(argv[0], "mcpen-keeper") != 0)
		return;
	server = atoi(argv[1]);
	/* The server must not read anything in this process. It is also in another user
	 * namespace, from which no process may examine this one. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_NAME, renamed(argc, argv), 0, 0, 0);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child, NULL);
	sigaction(SIGCHLD, &wake, NULL);
	keep(server);
}
