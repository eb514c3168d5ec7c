/*
 * The PKCS#11 module's way to a program on the host: the socket that
 * SHOJI_TEST_SOCKET names, with the messages of tools/sdk/run --pipe.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/guest/pkcs11/transport.h"

static int fd = -1;

static int socket_open(void)
{
	const char *path = getenv("SHOJI_TEST_SOCKET");
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	if (fd >= 0)
		return 0;
	if (!path || strlen(path) >= sizeof(name.sun_path))
		return -1;
	strcpy(name.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!connect(fd, (struct sockaddr *)&name, sizeof(name)))
		return 0;
	close(fd);
	fd = -1;
	return -1;
}

static int read_all(void *buf, size_t len)
{
	for (char *p = buf; len;) {
		ssize_t n = read(fd, p, len);

		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static long socket_call(const void *request, size_t len, void *reply,
			size_t room)
{
	uint32_t head[2] = { 1, (uint32_t)len };

	if (write(fd, head, sizeof(head)) != sizeof(head) ||
	    write(fd, request, len) != (ssize_t)len ||
	    read_all(head, sizeof(head)) || head[0] || head[1] > room ||
	    read_all(reply, head[1]))
		return -1;
	return (long)head[1];
}

const struct transport *transport_get(void)
{
	static const struct transport t = { "a program on the host",
					    socket_open, socket_call };

	return &t;
}
