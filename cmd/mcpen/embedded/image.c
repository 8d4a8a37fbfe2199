//go:build mcpen_launcher

/*
 * The launcher's binary on its way into a sealed memory file. Copying some
 * megabytes takes longer than anything else between the start of "mcpen run" and
 * its execve, so a thread begins before the Go runtime does: this file's
 * constructor knows from the command line whether it will be wanted.
 */
#define _GNU_SOURCE
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/* embedded.go names the file to the go command, which builds this anew when it
 * has changed. */
__asm__(".pushsection .rodata\n"
	".balign 4096\n"
	".globl mcpen_launcher\n"
	"mcpen_launcher:\n"
	".incbin \"mcpen-launcher\"\n"
	".globl mcpen_launcher_end\n"
	"mcpen_launcher_end:\n"
	".popsection\n");
extern const char mcpen_launcher[], mcpen_launcher_end[];

/* An empty memory file, or -errno. Its descriptor is none of the first three: where
 * a client closed one of those, the Go runtime has yet to put /dev/null there. */
static int created(void)
{
	const int flags = MFD_ALLOW_SEALING | MFD_CLOEXEC;
	int error, fd, low;

	fd = memfd_create("mcpen", flags | MFD_EXEC);
	if (fd < 0 && errno == EINVAL) /* Linux before 6.3: all memory files are executable */
		fd = memfd_create("mcpen", flags);
	if (fd < 0)
		return -errno;
	if (fd > 2)
		return fd;
	low = fd;
	fd = fcntl(low, F_DUPFD_CLOEXEC, 3);
	error = errno;
	close(low);
	return fd < 0 ? -error : fd;
}

/* The file with the binary in it that nobody can change, or -errno. */
static int filled(int fd)
{
	const char *from = mcpen_launcher;
	int error;

	if (fd < 0)
		return fd;
	while (from < mcpen_launcher_end) {
		ssize_t n = write(fd, from, mcpen_launcher_end - from);

		if (n < 0 && errno != EINTR)
			goto fail;
		if (n > 0)
			from += n;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
		return fd;
fail:
	error = errno;
	close(fd);
	return -error;
}

static pthread_t thread;
static int begun, made;

static void *fill(void *unused)
{
	(void)unused;
	made = filled(made);
	return NULL;
}

__attribute__((constructor)) static void begin(int argc, char **argv)
{
	sigset_t all, old;

	if (argc < 2 || strcmp(argv[1], "run") != 0)
		return;
	made = created();
	/* No signal is for this thread: Go's handlers know nothing of it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	begun = pthread_create(&thread, NULL, fill, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!begun && made >= 0)
		close(made);
}

int mcpen_image(void)
{
	if (!begun)
		return filled(created());
	begun = 0;
	pthread_join(thread, NULL);
	return made;
}
