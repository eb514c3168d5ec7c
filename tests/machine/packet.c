/*
 * A guest program: one SCSI command to a drive, through SG_IO.
 *
 * packet DEVICE none|in|out LENGTH CDB...
 *
 * CDB: hex digits. Prints the status byte, the sense data's key, ASC and ASCQ
 * (the kernel has sent REQUEST SENSE for them) and how many bytes were not
 * moved. Up to 64 bytes of data are printed, too; more go to /tmp/data.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <scsi/sg.h>

static unsigned char data[1 << 20], sense[32], cdb[16];

static int parse(const char *hex)
{
	unsigned int byte;
	int n, len = 0;

	while (len < 16 && sscanf(hex, " %2x%n", &byte, &n) == 1) {
		cdb[len++] = (unsigned char)byte;
		hex += n;
	}
	return len;
}

static int transfer(const char *device, int direction, unsigned int bytes,
		    struct sg_io_hdr *io)
{
	int fd = open(device, O_RDWR | O_NONBLOCK);

	if (fd < 0)
		fd = open(device, O_RDONLY | O_NONBLOCK);
	if (fd < 0) {
		perror(device);
		return 1;
	}
	memset(data, 0xEE, sizeof(data));
	io->interface_id = 'S';
	io->dxfer_direction = direction;
	io->dxfer_len = bytes;
	io->dxferp = data;
	io->cmdp = cdb;
	io->sbp = sense;
	io->mx_sb_len = sizeof(sense);
	io->timeout = 60000;
	if (ioctl(fd, SG_IO, io)) {
		perror("SG_IO");
		return 1;
	}
	return close(fd);
}

static void print_result(const struct sg_io_hdr *io, unsigned int bytes)
{
	int fixed = (sense[0] & 0x7E) == 0x70;

	printf("status %02x sense %x/%02x/%02x left %d", io->status,
	       sense[fixed ? 2 : 1] & 0xF, sense[fixed ? 12 : 2],
	       sense[fixed ? 13 : 3], io->resid);
	if (io->host_status || io->driver_status & ~8)
		printf(" host %x driver %x", io->host_status,
		       io->driver_status);
	for (unsigned int i = 0; bytes <= 64 && i < bytes; i++)
		printf("%s%02x", i ? "" : " data ", data[i]);
	printf("\n");
	if (bytes > 64) {
		FILE *f = fopen("/tmp/data", "w");

		fwrite(data, bytes, 1, f);
		fclose(f);
	}
}

int main(int argc, char **argv)
{
	struct sg_io_hdr io = { 0 };
	unsigned int bytes;
	int direction;

	if (argc != 5)
		return 2;
	bytes = (unsigned int)atoi(argv[3]);
	direction = !strcmp(argv[2], "in")    ? SG_DXFER_FROM_DEV
		    : !strcmp(argv[2], "out") ? SG_DXFER_TO_DEV
					      : SG_DXFER_NONE;
	io.cmd_len = (unsigned char)parse(argv[4]);
	if (bytes > sizeof(data) || transfer(argv[1], direction, bytes, &io))
		return 1;
	print_result(&io, bytes);
	return 0;
}
