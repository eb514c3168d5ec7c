/*
 * The configuration parser: any blob, half of them with magic, version, size
 * and checksum put right so that the records are reached.
 *
 * units: core/config.c
 */
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/lib/string.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

void wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

static u32 crc(const u8 *p, size_t n)
{
	u32 c = ~0U;

	for (; n; n--) {
		c ^= *p++;
		for (int i = 0; i < 8; i++)
			c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
	}
	return ~c;
}

static void put_right(u8 *blob, size_t size)
{
	struct config_header *h = (struct config_header *)blob;

	memcpy(h->magic, CONFIG_MAGIC, 8);
	h->version = CONFIG_VERSION;
	h->size = (u32)size;
	h->crc32 = crc(blob + 20, size - 20);
}

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_volume(const struct volume *v, const u8 *blob, size_t size)
{
	size_t at = (size_t)(v->key - blob);

	check(v->key > blob && at < size && v->key_len <= size - at);
	check(v->key_len == 32 || v->key_len == 64);
	check(v->first <= v->last && v->match.given);
	check(strnlen(v->name, sizeof(v->name)) < sizeof(v->name));
	check(memchr(v->match.bus, 0, sizeof(v->match.bus)));
	check(memchr(v->match.model, 0, sizeof(v->match.model)));
	check(memchr(v->match.serial, 0, sizeof(v->match.serial)));
}

static void check_config(const struct config *c, const u8 *blob, size_t size)
{
	struct config_function f = { .class = 0x0c0330 };

	check(c->volume_count <= VOLUME_MAX);
	check(c->conceal_count <= CONFIG_CONCEAL_MAX);
	for (size_t i = 0; i < c->volume_count; i++)
		check_volume(&c->volumes[i], blob, size);
	(void)config_conceals(c, &f);
	check(c->program_count <= PROGRAM_MAX);
	for (size_t i = 0; i < c->program_count; i++) {
		const struct program_manifest *m = &c->programs[i];

		check(memchr(m->name, 0, sizeof(m->name)));
		check(m->messages && m->messages <= PROGRAM_SLOT_MAX);
		check(m->stack_kib + m->messages * m->message_kib <
		      m->memory_kib);
		check(!(m->sends >> c->program_count));
		check(!((m->regions | m->writes) >> c->region_count));
		check(!(m->writes & ~m->regions));
	}
	check(c->region_count <= REGION_MAX);
	for (size_t i = 0; i < c->region_count; i++) {
		check(memchr(c->regions[i].name, 0, sizeof(c->regions->name)));
		check(c->regions[i].size_kib <= REGION_SIZE_MAX);
		check(c->regions[i].size_kib && !(c->regions[i].size_kib % 4));
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct config config;
	const char *why = NULL;
	u8 *blob;

	if (!size)
		return 0;
	blob = malloc(size);
	memcpy(blob, data + 1, size - 1);
	if (data[0] & 1 && size - 1 >= sizeof(struct config_header))
		put_right(blob, size - 1);
	if (config_parse(blob, size - 1, &config, &why))
		check(why && *why);
	else
		check_config(&config, blob, size - 1);
	free(blob);
	return 0;
}
