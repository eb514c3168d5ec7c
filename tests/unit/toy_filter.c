#include "tests/unit/toy_filter.h"

#include <stdlib.h>
#include <string.h>

#include "core/lib/range.h"
#include "core/mm/gmem.h"

static bool covers(const struct block_dev *dev, u64 lba, u32 count)
{
	return range_overlap(lba, count, dev->first, dev->last - dev->first) ||
	       range_overlap(lba, count, dev->high, ~0ULL - dev->high);
}

/* ---- lists ---- */

struct cursor {
	const struct sg_list *sg;
	u64 at; /* bytes from the start of ... */
	u32 seg;
};

/* All of the list must be RAM, also what is not looked at. */
static struct cursor begin(const struct sg_list *sg, u64 offset)
{
	for (u32 i = 0; i < sg->count; i++)
		if (!gmem_ptr(sg->seg[i].gpa, sg->seg[i].len))
			abort();
	return (struct cursor){ sg, offset, 0 };
}

/* The next bytes, at most *@len; how many they are in *@len. */
static u8 *take(struct cursor *c, u64 *len)
{
	const struct sg_seg *s;
	u8 *p;

	while (c->seg < c->sg->count && c->at >= c->sg->seg[c->seg].len)
		c->at -= c->sg->seg[c->seg++].len;
	if (c->seg == c->sg->count)
		abort();
	s = &c->sg->seg[c->seg];
	*len = min_u64(*len, s->len - c->at);
	p = gmem_ptr(s->gpa + c->at, *len);
	c->at += *len;
	return p;
}

static void gather(const struct sg_list *sg, u64 offset, u8 *dst, u64 bytes)
{
	struct cursor c = begin(sg, offset);

	for (u64 n; n = bytes, bytes; dst += n, bytes -= n) {
		const u8 *src = take(&c, &n);

		memcpy(dst, src, n);
	}
}

/* ---- XOR ---- */

/* From byte @i of a sector on. */
UNTOLD static void xor_bytes(const struct block_dev *dev, u64 lba, u32 i,
			     const u8 *from, u8 *to, u32 n)
{
	u8 mask = toy_covered(dev, lba) ? 0xFF : 0;

	for (u8 *end = to + n; to < end; i++)
		*to++ = *from++ ^ (xor_byte(lba, i) & mask);
}

static void xor_crypt(const struct block_dev *dev, u64 lba, u32 count,
		      const void *src, void *dst)
{
	const u8 *from = src;
	u8 *to = dst;

	for (u32 n = 0; n < count; n++) {
		u64 at = (u64)n * dev->sector;

		xor_bytes(dev, lba + n, 0, from + at, to + at, dev->sector);
	}
}

static void xor_decode_sg(const struct block_dev *dev, u64 lba, u32 count,
			  const struct sg_list *sg, u64 offset)
{
	struct cursor c = begin(sg, offset);

	for (u64 end = lba + count; lba < end; lba++)
		for (u32 i = 0; i < dev->sector;) {
			u64 n = dev->sector - i;
			u8 *p = take(&c, &n);

			xor_bytes(dev, lba, i, p, p, (u32)n);
			i += (u32)n;
		}
}

static void xor_encode_sg(const struct block_dev *dev, u64 lba, u32 count,
			  const struct sg_list *sg, u64 offset, void *dst)
{
	gather(sg, offset, dst, (u64)count * dev->sector);
	xor_crypt(dev, lba, count, dst, dst);
}

const struct block_filter xor_filter = {
	.covers = covers,
	.decode = xor_crypt,
	.encode = xor_crypt,
	.decode_sg = xor_decode_sg,
	.encode_sg = xor_encode_sg,
};

/* ---- MARK and SAFE ---- */

static void mark_encode(const struct block_dev *dev, u64 lba, u32 count,
			const void *src, void *dst)
{
	for (u64 i = 0; i < count; i++)
		memset((u8 *)dst + i * dev->sector,
		       toy_covered(dev, lba + i) ? SAFE : MARK, dev->sector);
}

static void mark_decode(const struct block_dev *dev, u64 lba, u32 count,
			const void *src, void *dst)
{
	memset(dst, MARK, (u64)count * dev->sector);
}

static void mark_decode_sg(const struct block_dev *dev, u64 lba, u32 count,
			   const struct sg_list *sg, u64 offset)
{
	struct cursor c = begin(sg, offset);
	u64 left = (u64)count * dev->sector;

	for (u64 n; n = left, left; left -= n) {
		u8 *p = take(&c, &n);

		memset(p, MARK, n);
	}
}

static void mark_encode_sg(const struct block_dev *dev, u64 lba, u32 count,
			   const struct sg_list *sg, u64 offset, void *dst)
{
	gather(sg, offset, dst, (u64)count * dev->sector);
	mark_encode(dev, lba, count, dst, dst);
}

const struct block_filter mark_filter = {
	.covers = covers,
	.decode = mark_decode,
	.encode = mark_encode,
	.decode_sg = mark_decode_sg,
	.encode_sg = mark_encode_sg,
};

void mark_check_write(const struct block_dev *dev, u64 lba, const u8 *data)
{
	if (toy_covered(dev, lba) && memchr(data, MARK, dev->sector))
		abort();
}
