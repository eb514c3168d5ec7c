#include "core/config.h"

#include "core/lib/bytes.h"
#include "core/lib/errors.h"
#include "core/lib/string.h"

#define CRC_START (offsetof(struct config_header, crc32) + 4)

static const char why_missing[] = "there is no configuration in this image";
static const char why_magic[] =
	"the configuration is broken: it does not begin as one";
static const char why_newer[] = "the configuration was made for a newer Shoji";
static const char why_older[] = "the configuration was made for an older Shoji";
static const char why_size[] =
	"the configuration is broken: its size is not what it says";
static const char why_crc[] =
	"the configuration is broken: its checksum is wrong";
static const char why_header[] =
	"the configuration is broken: its header has a value out of range";
static const char why_volume[] =
	"the configuration is broken: a volume has a value out of range";
static const char why_key[] =
	"the configuration is broken: a volume's key is weak";
static const char why_overlap[] =
	"the configuration is broken: two volumes overlap";
static const char why_conceal[] =
	"the configuration is broken: a conceal rule has a value out of range";
static const char why_region[] =
	"the configuration is broken: a region has a value out of range";
static const char why_program[] =
	"the configuration is broken: a program has a value out of range";

/* CRC-32 of ISO 3309, as in zlib: reflected polynomial EDB88320h. */
static u32 crc32(const u8 *p, size_t n)
{
	u32 crc = ~0U;

	for (; n; n--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static bool all_zero(const u8 *p, size_t n)
{
	for (; n; n--) {
		if (*p++)
			return false;
	}
	return true;
}

/* Printable ASCII, ended and filled up with NULs. */
static bool text_ok(const char *s, size_t size)
{
	size_t n = 0;

	while (n < size && s[n] >= 0x20 && s[n] < 0x7f)
		n++;
	return n < size && all_zero((const u8 *)s + n, size - n);
}

/* ---- header ------------------------------------------------------------- */

static size_t size_wanted(const struct config_header *h)
{
	return sizeof(*h) + h->volumes * sizeof(struct config_volume) +
	       h->conceals * sizeof(struct config_conceal) +
	       h->programs * sizeof(struct program_manifest) +
	       h->regions * sizeof(struct program_region);
}

static int fail(int err, const char **why, const char *text)
{
	*why = text;
	return err;
}

/* What every version begins with comes first, so that another version is
 * called that and not broken. */
static int check_header(const u8 *blob, size_t size,
			const struct config_header *h, const char **why)
{
	if (memcmp(h->magic, CONFIG_MAGIC, sizeof(h->magic)))
		return fail(-EINVAL, why, why_magic);
	if (h->version != CONFIG_VERSION)
		return fail(-ENOSYS, why,
			    h->version > CONFIG_VERSION ? why_newer
							: why_older);
	if (h->size != size)
		return fail(-EINVAL, why, why_size);
	if (h->crc32 != crc32(blob + CRC_START, size - CRC_START))
		return fail(-EINVAL, why, why_crc);
	if (h->volumes > VOLUME_MAX || h->conceals > CONFIG_CONCEAL_MAX ||
	    h->panic_action > CONFIG_PANIC_REBOOT || h->ata & ~CONFIG_ATA_ALL ||
	    h->bounce_kib > CONFIG_BOUNCE_MAX || h->bounce_kib % 4 ||
	    h->programs > PROGRAM_MAX || h->hypercall > HYPERCALL_USER ||
	    h->regions > REGION_MAX || h->zero)
		return fail(-EINVAL, why, why_header);
	if (size != size_wanted(h))
		return fail(-EINVAL, why, why_size);
	return 0;
}

/* ---- volumes ------------------------------------------------------------ */

static bool volume_text_ok(const struct config_volume *v)
{
	return text_ok(v->name, sizeof(v->name)) &&
	       text_ok(v->bus, sizeof(v->bus)) &&
	       text_ok(v->model, sizeof(v->model)) &&
	       text_ok(v->serial, sizeof(v->serial)) && v->name[0] &&
	       !!v->bus[0] == !!(v->given & MATCH_BUS) &&
	       !!v->model[0] == !!(v->given & MATCH_MODEL) &&
	       !!v->serial[0] == !!(v->given & MATCH_SERIAL);
}

static bool volume_ok(const struct config_volume *v)
{
	return volume_text_ok(v) && v->given && !(v->given & ~MATCH_ALL) &&
	       v->cipher == CONFIG_AES_XTS_PLAIN64 &&
	       (v->key_len == 32 || v->key_len == 64) &&
	       all_zero(v->key + v->key_len, sizeof(v->key) - v->key_len) &&
	       v->first <= v->last && v->first < VOLUME_TO_END;
}

/* IEEE 1619 wants two independent halves. */
static bool key_weak(const struct config_volume *v)
{
	size_t half = v->key_len / 2;

	return !memcmp(v->key, v->key + half, half) || all_zero(v->key, half) ||
	       all_zero(v->key + half, half);
}

static void take_volume(const struct config_volume *v, const u8 *key,
			struct volume *out)
{
	struct volume_match *m = &out->match;

	memset(out, 0, sizeof(*out));
	memcpy(out->name, v->name, sizeof(v->name));
	memcpy(m->bus, v->bus, sizeof(v->bus));
	memcpy(m->model, v->model, sizeof(v->model));
	memcpy(m->serial, v->serial, sizeof(v->serial));
	m->given = v->given;
	m->controller = v->controller;
	m->channel = v->channel;
	m->unit = v->unit;
	out->first = v->first;
	out->last = v->last;
	out->key = key;
	out->key_len = v->key_len;
}

static bool both(const struct volume_match *a, const struct volume_match *b,
		 u8 field)
{
	return a->given & b->given & field;
}

/* False if no device can match both. */
static bool may_share_device(const struct volume_match *a,
			     const struct volume_match *b)
{
	return !((both(a, b, MATCH_BUS) && strcmp(a->bus, b->bus)) ||
		 (both(a, b, MATCH_CONTROLLER) &&
		  a->controller != b->controller) ||
		 (both(a, b, MATCH_CHANNEL) && a->channel != b->channel) ||
		 (both(a, b, MATCH_UNIT) && a->unit != b->unit) ||
		 (both(a, b, MATCH_MODEL) && strcmp(a->model, b->model)) ||
		 (both(a, b, MATCH_SERIAL) && strcmp(a->serial, b->serial)));
}

static bool overlaps_earlier(const struct config *c, size_t n)
{
	const struct volume *v = &c->volumes[n];

	for (size_t i = 0; i < n; i++) {
		const struct volume *w = &c->volumes[i];

		if (may_share_device(&v->match, &w->match) &&
		    v->first <= w->last && w->first <= v->last)
			return true;
	}
	return false;
}

static int take_volumes(const u8 *p, size_t count, struct config *out,
			const char **why)
{
	struct config_volume v;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++, p += sizeof(v)) {
		memcpy(&v, p, sizeof(v));
		if (!volume_ok(&v)) {
			err = fail(-EINVAL, why, why_volume);
		} else if (key_weak(&v)) {
			err = fail(-EINVAL, why, why_key);
		} else {
			take_volume(&v, p + offsetof(struct config_volume, key),
				    &out->volumes[i]);
			if (overlaps_earlier(out, i))
				err = fail(-EINVAL, why, why_overlap);
		}
	}
	wipe(&v, sizeof(v));
	out->volume_count = count;
	return err;
}

/* ---- conceal rules ------------------------------------------------------ */

static u32 class_mask(const struct config_conceal *r)
{
	return 0xffffff & ~0U << (24 - 8 * r->class_bytes);
}

static bool conceal_ok(const struct config_conceal *r)
{
	bool class = r->given & CONCEAL_CLASS;

	return r->given && !(r->given & ~CONCEAL_ALL) && !r->zero &&
	       r->dev < 32 && r->fn < 8 && r->class_bytes <= 3 &&
	       class == !!r->class_bytes && !(r->class & ~class_mask(r));
}

static int take_conceals(const u8 *p, size_t count, struct config *out,
			 const char **why)
{
	for (size_t i = 0; i < count; i++) {
		struct config_conceal *r = &out->conceals[i];

		memcpy(r, p + i * sizeof(*r), sizeof(*r));
		if (!conceal_ok(r))
			return fail(-EINVAL, why, why_conceal);
	}
	out->conceal_count = count;
	return 0;
}

static bool conceal_matches(const struct config_conceal *r,
			    const struct config_function *f)
{
	return !((r->given & CONCEAL_VENDOR && r->vendor != f->vendor) ||
		 (r->given & CONCEAL_DEVICE && r->device != f->device) ||
		 (r->given & CONCEAL_CLASS &&
		  r->class != (f->class & class_mask(r))) ||
		 (r->given & CONCEAL_ADDRESS &&
		  (r->segment != f->segment || r->bus != f->bus ||
		   r->dev != f->dev || r->fn != f->fn)));
}

bool config_conceals(const struct config *config,
		     const struct config_function *f)
{
	for (size_t i = 0; i < config->conceal_count; i++) {
		if (conceal_matches(&config->conceals[i], f))
			return true;
	}
	return false;
}

/* ---- programs ----------------------------------------------------------- */

static bool in_range(u32 value, u32 low, u32 high)
{
	return value >= low && value <= high;
}

/* The areas without the program's own segments fit its memory. */
static bool program_memory_ok(const struct program_manifest *m)
{
	return in_range(m->memory_kib, PROGRAM_MEMORY_MIN,
			PROGRAM_MEMORY_MAX) &&
	       in_range(m->stack_kib, PROGRAM_STACK_MIN, PROGRAM_STACK_MAX) &&
	       in_range(m->message_kib, PROGRAM_MESSAGE_MIN,
			PROGRAM_MESSAGE_MAX) &&
	       !((m->memory_kib | m->stack_kib | m->message_kib) & 3) &&
	       in_range(m->messages, 1, PROGRAM_SLOT_MAX) &&
	       m->stack_kib + m->messages * m->message_kib < m->memory_kib;
}

static bool program_ok(const struct program_manifest *m,
		       const struct config_header *h)
{
	return text_ok(m->name, sizeof(m->name)) && m->name[0] &&
	       program_memory_ok(m) &&
	       in_range(m->slice_us, PROGRAM_SLICE_MIN, PROGRAM_SLICE_MAX) &&
	       in_range(m->time_ms, PROGRAM_TIME_MIN, PROGRAM_TIME_MAX) &&
	       m->restart <= 1 && m->user <= 1 && !(m->sends >> h->programs) &&
	       !(m->regions >> h->regions) && !(m->writes & ~m->regions) &&
	       all_zero(m->zero, sizeof(m->zero));
}

static int take_programs(const u8 *p, const struct config_header *h,
			 struct config *out, const char **why)
{
	for (size_t i = 0; i < h->programs; i++) {
		struct program_manifest *m = &out->programs[i];

		memcpy(m, p + i * sizeof(*m), sizeof(*m));
		if (!program_ok(m, h))
			return fail(-EINVAL, why, why_program);
	}
	out->program_count = h->programs;
	return 0;
}

static int take_regions(const u8 *p, size_t count, struct config *out,
			const char **why)
{
	for (size_t i = 0; i < count; i++) {
		struct program_region *r = &out->regions[i];

		memcpy(r, p + i * sizeof(*r), sizeof(*r));
		if (!text_ok(r->name, sizeof(r->name)) || !r->name[0] ||
		    !in_range(r->size_kib, REGION_SIZE_MIN, REGION_SIZE_MAX) ||
		    r->size_kib % 4 || r->zero)
			return fail(-EINVAL, why, why_region);
	}
	out->region_count = count;
	return 0;
}

/* ------------------------------------------------------------------------- */

int config_parse(const void *blob, size_t size, struct config *out,
		 const char **why)
{
	const u8 *p = blob;
	struct config_header h;
	int err;

	memset(out, 0, sizeof(*out));
	if (!size)
		return fail(-ENOENT, why, why_missing);
	if (size < sizeof(h))
		return fail(-EINVAL, why, why_size);
	memcpy(&h, p, sizeof(h));
	err = check_header(p, size, &h, why);
	if (err)
		return err;
	out->serial_port = h.serial_port;
	out->panic_action = h.panic_action;
	out->hypercall = h.hypercall;
	out->ata = h.ata;
	out->bounce_kib = h.bounce_kib;
	p += sizeof(h);
	err = take_volumes(p, h.volumes, out, why);
	if (err)
		return err;
	p += h.volumes * sizeof(struct config_volume);
	err = take_conceals(p, h.conceals, out, why);
	if (err)
		return err;
	p += h.conceals * sizeof(struct config_conceal);
	err = take_programs(p, &h, out, why);
	if (err)
		return err;
	p += h.programs * sizeof(struct program_manifest);
	return take_regions(p, h.regions, out, why);
}

void config_wipe(struct config *config, void *blob, size_t size)
{
	for (size_t i = 0; i < config->volume_count; i++)
		config->volumes[i].key = NULL;
	wipe(blob, size);
}
