/* The packet device of ide_model.c: a CD drive, from MMC-6 and SPC-4. */
#include <string.h>

#include "core/lib/range.h"
#include "tests/unit/ide_model.h"

#define ERR 0x01
#define RDY 0x40

/* The interrupt reason: command or data, to the host. */
enum {
	CD = 1,
	IO = 2
};

void model_check(struct model_device *d, u8 key, u8 asc)
{
	d->key = key;
	d->asc = asc;
	d->total = 0;
	d->cur[2] = CD | IO;
	model_finish(d, RDY | ERR, (u8)(key << 4 | 4));
}

static void good(struct model_device *d)
{
	d->cur[2] = CD | IO;
	model_finish(d, RDY, 0);
}

static u32 limit(const struct model_device *d)
{
	u32 n = d->cur[4] | d->cur[5] << 8;

	return n == 0xFFFF ? 0xFFFE : n;
}

/* ---- the disc, by bytes of the transfer ---- */

static u8 *byte_at(struct model_device *d, u32 n)
{
	u64 lba = d->lba + n / d->sector;

	return model_sector_bad(d, lba) ? NULL
					: model_sector(d, lba) + n % d->sector;
}

static bool from_disc(struct model_device *d)
{
	for (u32 i = 0; i < d->len; i++) {
		u8 *p = byte_at(d, d->done + i);

		if (!p)
			return false;
		d->buf[i] = *p;
	}
	return true;
}

static bool to_disc(struct model_device *d)
{
	for (u32 i = 0; i < d->len; i++) {
		u8 *p = byte_at(d, d->done + i);
		u32 end = d->done + i + 1;

		if (!p)
			return false;
		*p = d->buf[i];
		if (end % 512 == 0 && d->on_write)
			d->on_write(d->lba * 4 + end / 512 - 1, p - 511);
	}
	return true;
}

/* ---- PIO ---- */

void model_block(struct model_device *d)
{
	u32 most = d->odd_blocks ? d->odd_blocks : limit(d);

	d->pos = 0;
	if (d->phase == M_PIO_OUT && !d->total) { /* the CDB */
		d->len = 12;
		d->cur[2] = CD;
		return;
	}
	d->len = (u32)min_u64(d->total - d->done, most);
	d->cur[4] = (u8)d->len;
	d->cur[5] = (u8)(d->len >> 8);
	d->cur[2] = d->phase == M_PIO_IN ? IO : 0;
	if (d->reply) {
		d->pos = d->done;
		d->len += d->done;
	}
	if (d->phase == M_PIO_IN && !d->reply && !from_disc(d))
		model_check(d, 3, 0x11);
}

void model_block_moved(struct model_device *d)
{
	if (d->phase == M_PIO_OUT && !d->total) {
		memcpy(d->cdb, d->buf, 12);
		d->cdbs++;
		model_cdb(d);
		return;
	}
	if (d->phase == M_PIO_OUT && !d->reply && !to_disc(d)) {
		model_check(d, 3, 0x0C);
		return;
	}
	d->done = d->reply ? d->len : d->done + d->len;
	if (d->done < d->total) {
		model_go_busy(d);
		return;
	}
	d->total = 0;
	good(d);
}

/* ---- commands ---- */

/* A start of a transfer of @bytes; of a reply in buf if d->reply is set. */
static void transfer(struct model_device *d, bool in, u32 bytes)
{
	d->total = d->by_dma ? 0 : bytes;
	d->done = d->pos = 0;
	d->len = d->reply ? bytes : 0;
	if (!bytes) {
		good(d);
		return;
	}
	if (!d->by_dma && !limit(d)) {
		d->total = 0;
		model_finish(d, RDY | ERR, 4);
		return;
	}
	if (d->by_dma)
		d->phase = in ? M_DMA_IN : M_DMA_OUT;
	else
		d->phase = in ? M_PIO_IN : M_PIO_OUT;
	model_go_busy(d);
}

static void sectors(struct model_device *d, bool in, u32 count)
{
	const u8 *c = d->cdb;

	d->lba = (u32)c[2] << 24 | c[3] << 16 | c[4] << 8 | c[5];
	d->left = count;
	if (d->lba + count > d->capacity)
		model_check(d, 5, 0x21);
	else
		transfer(d, in, count * d->sector);
	if (!d->by_dma)
		d->left = 0;
}

/* REQUEST SENSE, of descriptor format if byte 1 says so. */
static void request_sense(struct model_device *d)
{
	static const u8 fixed[18] = { 0x70, [7] = 10 };

	memset(d->buf, 0, 32);
	if (d->cdb[1] & 1) {
		d->buf[0] = 0x72;
		d->buf[1] = d->key;
		d->buf[2] = d->asc;
	} else {
		memcpy(d->buf, fixed, 18);
		d->buf[2] = d->key;
		d->buf[12] = d->asc;
	}
	d->key = d->asc = 0;
	d->reply = true;
	transfer(d, true, (u32)min_u64(d->cdb[4], d->cdb[1] & 1 ? 8 : 18));
}

static void inquiry(struct model_device *d)
{
	memset(d->buf, 0, 36);
	d->buf[0] = 5;
	d->buf[1] = 0x80;
	memcpy(d->buf + 8, "MODEL   DRIVE", 13);
	d->reply = true;
	transfer(d, true, (u32)min_u64(d->cdb[4], 36));
}

void model_cdb(struct model_device *d)
{
	const u8 *c = d->cdb;

	d->left = 0;
	if (c[0] == 0x03 || c[0] == 0x12) {
		c[0] == 0x03 ? request_sense(d) : inquiry(d);
		return;
	}
	d->key = d->asc = 0;
	if (d->attention) {
		d->attention = false;
		model_check(d, 6, 0x28);
		return;
	}
	switch (c[0]) {
	case 0x00:
		good(d);
		break;
	case 0x28:
	case 0x2A:
	case 0x2E:
		sectors(d, c[0] == 0x28, c[7] << 8 | c[8]);
		break;
	case 0xA8:
	case 0xAA:
		sectors(d, c[0] == 0xA8, c[8] << 8 | c[9]);
		break;
	case 0xBE:
		sectors(d, true, c[7] << 8 | c[8]);
		break;
	case 0x55: /* MODE SELECT(10): kept in the reply's buffer */
		d->reply = true;
		transfer(d, false, c[7] << 8 | c[8]);
		break;
	default:
		model_check(d, 5, 0x20);
	}
}
