/* Connects to what it is told to with nothing between it and the C library, and
 * writes to descriptor 9 what became of each: OK, or the symbol of the error. */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* greeted connects to "host:port" and waits for the first byte of a greeting. */
static const char *greeted(char *target)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *at;
	struct timeval patience = { .tv_sec = 30 };
	char *host = target, *port = strrchr(target, ':');
	const char *said = "OK";
	char first;

	*port++ = 0;
	if (*host == '[') {
		host++;
		port[-2] = 0;
	}
	switch (getaddrinfo(host, port, &hints, &at)) {
	case 0:
		break;
	case EAI_NONAME:
		return "EAI_NONAME";
	case EAI_NODATA:
		return "EAI_NODATA";
	case EAI_AGAIN:
		return "EAI_AGAIN";
	default:
		return "EAI";
	}
	int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    connect(fd, at->ai_addr, at->ai_addrlen))
		said = strerrorname_np(errno);
	else
		switch (recv(fd, &first, 1, 0)) {
		case 0:
			said = "EOF";
			break;
		case -1:
			said = strerrorname_np(errno);
		}
	close(fd);
	freeaddrinfo(at);
	return said;
}

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		char target[256];

		snprintf(target, sizeof(target), "%s", argv[i + 1]);
		dprintf(9, "c %s %s %s\n", argv[i], argv[i + 1], strcmp(argv[i], "connect") ? "UNKNOWN" : greeted(target));
	}
	return 0;
}
