/* The input of the exec stage, which pid 1 prepares (exec.c). */
#ifndef MCPEN_EXEC_H
#define MCPEN_EXEC_H

#include <linux/filter.h>
#include <sys/types.h>

/* The steps of the exec stage, in order. */
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

/* Everything that the stage needs, in memory that no other process shares. */
struct mcpen_exec {
	int go;          /* the stage waits here for one byte before it continues */
	int report;      /* for a struct mcpen_failure; execve closes it */
	int control;     /* for the filter's listener */
	int ruleset;     /* of Landlock; -1: none */
	int user;        /* in its own user namespace, where every set can be emptied */
	int listen;      /* the filter has a listener */
	int trace;       /* the filter asks it about messages */
	unsigned int mask;
	const char *dir, *path;
	char **argv, **envv;
	struct mcpen_limit *limits;
	int nlimits;
	const char **readonly;    /* the user's folders, read-only in the server's mount namespace */
	int nreadonly;
	struct sock_fprog filter; /* len 0: none */
	const char *notify;       /* the message with the listener */
	size_t notify_len;
};

struct mcpen_failure {
	int step, error, which; /* which: the index of the limit or folder */
};

/* Starts the stage and returns its pid, or -errno. */
pid_t mcpen_spawn(const struct mcpen_exec *x);

#endif
