/*
 * pid 1 of the sandbox, once the exec stage was forked: it tells whether that
 * became the server, reaps, forwards signals, ends with the launcher, and tells
 * how the server ended. pid 1 executes this binary once more for it, and this
 * constructor takes over before the Go runtime starts: of what a Go process holds
 * for the sake of waiting, megabytes in every sandbox, nothing is left.
 *
 * It is called as "mcpen-keeper PID", with what the exec stage reports as
 * descriptor 3, the control socket as descriptor 4 (boot.go), no other but
 * /dev/null, and without any capability.
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
#define HEARD_MS 5000 /* as in mediate.go: a launcher that is stopped keeps nobody */

static void woken(int sig)
{
	(void)sig; /* ppoll returns, that is all */
}

static char text[128];

static void tell(int n)
{
	while (send(CONTROL, text, n, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

/* Waits until the exec stage became the server, which closes its end of the pipe
 * with nothing written, or until it says why not. */
static void started(pid_t server)
{
	struct mcpen_failure f;
	ssize_t n;

	do
		n = read(REPORT, &f, sizeof f); /* one write, smaller than a pipe's atomic size */
	while (n < 0 && errno == EINTR);
	if (n == 0) {
		tell(snprintf(text, sizeof text, "{\"kind\":\"started\",\"pid\":%d}", server));
		return;
	}
	if (n == sizeof f)
		tell(snprintf(text, sizeof text, "{\"kind\":\"failed\",\"stage\":[%d,%d,%d]}", f.step, f.error, f.which));
	_exit(1); /* and the launcher says that it ended, where nothing else was told */
}

/* Waits until the launcher has heard the end, which a signal of number 0 says: it
 * reads then what the control groups counted, and those of the user manager are taken
 * away with their last process, which is this one. */
static void heard(void)
{
	struct pollfd control = {.fd = CONTROL, .events = POLLIN};
	unsigned char sig = 1;

	while (poll(&control, 1, HEARD_MS) > 0 && recv(CONTROL, &sig, 1, MSG_DONTWAIT) == 1 && sig != 0)
		;
}

/* Ends everything that is left in the namespace, tells how the server ended, and ends. */
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
		kill(server, sig); /* it was not reaped: the number is its own */
	}
}

/* Has the process go by another name where a third argument says so: the server
 * of a trial is shown what an ordinary machine would show. */
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
	/* Nothing in here may be read by the server. It is in another user
	 * namespace, too, from which nobody may look into this one. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_NAME, renamed(argc, argv), 0, 0, 0);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child, NULL);
	sigaction(SIGCHLD, &wake, NULL);
	keep(server);
}
