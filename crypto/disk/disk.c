#include "crypto/disk/disk.h"

#include "core/lib/errors.h"
#include "core/lib/log.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "crypto/xts.h"

#define DEV_MAX	   64
#define FACTOR_MAX 8 /* 4096-byte sectors */

/* How long a wipe waits for requests, in TSC ticks: about a second. They do not
 * end if panic() has stopped their CPUs. */
#define WIPE_PATIENCE BIT(31)

/*
 * What is known of a device is which volumes lie on it and how large its
 * sectors are; devices that agree in both share a block_dev.
 */
struct block_dev {
	u16 volumes; /* bit n: volume n */
	u16 factor;  /* 512-byte sectors per logical sector; 0: entry is free */
};
static_assert(VOLUME_MAX <= 16, "struct block_dev");

struct range { /* sectors [first, first + count) */
	u64 first;
	u64 count;
};

static struct disk {
	const struct volume *volumes; /* only for attach() */
	size_t volume_count;
	struct range ranges[VOLUME_MAX];
	struct block_dev devs[DEV_MAX];
	struct block_dev last_resort[FACTOR_MAX];
	struct disk_counters counters[VOLUME_MAX];
	struct disk_fpu fpu;
	u16 attached; /* volumes that a device was found for, by bit */
	u32 busy;     /* requests that use keys now */
	u32 wiped;    /* there are no keys any more */
} disk;

/* Pages that hold nothing but keys. */
static union {
	struct xts_key key[VOLUME_MAX];
	u8 pages[(VOLUME_MAX * sizeof(struct xts_key) + PAGE_SIZE - 1) /
		 PAGE_SIZE * PAGE_SIZE];
} disk_keys __attribute__((aligned(PAGE_SIZE)));

/* One direction of the filter. */
struct transform {
	void (*xts)(const struct xts_key *key, u64 sector, const void *src,
		    void *dst, size_t count);
	size_t counter; /* offset in struct disk_counters */
};

static const struct transform decode = {
	xts_decrypt_sectors, offsetof(struct disk_counters, decoded)
};
static const struct transform encode = {
	xts_encrypt_sectors, offsetof(struct disk_counters, encoded)
};

/* Sectors of a request, in units of 512 bytes. */
struct span {
	u64 sector;
	u64 count;
};

static struct span span_of(const struct block_dev *dev, u64 lba, u32 count)
{
	struct span s = { 0, (u64)count * dev->factor };

	/* No device is that large; but no wrap to a plain sector either. */
	if (__builtin_mul_overflow(lba, dev->factor, &s.sector))
		s.sector = ~0ULL - s.count;
	return s;
}

/*
 * The volume that @sector lies in, or -1. *@run is cut to the number of
 * sectors from there on that have the same answer.
 */
static int volume_at(const struct block_dev *dev, u64 sector, u64 *run)
{
	for (int i = 0; i < (int)disk.volume_count; i++) {
		const struct range *r = &disk.ranges[i];

		if (!(dev->volumes >> i & 1))
			continue;
		if (sector < r->first) {
			*run = min_u64(*run, r->first - sector);
		} else if (sector - r->first < r->count) {
			*run = min_u64(*run, r->count - (sector - r->first));
			return i;
		}
	}
	return -1;
}

static bool span_covered(const struct block_dev *dev, struct span s)
{
	u64 run = s.count;

	return s.count &&
	       (volume_at(dev, s.sector, &run) >= 0 || run < s.count);
}

static void count_sectors(const struct transform *t, int volume, u64 n)
{
	u8 *c = (u8 *)&disk.counters[volume] + t->counter;

	__atomic_fetch_add((u64 *)c, n, __ATOMIC_RELAXED);
}

/* Run by run: a run lies in one volume, or outside of all. */
static void transform_span(const struct transform *t,
			   const struct block_dev *dev, struct span s,
			   const u8 *src, u8 *dst)
{
	while (s.count) {
		u64 run = s.count;
		int volume = volume_at(dev, s.sector, &run);
		size_t bytes = run * XTS_SECTOR;

		if (volume >= 0) {
			t->xts(&disk_keys.key[volume], s.sector, src, dst, run);
			count_sectors(t, volume, run);
		} else if (src != dst) {
			memcpy(dst, src, bytes);
		}
		s.sector += run;
		s.count -= run;
		src += bytes;
		dst += bytes;
	}
}

/* ---- scatter lists ------------------------------------------------------ */

struct cursor {
	const struct sg_seg *seg;
	u32 offset; /* in *seg */
};

/* Bytes at the cursor that lie together in memory, over 0. */
static u32 cursor_room(struct cursor *c)
{
	while (c->offset == c->seg->len) {
		c->seg++;
		c->offset = 0;
	}
	return c->seg->len - c->offset;
}

static void cursor_skip(struct cursor *c, u64 bytes)
{
	while (bytes) {
		u32 n = (u32)min_u64(bytes, cursor_room(c));

		bytes -= n;
		c->offset += n;
	}
}

