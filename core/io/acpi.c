#include "core/io/acpi.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/lib/string.h"

#define TABLE_HEADER 36	      /* 5.2.6 */
#define TABLE_MAX    0x400000 /* the largest one that is believed */
#define TABLES_MAX   256
#define CHUNK	     256
#define SX_MAX	     32 /* bytes of a Name(_Sx_, Package) looked at */

struct table {
	u64 pa;
	u32 len;
	char sig[4];
};

static int mem_read(const struct acpi_mem *mem, u64 pa, void *dst, size_t len)
{
	if (len > ~pa)
		return -EFAULT;
	return mem->read(mem->ctx, pa, dst, len);
}

static u8 sum_bytes(const u8 *p, size_t len)
{
	u8 sum = 0;

	while (len--)
		sum = (u8)(sum + *p++);
	return sum;
}

/* Its checksum is not asked for: OSes warn of a wrong one and go on, and what
 * they know of sleep and CPUs we have to know. */
static int table_open(const struct acpi_mem *mem, u64 pa, struct table *t)
{
	u8 h[TABLE_HEADER];

	if (!pa || mem_read(mem, pa, h, sizeof(h)))
		return -EFAULT;
	t->pa = pa;
	t->len = load_le32(h + 4);
	memcpy(t->sig, h, sizeof(t->sig));
	if (t->len < TABLE_HEADER || t->len > TABLE_MAX || t->len > ~pa)
		return -EINVAL;
	return 0;
}

static bool table_is(const struct table *t, const char *sig)
{
	return !memcmp(t->sig, sig, sizeof(t->sig));
}

static int table_read(const struct acpi_mem *mem, const struct table *t,
		      u32 off, void *dst, u32 len)
{
	if (!range_ok(off, len, t->len))
		return -EINVAL;
	return mem_read(mem, t->pa + off, dst, len);
}

/* ---- CPUs: 5.2.12 ---- */

static void cpu_add(struct acpi *acpi, u32 id)
{
	for (u32 i = 0; i < acpi->cpu_count; i++)
		if (acpi->apic_ids[i] == id)
			return;
	if (acpi->cpu_count == ACPI_CPUS_MAX)
		acpi->cpus_left_out++;
	else
		acpi->apic_ids[acpi->cpu_count++] = id;
}

static void parse_madt(const struct acpi_mem *mem, const struct table *t,
		       struct acpi *acpi)
{
	enum {
		LOCAL_APIC = 0,
		LOCAL_X2APIC = 9,
		ENABLED = 1
	};
	u8 e[16];
	u8 head[2];

	for (u32 off = 44; !table_read(mem, t, off, head, 2); off += head[1]) {
		if (head[1] < 2)
			return;
		if (head[0] == LOCAL_APIC && head[1] >= 8 &&
		    !table_read(mem, t, off, e, 8) &&
		    (load_le32(e + 4) & ENABLED))
			cpu_add(acpi, e[3]);
		if (head[0] == LOCAL_X2APIC && head[1] >= 16 &&
		    !table_read(mem, t, off, e, 16) &&
		    (load_le32(e + 8) & ENABLED))
			cpu_add(acpi, load_le32(e + 4));
	}
}

/* ---- the configuration window: PCI Firmware 3.0, 4.1.2 ---- */

static void parse_mcfg(const struct acpi_mem *mem, const struct table *t,
		       struct acpi *acpi)
{
	u8 e[16];

	for (u32 off = 44; !table_read(mem, t, off, e, sizeof(e)); off += 16) {
		if (load_le16(e + 8) != 0 || e[10] > e[11] || acpi->ecam_base)
			continue;
		acpi->ecam_base = load_le64(e);
		acpi->ecam_first_bus = e[10];
		acpi->ecam_last_bus = e[11];
	}
}

/* ---- \_Sx: 7.4.2, 20.2 ---- */

