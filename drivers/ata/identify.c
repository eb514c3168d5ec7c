#include "drivers/ata/identify.h"

#include "core/lib/bytes.h"
#include "core/lib/string.h"
#include "drivers/ata/packet.h"

static u16 word(const u8 *data, unsigned int n)
{
	return load_le16(data + 2 * n);
}

/* Strings hold two characters in a word, the first in the high byte. */
static void parse_string(const u8 *data, unsigned int first, char *dst,
			 size_t len)
{
	size_t start = 0, end = len;

	for (size_t i = 0; i < len; i++) {
		char c = (char)data[2 * first + (i ^ 1)];

		dst[i] = c >= ' ' && c <= '~' ? c : ' ';
	}
	while (end && dst[end - 1] == ' ')
		end--;
	while (start < end && dst[start] == ' ')
		start++;
	memmove(dst, dst + start, end - start);
	dst[end - start] = 0;
}

/* Word 106: bit 12 says that words 117-118 count the words of a sector. */
static u32 sector_size(const u8 *data)
{
	u64 size = 512;

	if ((word(data, 106) & 0xD000) == 0x5000)
		size = 2ULL * load_le32(data + 2 * 117);
	return size % 512 == 0 && size <= 4096 ? (u32)size : 0;
}

void ata_identify_parse(const u8 *data, bool packet, struct ata_identity *id)
{
	bool lba48 = (word(data, 83) & 0xC400) == 0x4400;

	parse_string(data, 27, id->model, 40);
	parse_string(data, 10, id->serial, 20);
	id->sector_size = sector_size(data);
	id->lba = word(data, 49) & BIT(9);
	id->packet = (word(data, 0) & 3) == 1 ? 16 : 12;
	id->cd_dvd = (word(data, 0) >> 8 & 0x1F) == 5;
	id->geometry.heads = word(data, 55);
	id->geometry.sectors = word(data, 56);
	if (lba48)
		id->sectors = load_le64(data + 2 * 100) & BITS(47, 0);
	else if (id->lba)
		id->sectors = load_le32(data + 2 * 60);
	else
		id->sectors =
			(u64)word(data, 1) * word(data, 3) * word(data, 6);
	if (packet) {
		id->lba = id->cd_dvd;
		id->sector_size = PACKET_UNIT;
		id->sectors = 0;
	}
}

void ata_identify_block(const struct ata_identity *id, struct block_id *block)
{
	memcpy(block->model, id->model, sizeof(block->model));
	memcpy(block->serial, id->serial, sizeof(block->serial));
	block->sector_size = id->sector_size ? id->sector_size : 512;
	block->sectors = id->sectors;
}

/* When a bit goes: always, or unless something is there or allowed. */
enum {
	ALWAYS,
	NO_NCQ,
	NO_ERASE,
	NO_TRIM
};

/* ACS-2, 7.18.7. Bits of words that say what the device supports. */
static const struct {
	u8 word;
	u8 when;
	u16 clear;
} unsupported[] = {
	{ 48, ALWAYS, 0x0001 },	  /* trusted computing */
	{ 59, NO_ERASE, 0xF000 }, /* sanitize */
	/* DMA of buffers and microcode, SET MAX; zeros after a TRIM, which the
	 * cipher makes noise of; the size */
	{ 69, ALWAYS, 0x0F28 },
	{ 75, NO_NCQ, 0xFFFF }, /* queue depth */
	{ 76, NO_NCQ, 0x0100 }, /* NCQ */
	{ 76, ALWAYS, 0x9800 }, /* its log, priority, unload */
	{ 77, ALWAYS, 0x00F0 }, /* NCQ streaming, management, SEND FPDMA */
	{ 78, ALWAYS, 0x0002 }, /* offsets in DMA set-up frames */
	{ 79, ALWAYS, 0x0002 },
	{ 82, ALWAYS, 0x3400 },	  /* READ and WRITE BUFFER, HPA */
	{ 82, NO_ERASE, 0x0002 }, /* security */
	{ 83, ALWAYS,
	  0x0907 }, /* microcode, queued, CFA, SET MAX security, DCO */
	{ 84, ALWAYS, 0x0690 }, /* streaming, WRITE DMA QUEUED FUA */
	{ 85, ALWAYS, 0x3400 }, /* the same, enabled */
	{ 85, NO_ERASE, 0x0002 },
	{ 86, ALWAYS, 0x0907 },
	{ 87, ALWAYS, 0x0690 },
	/* WRITE UNCORRECTABLE, LOG DMA, microcode, the accessible size */
	{ 119, ALWAYS, 0x011C },
	{ 120, ALWAYS, 0x011C },
	{ 128, NO_ERASE, 0xFFFF }, /* security */
	{ 169, NO_TRIM, 0x0001 },
	{ 206, ALWAYS, 0xFFFF }, /* SCT */
	{ 214, ALWAYS, 0xFFFF }, /* NV cache */
};

void ata_identify_adjust(u8 *data, const struct ata_options *options,
			 bool queued)
{
	const bool stays[] = {
		[NO_NCQ] = queued,
		[NO_ERASE] = options->erase,
		[NO_TRIM] = !options->no_trim,
	};
	u8 sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(unsupported); i++) {
		u8 *w = data + 2 * unsupported[i].word;

		if (!stays[unsupported[i].when])
			store_le16(w,
				   load_le16(w) & (u16)~unsupported[i].clear);
	}
	/* Word 255: signature A5h and a checksum that makes the sum 0. */
	if (data[510] != 0xA5)
		return;
	for (size_t i = 0; i < 511; i++)
		sum += data[i];
	data[511] = (u8)-sum;
}

/* Word 49, bits 13 and 14: overlap, queued commands. */
void ata_identify_adjust_packet(u8 *data, const struct ata_options *options)
{
	data[2 * 49 + 1] &= 0x9F;
	ata_identify_adjust(data, options, false);
}