static void *cursor_take(struct cursor *c, u32 bytes)
{
	void *p = sg_ptr(c->seg->gpa + c->offset, bytes);

	c->offset += bytes;
	return p;
}

static void cursor_gather(struct cursor c, u8 sector[XTS_SECTOR])
{
	for (u32 done = 0, n; done < XTS_SECTOR; done += n) {
		n = (u32)min_u64(cursor_room(&c), XTS_SECTOR - done);
		memcpy(sector + done, cursor_take(&c, n), n);
	}
}

static void cursor_scatter(struct cursor c, const u8 sector[XTS_SECTOR])
{
	for (u32 done = 0, n; done < XTS_SECTOR; done += n) {
		n = (u32)min_u64(cursor_room(&c), XTS_SECTOR - done);
		memcpy(cursor_take(&c, n), sector + done, n);
	}
}

/* One sector that straddles segments. Read once, and neither guest memory nor
 * @dst ever holds anything but the result. */
static void transform_straddling(const struct transform *t,
				 const struct block_dev *dev, u64 sector,
				 const struct cursor *c, u8 *dst)
{
	u8 tmp[XTS_SECTOR];

	cursor_gather(*c, tmp);
	transform_span(t, dev, (struct span){ sector, 1 }, tmp, tmp);
	if (dst)
		memcpy(dst, tmp, sizeof(tmp));
	else
		cursor_scatter(*c, tmp);
	wipe(tmp, sizeof(tmp));
}

/* @dst NULL: in place. */
static void transform_sg(const struct transform *t, const struct block_dev *dev,
			 struct span s, struct cursor c, u8 *dst)
{
	while (s.count) {
		u64 n = min_u64(s.count, cursor_room(&c) / XTS_SECTOR);

		if (n) {
			u8 *p = cursor_take(&c, (u32)n * XTS_SECTOR);

			transform_span(t, dev, (struct span){ s.sector, n }, p,
				       dst ? dst : p);
		} else {
			n = 1;
			transform_straddling(t, dev, s.sector, &c, dst);
			cursor_skip(&c, XTS_SECTOR);
		}
		s.sector += n;
		s.count -= n;
		if (dst)
			dst += n * XTS_SECTOR;
	}
}

/* ---- the filter --------------------------------------------------------- */

static bool is_covered(const struct block_dev *dev, u64 lba, u32 count)
{
	return span_covered(dev, span_of(dev, lba, count));
}

/*
 * Around a request that uses keys. Once they are wiped, the machine is going
 * down, and a request that still comes must not end: there is no right data
 * to answer it with.
 */
static void keys_begin(void)
{
	__atomic_fetch_add(&disk.busy, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&disk.wiped, __ATOMIC_SEQ_CST)) {
		__atomic_fetch_sub(&disk.busy, 1, __ATOMIC_SEQ_CST);
		for (;;)
			__builtin_ia32_pause();
	}
	disk.fpu.begin();
}

static void keys_end(void)
{
	disk.fpu.end();
	__atomic_fetch_sub(&disk.busy, 1, __ATOMIC_SEQ_CST);
}

static void filter(const struct transform *t, const struct block_dev *dev,
		   struct span s, const void *src, void *dst)
{
	bool covered = span_covered(dev, s);

	if (covered)
		keys_begin();
	transform_span(t, dev, s, src, dst);
	if (covered)
		keys_end();
}

static void filter_sg(const struct transform *t, const struct block_dev *dev,
		      struct span s, struct cursor c, void *dst)
{
	bool covered = span_covered(dev, s);

	if (!covered && !dst)
		return;
	if (covered)
		keys_begin();
	transform_sg(t, dev, s, c, dst);
	if (covered)
		keys_end();
}

static struct cursor cursor_at(const struct sg_list *sg, u64 offset)
{
	struct cursor c = { sg->seg, 0 };

	cursor_skip(&c, offset);
	return c;
}

static void decode_buffer(const struct block_dev *dev, u64 lba, u32 count,
			  const void *src, void *dst)
{
	filter(&decode, dev, span_of(dev, lba, count), src, dst);
}

static void encode_buffer(const struct block_dev *dev, u64 lba, u32 count,
			  const void *src, void *dst)
{
	filter(&encode, dev, span_of(dev, lba, count), src, dst);
}

static void decode_sg(const struct block_dev *dev, u64 lba, u32 count,
		      const struct sg_list *sg, u64 offset)
{
	filter_sg(&decode, dev, span_of(dev, lba, count), cursor_at(sg, offset),
		  NULL);
}

static void encode_sg(const struct block_dev *dev, u64 lba, u32 count,
		      const struct sg_list *sg, u64 offset, void *dst)
{
	filter_sg(&encode, dev, span_of(dev, lba, count), cursor_at(sg, offset),
		  dst);
}

/* ---- devices ------------------------------------------------------------ */