/* ZeroOp, OneOp or a byte, word or dword constant at *@p. */
static int aml_integer(const u8 **p, const u8 *end, u32 *value)
{
	static const u8 widths[] = { [0x0a] = 1, [0x0b] = 2, [0x0c] = 4 };
	u8 op;
	u8 width;

	if (*p == end)
		return -EINVAL;
	op = *(*p)++;
	if (op <= 1) {
		*value = op;
		return 0;
	}
	width = op < sizeof(widths) ? widths[op] : 0;
	if (!width || end - *p < width)
		return -EINVAL;
	*value = 0;
	memcpy(value, *p, width);
	*p += width;
	return 0;
}

/* @p stands after the name: a package of two integers, or of one that holds
 * both as bytes, as some firmware has it. */
static void parse_sx(const u8 *p, const u8 *end, struct acpi_sleep *sleep)
{
	enum {
		PACKAGE_OP = 0x12
	};
	u8 elements;
	u32 a;
	u32 b;

	if (sleep->valid || end - p < 2 || *p++ != PACKAGE_OP)
		return;
	if (end - p < (*p >> 6) + 2)
		return;
	p += (*p >> 6) + 1; /* PkgLength */
	elements = *p++;
	if (!elements || aml_integer(&p, end, &a))
		return;
	b = a >> 8;
	if (elements > 1 && aml_integer(&p, end, &b))
		return;
	*sleep = (struct acpi_sleep){ true, a & 7, b & 7 };
}

/* NameOp, perhaps a root prefix, "_Sx_". */
static void parse_name(const u8 *p, const u8 *end, struct acpi *acpi)
{
	enum {
		NAME_OP = 0x08,
		ROOT = 0x5c
	};

	if (end - p < 8 || *p++ != NAME_OP)
		return;
	if (*p == ROOT)
		p++;
	if (p[0] == '_' && p[1] == 'S' && p[2] >= '0' && p[2] <= '5' &&
	    p[3] == '_')
		parse_sx(p + 4, end, &acpi->sleep[p[2] - '0']);
}

static void scan_aml(const struct acpi_mem *mem, const struct table *t,
		     struct acpi *acpi)
{
	u8 buf[CHUNK + SX_MAX];

	for (u32 off = TABLE_HEADER; off < t->len; off += CHUNK) {
		u32 n = (u32)min_u64(sizeof(buf), t->len - off);

		if (table_read(mem, t, off, buf, n))
			return;
		for (u32 i = 0; i < n && i < CHUNK; i++)
			parse_name(buf + i, buf + n, acpi);
	}
}

/* ---- FADT: 5.2.9 ---- */

enum fadt_offset {
	FADT_DSDT = 40,
	FADT_PM1A_EVT = 56,
	FADT_PM1A_CNT = 64,
	FADT_PM1B_CNT = 68,
	FADT_FLAGS = 112,
	FADT_RESET_REG = 116,
	FADT_RESET_VALUE = 128,
	FADT_X_DSDT = 140,
	FADT_X_PM1A_EVT = 148,
	FADT_X_PM1A_CNT = 172,
	FADT_X_PM1B_CNT = 184,
	FADT_READ = 196,
};
#define FADT_RESET_REG_SUP BIT(10)
#define FADT_HW_REDUCED	   BIT(20) /* the PM1 blocks do not count */

static struct acpi_reg gas_load(const u8 *p)
{
	return (struct acpi_reg){ p[0], load_le64(p + 4) };
}

/* The extended field counts if it is not zero. */
static u16 fadt_port(const u8 *f, u32 old, u32 extended)
{
	struct acpi_reg x = gas_load(f + extended);

	if (!x.address)
		x = (struct acpi_reg){ ACPI_SPACE_IO, load_le32(f + old) };
	if (x.space != ACPI_SPACE_IO || x.address > 0xffff ||
	    load_le32(f + FADT_FLAGS) & FADT_HW_REDUCED)
		return 0;
	return (u16)x.address;
}

static void parse_fadt(const struct acpi_mem *mem, const struct table *t,
		       struct acpi *acpi)
{
	u8 f[FADT_READ] = { 0 };
	struct table dsdt;
	u64 pa;

