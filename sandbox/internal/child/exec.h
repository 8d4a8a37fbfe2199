/* What the exec stage is told, by pid 1 (exec.c). */
#ifndef MCPEN_EXEC_H
#define MCPEN_EXEC_H

#include <linux/filter.h>
#include <sys/types.h>

/* The steps of the exec stage, in their order. */
enum mcpen_step {
	MCPEN_DEATH_SIGNAL = 1,
	MCPEN_READONLY,
	MCPEN_NO_NEW_PRIVS,
	MCPEN_BOUNDING,
	MCPEN_AMBIENT,
	MCPEN_CAPSET,
	MCPEN_LIMITS,
	MCPEN_DIRECTORY,
	MCPEN_ACCESS,
	MCPEN_LANDLOCK,
	MCPEN_CLOSE,
	MCPEN_SECCOMP,
	MCPEN_LISTENER,
	MCPEN_EXECVE,
};

struct mcpen_limit {
	int resource;
	unsigned long long value;
};

/* Everything the stage needs, in memory that it shares with nobody. */
struct mcpen_exec {
	int go;          /* one byte comes here when the stage may go on */
	int report;      /* a struct mcpen_failure goes here; execve closes it */
	int control;     /* the filter's listener goes here */
	int ruleset;     /* of Landlock; -1: none */
	int user;        /* in a user namespace of its own: every set can be emptied */
	int listen;      /* the filter has a listener */
	unsigned int mask;
	const char *dir, *path;
	char **argv, **envv;
	struct mcpen_limit *limits;
	int nlimits;
	const char **readonly;    /* the user's folders, read-only for the server in mounts of its own */
	int nreadonly;
	struct sock_fprog filter; /* len 0: none */
	const char *notify;       /* the message that the listener goes with */
	size_t notify_len;
};

struct mcpen_failure {
	int step, error, which; /* which: of the limits, or of the folders */
};

/* Starts the stage and returns its number, or -errno. */
pid_t mcpen_spawn(const struct mcpen_exec *x);

#endif