static bool matches(const struct volume_match *m, u8 given,
		    const struct block_id *id)
{
	given &= m->given;
	return !(
		(given & MATCH_BUS && strcmp(m->bus, id->bus)) ||
		(given & MATCH_CONTROLLER && m->controller != id->controller) ||
		(given & MATCH_CHANNEL && m->channel != id->channel) ||
		(given & MATCH_UNIT && m->unit != id->unit) ||
		(given & MATCH_MODEL && strcmp(m->model, id->model)) ||
		(given & MATCH_SERIAL && strcmp(m->serial, id->serial)));
}

/* By the fields @given, of those that a volume has. */
static u16 matching_volumes(const struct block_id *id, u8 given)
{
	u16 set = 0;

	for (size_t i = 0; i < disk.volume_count; i++) {
		if (matches(&disk.volumes[i].match, given, id))
			set |= (u16)BIT(i);
	}
	return set;
}

static bool expects(const struct block_id *id)
{
	return matching_volumes(id, MATCH_PLACE);
}

static void log_volumes(const struct block_id *id, u16 set, u64 factor)
{
	u64 sectors = id->sectors * factor;

	for (size_t i = 0; i < disk.volume_count; i++) {
		const struct range *r = &disk.ranges[i];

		if (!(set >> i & 1))
			continue;
		log_line("volume %s: on %s %u.%u.%u, \"%s\"",
			 disk.volumes[i].name, id->bus, id->controller,
			 id->channel, id->unit, id->model);
		if (sectors && r->first >= sectors)
			log_line("volume %s: begins past the device's end",
				 disk.volumes[i].name);
	}
}

/*
 * More than DEV_MAX different sets do not come up honestly. Then the device
 * is treated as if every volume lay on it: wrong data, but no plaintext.
 */
static struct block_dev *dev_find(u16 volumes, u16 factor)
{
	struct block_dev *d = disk.devs;

	for (; d < &disk.devs[DEV_MAX] && d->factor; d++) {
		if (d->volumes == volumes && d->factor == factor)
			return d;
	}
	if (d == &disk.devs[DEV_MAX]) {
		d = &disk.last_resort[factor - 1];
		volumes = 0xffff;
	}
	*d = (struct block_dev){ volumes, factor };
	return d;
}

static struct block_dev *attach(const struct block_id *id)
{
	u64 factor = id->sector_size / XTS_SECTOR;
	u16 set = matching_volumes(id, id->silent ? MATCH_PLACE : MATCH_ALL);

	if (!set)
		return NULL;
	factor = min_u64(max_u64(factor, 1), FACTOR_MAX);
	if (!id->silent) {
		log_volumes(id, set, factor);
		disk.attached |= set;
	}
	return dev_find(set, (u16)factor);
}

const struct volume *disk_unattached(void)
{
	for (size_t i = 0; i < disk.volume_count; i++)
		if (!(disk.attached & 1u << i))
			return &disk.volumes[i];
	return NULL;
}

const struct block_filter *disk_filter(void)
{
	static const struct block_filter f = {
		.attach = attach,
		.expects = expects,
		.covers = is_covered,
		.decode = decode_buffer,
		.encode = encode_buffer,
		.decode_sg = decode_sg,
		.encode_sg = encode_sg,
	};

	return &f;
}

/* ---- keys --------------------------------------------------------------- */

void disk_keys_wipe(void)
{
	u64 start = __builtin_ia32_rdtsc();

	__atomic_store_n(&disk.wiped, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&disk.busy, __ATOMIC_SEQ_CST) &&
	       __builtin_ia32_rdtsc() - start < WIPE_PATIENCE)
		__builtin_ia32_pause();
	wipe(&disk_keys, sizeof(disk_keys));
}

static int set_keys(const struct volume *volumes, size_t count)
{
	int err = 0;

	disk.fpu.begin();
	for (size_t i = 0; i < count && !err; i++)
		err = xts_set_key(&disk_keys.key[i], volumes[i].key,
				  volumes[i].key_len);
	disk.fpu.end();
	return err;
}

int disk_init(const struct volume *volumes, size_t count,
	      const struct disk_fpu *fpu)
{
	int err;

	if (count > VOLUME_MAX)
		return -EINVAL;
	memset(&disk, 0, sizeof(disk));
	disk.fpu = *fpu;
	err = set_keys(volumes, count);
	if (err) {
		disk_keys_wipe();
		return err;
	}
	for (size_t i = 0; i < count; i++) {
		const struct volume *v = &volumes[i];

		disk.ranges[i] = (struct range){
			v->first,
			v->last == VOLUME_TO_END ? ~0ULL - v->first
						 : v->last - v->first + 1,
		};
	}
	disk.volumes = volumes;
	disk.volume_count = count;
	return 0;
}

struct disk_counters disk_counters(size_t volume)
{
	const struct disk_counters *c = &disk.counters[volume];

	return (struct disk_counters){
		__atomic_load_n(&c->decoded, __ATOMIC_RELAXED),
		__atomic_load_n(&c->encoded, __ATOMIC_RELAXED),
	};
}