	if (table_read(mem, t, 0, f, (u32)min_u64(t->len, sizeof(f))))
		return;
	acpi->pm1a_evt = fadt_port(f, FADT_PM1A_EVT, FADT_X_PM1A_EVT);
	acpi->pm1a_cnt = fadt_port(f, FADT_PM1A_CNT, FADT_X_PM1A_CNT);
	acpi->pm1b_cnt = fadt_port(f, FADT_PM1B_CNT, FADT_X_PM1B_CNT);
	acpi->reset = gas_load(f + FADT_RESET_REG);
	acpi->reset_value = f[FADT_RESET_VALUE];
	acpi->reset_valid = (load_le32(f + FADT_FLAGS) & FADT_RESET_REG_SUP) &&
			    acpi->reset.address;
	pa = load_le64(f + FADT_X_DSDT);
	if (!pa)
		pa = load_le32(f + FADT_DSDT);
	if (!table_open(mem, pa, &dsdt) && table_is(&dsdt, "DSDT"))
		scan_aml(mem, &dsdt, acpi);
}

/* ---- the way to the tables: 5.2.5 to 5.2.8 ---- */

static bool rsdp_at(const struct acpi_mem *mem, u64 pa, u8 rsdp[36])
{
	memset(rsdp, 0, 36);
	if (mem_read(mem, pa, rsdp, 20) || memcmp(rsdp, "RSD PTR ", 8) ||
	    sum_bytes(rsdp, 20))
		return false;
	if (rsdp[15] >= 2 &&
	    (mem_read(mem, pa, rsdp, 36) || sum_bytes(rsdp, 36)))
		memset(rsdp + 20, 0, 16); /* then only the RSDT counts */
	return true;
}

static bool rsdp_search(const struct acpi_mem *mem, u64 start, u64 len,
			u8 *rsdp)
{
	for (u64 pa = start; pa < start + len; pa += 16)
		if (rsdp_at(mem, pa, rsdp))
			return true;
	return false;
}

static bool rsdp_find(const struct acpi_mem *mem, u8 rsdp[36])
{
	u8 ebda[2] = { 0 };

	if (!mem_read(mem, 0x40e, ebda, sizeof(ebda)) && load_le16(ebda) &&
	    rsdp_search(mem, (u64)load_le16(ebda) << 4, 1024, rsdp))
		return true;
	return rsdp_search(mem, 0xe0000, 0x20000, rsdp);
}

static int root_open(const struct acpi_mem *mem, const u8 rsdp[36],
		     struct table *root, u32 *entry_size)
{
	*entry_size = 8;
	if (!table_open(mem, load_le64(rsdp + 24), root) &&
	    table_is(root, "XSDT"))
		return 0;
	*entry_size = 4;
	if (!table_open(mem, load_le32(rsdp + 16), root) &&
	    table_is(root, "RSDT"))
		return 0;
	return -EINVAL;
}

static const struct {
	char sig[5];
	void (*parse)(const struct acpi_mem *mem, const struct table *t,
		      struct acpi *acpi);
} parsers[] = {
	{ "FACP", parse_fadt },
	{ "APIC", parse_madt },
	{ "MCFG", parse_mcfg },
	{ "SSDT", scan_aml },
};

int acpi_parse(const struct acpi_mem *mem, struct acpi *acpi)
{
	u8 rsdp[36];
	struct table root;
	struct table t;
	u32 size;
	u32 off = TABLE_HEADER;

	memset(acpi, 0, sizeof(*acpi));
	if (!rsdp_find(mem, rsdp))
		return -ENOENT;
	if (root_open(mem, rsdp, &root, &size))
		return -EINVAL;
	for (u32 n = 0; n < TABLES_MAX; n++, off += size) {
		u64 pa = 0;

		if (table_read(mem, &root, off, &pa, size))
			break;
		if (table_open(mem, pa, &t))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(parsers); i++)
			if (table_is(&t, parsers[i].sig))
				parsers[i].parse(mem, &t, acpi);
	}
	return 0;
}
